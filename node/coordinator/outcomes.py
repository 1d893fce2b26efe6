"""An order as its app sees it: events on the way, the result, or why there is none.

Is: plain values between the engine and whoever watches an order.
Is not: HTTP, or the protocol's messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from protocol.errors import Refusal

if TYPE_CHECKING:
    from node.coordinator.records import FailureKind
    from protocol.receipt import Receipt


class Busy(Refusal):
    """As many orders are under way as this node carries at a time."""


class NoMiner(Refusal):
    """Nobody who could do it is here right now; asking again later may help."""


class OrderLost(Refusal):
    """An order ended without a result; the reason says how. :ivar kind: what the app can do about it."""

    def __init__(self, kind: FailureKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Announced:
    """A task is public. :ivar task_id: 32 bytes. :ivar assigned: drawn miners, in order."""

    task_id: bytes
    assigned: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """A miner has made `units` of `units_all`. :ivar miner: its address."""

    miner: bytes
    units: int
    units_all: int


@dataclass(frozen=True, slots=True)
class Preview:
    """The unfinished image after `units`. :ivar png: the whole file."""

    units: int
    png: bytes


@dataclass(frozen=True, slots=True)
class FailedOver:
    """A miner's turn has ended without a result; the next one has it.

    :ivar miner: whose turn it was.
    :ivar reason: in its words, or why it is lost.
    """

    miner: bytes
    reason: str


OrderEvent: TypeAlias = Announced | Progress | Preview | FailedOver


@dataclass(frozen=True, slots=True)
class Delivered:
    """How an order should end. :ivar output: the result's bytes. :ivar receipt: the proof, verified."""

    output: bytes
    receipt: Receipt
