"""Actions: the coordinator's engine asks its shell to do them.

Is: the engine's output as values.
Is not: a decision; :mod:`node.coordinator.engine` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from node.coordinator.outcomes import Delivered, OrderEvent
from node.coordinator.records import FailureKind
from protocol.evidence import Evidence
from protocol.messages import Source


@dataclass(frozen=True, slots=True)
class Publish:
    """Gossip a signed announcement. :ivar data: its envelope."""

    task_id: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class PassOn:
    """Gossip a miner's commitment that came on its stream, at once. :ivar data: its envelope."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """Ask a drawn miner to come now. :ivar miner: its address."""

    task_id: bytes
    miner: bytes


@dataclass(frozen=True, slots=True)
class AskChain:
    """Find out what the chain knows of a miner; the answer is `CoordinatorEngine.chain_answered`."""

    miner: bytes


@dataclass(frozen=True, slots=True)
class Send:
    """Send replies on a miner's stream, in this order. :ivar replies: encoded `TaskReply`s."""

    stream_id: int
    replies: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SendInput:
    """Send an input, and behind it the sources that it names.

    :ivar input: encoded `TaskInput`.
    :ivar sources: what it says of each; the shell has the bytes.
    """

    stream_id: int
    input: bytes
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class CloseStream:
    """End a miner's stream after what was sent on it. :ivar reason: why, if the miner did something wrong."""

    stream_id: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Tell:
    """Let whoever watches an order hear how it goes on. :ivar task_id: of its live task."""

    order_id: bytes
    task_id: bytes
    event: OrderEvent


@dataclass(frozen=True, slots=True)
class Accepted:
    """A miner has the turn: its acceptance counts, and the input goes to it. :ivar rank: from 0."""

    task_id: bytes
    miner: bytes
    rank: int


@dataclass(frozen=True, slots=True)
class Paid:
    """A voucher was signed. :ivar paid_wei: in it for the task, in all."""

    task_id: bytes
    miner: bytes
    paid_wei: int


@dataclass(frozen=True, slots=True)
class Finish:
    """An order is over.

    :ivar task_id: of the task that it ended with; empty if it waited for one.
    :ivar outcome: its result, or why there is none.
    """

    order_id: bytes
    task_id: bytes
    outcome: Delivered | Failure


@dataclass(frozen=True, slots=True)
class Failure:
    """An order's end without a result. :ivar kind: what can be done about it. :ivar reason: for the app."""

    kind: FailureKind
    reason: str


@dataclass(frozen=True, slots=True)
class Accuse:
    """Keep evidence against a miner, and gossip it."""

    evidence: Evidence


Action: TypeAlias = (
    Publish
    | PassOn
    | Call
    | AskChain
    | Send
    | SendInput
    | CloseStream
    | Tell
    | Accepted
    | Paid
    | Finish
    | Accuse
)
