"""How far this node's clock is from those of the network, judged from answers of staked peers.

Is: samples in, one an owner, and a verdict out: pure, time is an argument.
Is not: the asking, which is in `clock_exchange`; nor a correction: setting the clock is the operator's.

A peer's rules ignore what comes from more than `CLOCK_DISPARITY_MS_MAX` in the future. So a node whose clock
is fast is not heard, and one whose clock is slow does not hear: neither is ready for work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from protocol.bounded import Bounded
from protocol.rules.view import CLOCK_DISPARITY_MS_MAX

CLOCK_WARNING_MS: Final = 250
"""Half of the disparity: from here on the operator hears of it."""
OWNERS_WANTED: Final = 5
"""Owners whose nodes are asked, where the network has as many: two of them may lie."""
OWNERS_MAX: Final = 64
"""Most owners whose answers are kept; beyond them the oldest is forgotten."""
SAMPLE_LIFE_MS: Final = 15 * 60 * 1000
"""Quartz drifts some 50 ms in that time, at worst."""
ROUND_TRIP_MS_MAX: Final = 1_000
"""A slower answer says too little: its time is uncertain by half of its round trip."""
HEAD_AHEAD_MS_MAX: Final = 5 * 60 * 1000
"""How far the chain's newest block may be ahead of our clock. Coarse: blocks that are made faster than one a
second, as on a development chain, bear times to come; public chains refuse more than some 15 s."""


@dataclass(frozen=True, slots=True)
class ClockSample:
    """One answer.

    :ivar offset_ms: the peer's clock less ours at the middle of the round trip: exact where both ways took as
        long, and never off by more than half of the round trip.
    :ivar round_trip_ms: from the question to its answer, by a clock that nobody sets.
    :ivar taken_at_ms: by that same steady clock.
    """

    offset_ms: int
    round_trip_ms: int
    taken_at_ms: int

    @classmethod
    def of(cls, asked_at_ms: int, round_trip_ms: int, peer_time_ms: int, taken_at_ms: int) -> ClockSample:
        """:param asked_at_ms: Unix time here when the question went out.

        :param peer_time_ms: Unix time in the answer.
        """
        return cls(peer_time_ms - asked_at_ms - round_trip_ms // 2, round_trip_ms, taken_at_ms)

    @property
    def error_ms(self) -> int:
        """Most by which `offset_ms` can be wrong."""
        return (self.round_trip_ms + 1) // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStatus:
    """This node's clock, as far as it is known.

    :ivar owners: whose nodes have answered of late.
    :ivar enough_owners: whether they are `OWNERS_WANTED` or more; with fewer, fewer lies are enough.
    :ivar offset_ms: the network's time less ours, the median over owners; None before an answer. Below zero
        our clock is fast.
    :ivar least_offset_ms: the same, of each answer the least that it can mean.
    :ivar most_offset_ms: of each answer the most.
    :ivar head_ahead_ms: how far the chain's newest block is in our future, if it is; else 0.
    :ivar slow_answers: round trips beyond `ROUND_TRIP_MS_MAX`, not counted in.
    :ivar owners_forgotten: beyond `OWNERS_MAX`.
    """

    owners: int
    enough_owners: bool
    offset_ms: int | None
    least_offset_ms: int | None
    most_offset_ms: int | None
    head_ahead_ms: int
    slow_answers: int
    owners_forgotten: int

    @property
    def is_worth_a_warning(self) -> bool:
        """Whether the operator should look after the clock, be the node ready or not."""
        return self.offset_ms is not None and abs(self.offset_ms) >= CLOCK_WARNING_MS

    def reason_not_ready(self) -> str | None:
        """Why others would ignore us, or we them, in words for the operator; None if they do not."""
        if self.head_ahead_ms > HEAD_AHEAD_MS_MAX:
            return (
                f"this clock is slow: the chain's newest block is {self.head_ahead_ms // 1000:,} s "
                "ahead of it; set the clock (NTP)"
            )
        if self.offset_ms is None or self.least_offset_ms is None or self.most_offset_ms is None:
            return None
        # Out of bounds for certain: a detour on the way of the answers alone shuts no node.
        if self.least_offset_ms > CLOCK_DISPARITY_MS_MAX or self.most_offset_ms < -CLOCK_DISPARITY_MS_MAX:
            return self.describe()
        return None

    def describe(self) -> str:
        """The offset in words, and by how many it was found."""
        if self.offset_ms is None:
            return "no staked peer has told its time yet"
        what = "slow" if self.offset_ms > 0 else "fast"
        owners = f"{self.owners} owner{'' if self.owners == 1 else 's'}"
        few = "" if self.enough_owners else f" (fewer than {OWNERS_WANTED}: not certain)"
        return (
            f"this clock is {abs(self.offset_ms):,} ms {what} by the nodes of {owners}{few}; "
            f"beyond {CLOCK_DISPARITY_MS_MAX} ms peers ignore each other; set the clock (NTP)"
        )


class ClockEstimate:
    """All answers that count now: the newest of each owner, so that many nodes of one owner are one voice."""

    def __init__(self) -> None:
        self._samples: Bounded[bytes, ClockSample] = Bounded(OWNERS_MAX)
        self._head_ms: int | None = None
        self._slow_answers = 0
        self._owners_forgotten = 0

    def add(self, owner: bytes, sample: ClockSample) -> None:
        """Count an answer in, in the place of an earlier one of the same owner.

        :param owner: of the staked node that answered, 20 bytes, as the chain has it; nobody else counts.
        """
        if sample.round_trip_ms > ROUND_TRIP_MS_MAX:
            self._slow_answers += 1
            return
        self._owners_forgotten += owner not in self._samples and len(self._samples) == OWNERS_MAX
        self._samples[owner] = sample

    def see_head(self, timestamp_ms: int) -> None:
        """Take note of the chain's newest block. :param timestamp_ms: its time, Unix."""
        self._head_ms = timestamp_ms

    def forget(self) -> None:
        """Drop all answers: our own clock was set, so they tell of another one."""
        self._samples.clear()

    def status(self, now_ms: int, steady_ms: int) -> ClockStatus:
        """The verdict of the answers. :param now_ms: our clock, Unix. :param steady_ms: the steady clock."""
        live = [
            sample for sample in self._samples.values() if steady_ms - sample.taken_at_ms <= SAMPLE_LIFE_MS
        ]

        def over_owners(value: Callable[[ClockSample], int]) -> int | None:
            return median(map(value, live)) if live else None

        return ClockStatus(
            owners=len(live),
            enough_owners=len(live) >= OWNERS_WANTED,
            offset_ms=over_owners(lambda sample: sample.offset_ms),
            least_offset_ms=over_owners(lambda sample: sample.offset_ms - sample.error_ms),
            most_offset_ms=over_owners(lambda sample: sample.offset_ms + sample.error_ms),
            head_ahead_ms=max(0, (self._head_ms or 0) - now_ms),
            slow_answers=self._slow_answers,
            owners_forgotten=self._owners_forgotten,
        )


def median(values: Iterable[int]) -> int:
    """The middle one, or between the middle two: a minority cannot move it out of the others' range.

    :raises IndexError: there are no values.
    """
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) // 2
