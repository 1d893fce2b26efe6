"""How each RPC endpoint of a chain is: which of them are used, which rest and for how long, who disagrees.

Is: pure. Time is an argument, in seconds of any clock that only goes forward.
Is not: asking an endpoint anything: see `endpoints`.

An endpoint that fails rests, twice as long each time. It comes back by answering for the right chain, with a
head beside those of the others and with the blocks that they have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from contracts.errors import WrongChain

LAG_BLOCKS_MAX: Final = 32
"""So many blocks may an endpoint be behind the others: some seconds of a fast chain, and less than what is
read anew each time (`events.OVERLAP_BLOCKS`)."""
REST_FIRST_S: Final = 2.0
"""Rest after a first failure; each further one is twice as long..."""
REST_MAX_S: Final = 300.0
"""...up to this."""
STEADY_S: Final = 60.0
"""An endpoint that went so long without a failure begins with the first rest again."""

_Key = TypeVar("_Key", bound=Hashable)
_Said = TypeVar("_Said", bound=Hashable)


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """One endpoint.

    :ivar host: host and port, as the rest of its URL is often a secret; numbered where several share one.
    :ivar passed_over: why it is not used now; None when it is.
    :ivar head: number of its newest block when it was looked at last; None before.
    :ivar requests: that it answered. :ivar failures: requests and looks that it did not.
    :ivar rests: how often it was passed over.
    """

    host: str
    passed_over: str | None
    head: int | None
    requests: int
    failures: int
    rests: int


@dataclass(frozen=True, slots=True)
class EndpointsStatus:
    """All of them.

    :ivar in_use: host of the one that is asked first.
    :ivar failovers: requests that another one answered than the one that was asked first.
    :ivar disagreement: what two of them say differently, if no majority settles it.
    """

    in_use: str
    failovers: int
    disagreement: str | None
    endpoints: tuple[EndpointStatus, ...]


class EndpointHealth:
    """One endpoint's.

    :ivar host: for people; see `EndpointStatus`.
    :ivar passed_over: why it is not used; ``None`` when it is.
    :ivar rest_until_s: when it is looked at again.
    :ivar is_checked: whether it has shown since its last failure that it serves the right chain.
    :ivar is_foreign: whether it said at its last look that it serves another chain.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self.passed_over: str | None = None
        self.rest_until_s = 0.0
        self.is_checked = False
        self.is_foreign = False
        self.head: int | None = None
        self.requests = 0
        self.failures = 0
        self.rests = 0
        self._rest_s = 0.0

    def served(self) -> None:
        """It has answered a request."""
        self.requests += 1

    def failed(self, error: Exception, now_s: float) -> bool:
        """Pass it over for a while; returns whether that is news.

        Requests that were on their way when it began to rest, and fail later, prolong nothing.
        """
        self.failures += 1
        self.is_checked = False
        self.is_foreign = isinstance(error, WrongChain)
        if self.passed_over is not None and now_s < self.rest_until_s:
            return False
        is_news = self.passed_over is None
        is_steady = is_news and now_s >= self.rest_until_s + STEADY_S
        self._rest_s = REST_FIRST_S if is_steady or not self._rest_s else min(2 * self._rest_s, REST_MAX_S)
        self.rest_until_s = now_s + self._rest_s
        self.passed_over = str(error)
        self.rests += is_news
        return is_news

    def checked(self) -> None:
        """It has shown that it serves the right chain."""
        self.is_checked, self.is_foreign = True, False

    def came_back(self, now_s: float) -> bool:
        """Use it again; returns whether that is news."""
        if self.passed_over is None:
            return False
        self.passed_over, self.rest_until_s = None, now_s
        return True

    def status(self) -> EndpointStatus:
        """Now."""
        return EndpointStatus(
            self.host, self.passed_over, self.head, self.requests, self.failures, self.rests
        )


def lags(heads: Mapping[_Key, int], before: Mapping[_Key, int | None]) -> dict[_Key, int]:
    """Endpoints that are more than `LAG_BLOCKS_MAX` behind the others, and by how many blocks.

    Of three and more, the others' head is one that two of them have reached: a single one that invents blocks
    puts no honest one aside. Of two, the first choice lags only if it stands still: the second one alone says
    that there are newer blocks.

    :param heads: now, in the order in which they are preferred.
    :param before: at the look before; ``None`` where there was none.
    """
    newest = sorted(heads.values(), reverse=True)
    if len(newest) < 2:  # noqa: PLR2004 - one has nobody to be behind
        return {}
    others = newest[1] if len(newest) > 2 else newest[0]  # noqa: PLR2004
    behind = {key: others - head for key, head in heads.items() if others - head > LAG_BLOCKS_MAX}
    first = next(iter(heads))
    if len(newest) == 2 and first in behind and heads[first] != before.get(first):  # noqa: PLR2004
        del behind[first]
    return behind


def majority(said: Mapping[_Key, _Said]) -> _Said | None:
    """The answer of more than half; ``None`` if there is no such answer."""
    if not said:
        return None
    answer, count = Counter(said.values()).most_common(1)[0]
    return answer if 2 * count > len(said) else None
