"""A request's caller: the operator, or a token with limits of its own. Plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import trio
from starlette.types import Scope

CALLER: Final = "cuckoo.caller"
"""Key of a request's ASGI scope, which the gate sets."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The things that a token may do; 0 and an empty list stand for any.

    :ivar images_per_day: pictures of a day, UTC.
    :ivar requests_per_minute: requests for pictures.
    :ivar micro_cai_per_day: spent in a day, UTC.
    :ivar price_max_micro_cai: of one picture.
    :ivar models: names or ids of models.
    :ivar expires_at_ms: when it stops working.
    """

    images_per_day: int = 0
    requests_per_minute: int = 0
    micro_cai_per_day: int = 0
    price_max_micro_cai: int = 0
    models: tuple[str, ...] = ()
    expires_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose a request is.

    :ivar token_id: 16 hexadecimal digits; empty for the operator, whose token is the file `api-token`.
    :ivar name: that the operator gave it.
    :ivar ended: set when the token is revoked: what it has under way ends then.
    """

    token_id: str = ""
    name: str = "operator"
    limits: Limits = Limits()
    ended: trio.Event = field(default_factory=trio.Event, compare=False)

    @property
    def is_operator(self) -> bool:
        """Whether it is the node's own token: sees all, and has no limits."""
        return not self.token_id

    def works_at(self, now_ms: int) -> bool:
        """Whether it has not expired."""
        return not 0 < self.limits.expires_at_ms <= now_ms


OPERATOR: Final = Caller()


def caller_of(scope: Scope) -> Caller:
    """The caller of a request that the gate let through."""
    caller: Caller = scope[CALLER]
    return caller
