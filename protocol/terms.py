"""Terms of a network: times of all its tasks and audits, and how much of the work is audited.

Is: values that every role reads from the network's parameters.
Is not: the draw or the rules that go by them: a bootstrap peer reads these and needs no numpy for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from protocol.messages import TaskAnnouncement

PPM: Final = 1_000_000
"""Parts of a whole."""


@dataclass(frozen=True, slots=True)
class TaskTerms:
    """Times that the network gives all its tasks; no announcement has others.

    :ivar head_start_ms: the miner of rank j may offer itself from ``announced_at_ms + j * head_start_ms``.
    :ivar life_ms_max: longest time from announcement to deadline.
    """

    head_start_ms: int
    life_ms_max: int

    def starts_at_ms(self, task: TaskAnnouncement, rank: int) -> int:
        """When the miner of a rank may offer itself without being called."""
        return task.announced_at_ms + rank * self.head_start_ms


@dataclass(frozen=True, slots=True)
class AuditTerms:
    """A network's audits: the same for all its peers.

    :ivar beacon_margin_ms: so long after a task's deadline a block may decide; longer than a block's time may
        be ahead of the true one, and two honest clocks differ, together.
    :ivar window_ms: so long after its deadline verdicts on a task are forwarded.
    :ivar selected_ppm: how much work is audited, in parts per million.
    :ivar newcomer_ppm: how much of a node that was registered less than `newcomer_ms` ago.
    :ivar newcomer_ms: thirty days; blocks are turned into time by how often the chain has made one so far.
    :ivar origin_block: from which on that is counted: the block that the network's contracts were made after.
    :ivar origin_ms: its time, Unix milliseconds.
    """

    beacon_margin_ms: int = 20_000
    window_ms: int = 60 * 60 * 1000
    selected_ppm: int = 20_000
    newcomer_ppm: int = 200_000
    newcomer_ms: int = 30 * 24 * 60 * 60 * 1000
    origin_block: int = 0
    origin_ms: int = 0

    def beacon_from_ms(self, deadline_ms: int) -> int:
        """The time that the first block of which decides for the tasks of a deadline has reached."""
        return deadline_ms + self.beacon_margin_ms

    def ends_at_ms(self, deadline_ms: int) -> int:
        """When verdicts on a task are not forwarded any more."""
        return deadline_ms + self.window_ms
