"""Another node that runs with our key: found by its peer record before this one signs, and ever after.

Each start of a node draws an instance number, which stands in its signed peer record. At every interval the
peers nearest to our address are asked for the newest record that they know in our name, and then given our
own, signed anew. A record of another instance that was made after our own start means that another node runs
now, or did a moment ago; one from before it is of the node that this one has followed.

Is: the decision, pure, and the loop that looks.
Is not: a protection against a node whose records never reach our peers; its statements do (`own_statements`).

A newcomer stops at the first such record, before it has signed anything. A node that signs already stops at
the second of a node that signs, too. Each record says whether its node does, and a newcomer does not before
two looks, an interval apart, were answered and have shown nobody. So of two the second stops, and a start by
mistake does not stop the node that runs, however often it is begun and whatever its looks miss.

A node that no peer answers cannot know, and signs nothing: two that are cut off together would both find
themselves alone. It begins anew once somebody answers.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import trio

from p2p.records import PeerRecord
from protocol.errors import MustStop

UNANSWERED_S: Final = 5.0
"""Pause until peers are asked again when none has answered; an interval, where that is shorter."""


@dataclass(frozen=True, slots=True)
class Look:
    """A look at what our peers know in our name.

    :ivar double: the newest record of another instance, if any was ever heard of.
    :ivar answers: peers that have answered; without one, that there is no double says nothing.
    """

    double: PeerRecord | None
    answers: int


class OwnRecord(Protocol):
    """Our record among our peers."""

    async def look(self) -> Look:
        """Ask the peers nearest to us for our own address."""

    async def give(self) -> None:
        """Sign our record anew, and give it to the peers nearest to us."""

    def tell_of_signing(self) -> None:
        """Our records say from now on that this node may sign."""


def runs_elsewhere(double: PeerRecord | None, started_at_ms: int, past_instances: Mapping[int, int]) -> bool:
    """Whether another node runs with our key, or has run since we started.

    :param double: newest record in our name that is not of this instance.
    :param started_at_ms: when this one started; records are numbered by the time when they are made.
    :param past_instances: of this very data directory, each with its last record's sequence: that record is
        of a node that has ended, whatever a clock said that was fast.
    """
    if double is None or double.sequence <= started_at_ms:
        return False
    return double.sequence > past_instances.get(double.start, -1)


class Doppelganger:
    """Looks for another node with our key.

    :ivar alone: set when none was found for long enough that this one may sign.
    """

    def __init__(
        self,
        record: OwnRecord,
        started_at_ms: int,
        past_instances: Mapping[int, int],
        interval_ms: int,
        rng: random.Random,
    ) -> None:
        """:param interval_ms: between two looks."""
        self.alone = trio.Event()
        self._record = record
        self._started_at_ms = started_at_ms
        self._past_instances = past_instances
        self._interval_s = interval_ms / 1000
        self._rng = rng
        self._suspect: PeerRecord | None = None
        self._is_answered = False

    async def run(self) -> None:
        """Look until cancelled.

        The first signature waits one interval, in which a node that runs has looked and given its record, and
        a random part of another, so that of two that start at once one looks first.

        :raises MustStop: another node runs with our key.
        """
        while not self.alone.is_set():
            if await self._look():
                await self._record.give()
                await trio.sleep(self._interval_s * (1 + self._rng.random()))
                if await self._look():
                    self._record.tell_of_signing()
                    self.alone.set()
            else:
                await trio.sleep(min(self._interval_s, UNANSWERED_S))
        while True:
            await self._record.give()
            await trio.sleep(self._interval_s)
            await self._look()

    def reason_not_ready(self) -> str | None:
        """Why nothing is signed yet; None if it is."""
        if self.alone.is_set():
            return None
        if not self._is_answered:
            return "no peer has answered yet whether another node runs with this key"
        return "it is being looked whether another node runs with this key"

    async def _look(self) -> bool:
        """Whether anybody has answered. :raises MustStop: another node runs with our key."""
        look = await self._record.look()
        self._is_answered = look.answers > 0
        double = look.double
        if double is None or not runs_elsewhere(double, self._started_at_ms, self._past_instances):
            return self._is_answered
        if self.alone.is_set() and not double.may_sign:
            return self._is_answered  # a newcomer, which looks for us
        known, self._suspect = self._suspect, double
        if self.alone.is_set() and (known is None or known.sequence == double.sequence):
            return self._is_answered
        addresses = ", ".join(map(str, double.addresses)) or "an address that it does not name"
        raise MustStop(
            f"another node runs with this key, at {addresses}, or did after this one was started: two with "
            "one key contradict each other, which costs the whole stake. Stop one of them for good; then "
            "start the other again"
        )
