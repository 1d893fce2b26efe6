"""Records of the coordinator's journal: facts about orders and tasks, each written down before its effect.

Is: the frozen structs, their tags and their encoding.
Is not: what they mean for an order (`orders`), or the file (`journal`).

A record is a fact, not a wish: whatever was drawn, signed or promised stands in it as bytes, so reading the
journal again never draws, signs or promises anything.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeAlias

from protocol import cbor
from protocol.audit import Audits
from protocol.errors import DecodeError
from protocol.messages import (
    PROMPT_BYTES_MAX,
    PROMPTS_MAX,
    REASON_BYTES_MAX,
    SOURCES_MAX,
    DeclineKind,
    Source,
)
from protocol.pay import WEI_BYTES, WeiBytes
from protocol.schema import (
    Bytes,
    Encoded,
    Hash,
    Items,
    Text,
    Uint,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    checked_items,
    from_items,
)
from protocol.statement import BODY_BYTES_MAX
from protocol.work import NUMBERS_BYTES_MAX, Work

KEY_BYTES_MAX: Final = 256
"""Longest name that an app may give an order, so that it can ask again (`Idempotency-Key`)."""
TOKEN_BYTES_MAX: Final = 64
FAILURE_BYTES_MAX: Final = 4 * REASON_BYTES_MAX
"""Longest reason of an order's failure."""
INPUT_BYTES_MAX: Final = 32 * 1024
"""Longest encoded `TaskInput`: four prompts of the longest, numbers and hashes."""
ENVELOPE_BYTES_MAX: Final = BODY_BYTES_MAX + 256


def wei_bytes(wei: int) -> bytes:
    """An amount as records hold it. :raises OverflowError: negative, or above what a voucher holds."""
    return wei.to_bytes(WEI_BYTES, "big")


def wei_of(data: bytes) -> int:
    """The amount in `wei_bytes`."""
    return int.from_bytes(data, "big")


class FailureKind(enum.IntEnum):
    """Why an order ended without a result; what an app can do about it hangs on it."""

    NO_MINER = 0
    """Nobody who could do it is here now."""
    REFUSED = 1
    """Its miners say that nobody who runs this model can do it: the request must change."""
    FAILED = 2
    """Miners tried, or declined for reasons of their own."""
    EXPIRED = 3
    """Time ran out."""
    UNPAID = 4
    """The coordinator's deposit does not cover it."""
    CANCELLED = 5
    """The node's operator ended it."""


@dataclass(frozen=True, slots=True)
class OrderRequest(Encoded):
    """An app's order, as everything behind the API knows it; the bytes of its sources stand beside it.

    :ivar model_id: package to run.
    :ivar work: kind, units and what the kind adds.
    :ivar numbers: the kind's public numbers, encoded.
    :ivar prompts: texts, in the order of the kind.
    :ivar preview_every_units: a preview is wanted every so many units; 0 for none.
    :ivar price_max_micro_cai: most that the app's coordinator pays for it.
    :ivar typical_permille: this work as a part of the model's default work, in thousandths: what a miner's
        typical time is multiplied by.
    :ivar audits: an `Audits`, as it stands in the announcement.
    """

    model_id: Hash
    work: Work
    numbers: Annotated[bytes, Bytes(0, NUMBERS_BYTES_MAX)]
    prompts: Annotated[tuple[str, ...], Items(Annotated[str, Text(PROMPT_BYTES_MAX)], 0, PROMPTS_MAX)]
    preview_every_units: Uint16
    price_max_micro_cai: Uint64
    typical_permille: Uint32
    audits: Annotated[int, Uint(max(Audits))] = Audits.PUBLIC


class _Tagged(Encoded):
    """Mixin of all records: on disk, the tag stands before the fields."""

    __slots__ = ()
    TAG: ClassVar[int]

    def encode(self: Any) -> bytes:
        """Canonical bytes. :raises ValueError: a field outside its bounds; the caller's bug."""
        return cbor.encode((self.TAG, *checked_items(self)))


@dataclass(frozen=True, slots=True)
class OrderPlaced(_Tagged):
    """An app has placed an order.

    :ivar order_id: 32 random bytes.
    :ivar key: name that the app gave it; empty for none.
    :ivar body_hash: of the app's request, to tell a repetition from another one under the same key.
    :ivar request: what is ordered.
    :ivar sources: role, size and hash of each; their bytes are kept beside the records.
    :ivar placed_at_ms: when.
    """

    TAG = 1
    order_id: Hash
    key: Annotated[str, Text(KEY_BYTES_MAX)]
    body_hash: Annotated[bytes, Bytes(0, 32)]
    request: OrderRequest
    sources: Annotated[tuple[Source, ...], Items(Source, 0, SOURCES_MAX)]
    placed_at_ms: Uint64


@dataclass(frozen=True, slots=True)
class TaskDrawn(_Tagged):
    """A task of an order was drawn, and its input salted; nothing is signed yet.

    :ivar task_id: digest of the announcement that `body` is.
    :ivar body: encoded `TaskAnnouncement`.
    :ivar input: encoded `TaskInput`.
    """

    TAG = 2
    order_id: Hash
    task_id: Hash
    body: Annotated[bytes, Bytes(1, BODY_BYTES_MAX)]
    input: Annotated[bytes, Bytes(1, INPUT_BYTES_MAX)]


@dataclass(frozen=True, slots=True)
class TaskSigned(_Tagged):
    """The announcement was signed. :ivar announcement: its envelope."""

    TAG = 3
    order_id: Hash
    announcement: Annotated[bytes, Bytes(1, ENVELOPE_BYTES_MAX)]


@dataclass(frozen=True, slots=True)
class TurnBegun(_Tagged):
    """A miner gets the input.

    :ivar rank: among the assigned, from 0.
    :ivar acceptance: its envelope.
    :ivar reserved: of the deposit for this task from now on, in wei.
    """

    TAG = 4
    order_id: Hash
    rank: Uint8
    acceptance: Annotated[bytes, Bytes(1, ENVELOPE_BYTES_MAX)]
    reserved: WeiBytes


class TurnEnding(enum.IntEnum):
    """How a miner's turn ended without the task's result."""

    DECLINED = 0
    LOST = 1
    INTERRUPTED = 2
    """This node was restarted: the miner may come again."""


@dataclass(frozen=True, slots=True)
class TurnEnded(_Tagged):
    """A miner's turn has ended without the task's result.

    :ivar ending: a `TurnEnding`.
    :ivar decline_kind: a `DeclineKind` with DECLINED, else 0.
    :ivar reason: for the app, in the miner's words or ours.
    """

    TAG = 5
    order_id: Hash
    rank: Uint8
    ending: Annotated[int, Uint(max(TurnEnding))]
    decline_kind: Annotated[int, Uint(max(DeclineKind))]
    reason: Annotated[str, Text(REASON_BYTES_MAX)]


@dataclass(frozen=True, slots=True)
class VoucherPromised(_Tagged):
    """A voucher is about to be signed; from here on it counts as promised.

    :ivar task_wei: in it for this task.
    :ivar total_wei: in it for everything that this coordinator ever promised the miner.
    """

    TAG = 6
    order_id: Hash
    rank: Uint8
    task_wei: WeiBytes
    total_wei: WeiBytes


@dataclass(frozen=True, slots=True)
class ResultReceived(_Tagged):
    """A result is complete and was verified; its bytes are kept beside the records.

    :ivar commitment: its envelope.
    """

    TAG = 7
    order_id: Hash
    rank: Uint8
    commitment: Annotated[bytes, Bytes(1, ENVELOPE_BYTES_MAX)]
    delivered_at_ms: Uint64


class TaskEnding(enum.IntEnum):
    """How a task ended without a result."""

    EXHAUSTED = 0
    EXPIRED = 1
    CANCELLED = 2
    BUSY = 3
    """Its miners were all busy with others' work: it does not count as an attempt."""


@dataclass(frozen=True, slots=True)
class TaskEnded(_Tagged):
    """A task has ended without a result; its order may be drawn again.

    :ivar ending: a `TaskEnding`.
    :ivar retry_at_ms: the order is not drawn again before.
    """

    TAG = 8
    order_id: Hash
    ending: Annotated[int, Uint(max(TaskEnding))]
    retry_at_ms: Uint64


@dataclass(frozen=True, slots=True)
class OrderFailed(_Tagged):
    """An order has ended without a result.

    :ivar failure: a `FailureKind`.
    :ivar reason: for the app.
    """

    TAG = 9
    order_id: Hash
    failure: Annotated[int, Uint(max(FailureKind))]
    reason: Annotated[str, Text(FAILURE_BYTES_MAX)]
    ended_at_ms: Uint64


@dataclass(frozen=True, slots=True)
class OrderCancelled(_Tagged):
    """The app does not want the order any more. :ivar reason: how that is known."""

    TAG = 10
    order_id: Hash
    reason: Annotated[str, Text(REASON_BYTES_MAX)]
    ended_at_ms: Uint64


Record: TypeAlias = (
    OrderPlaced
    | TaskDrawn
    | TaskSigned
    | TurnBegun
    | TurnEnded
    | VoucherPromised
    | ResultReceived
    | TaskEnded
    | OrderFailed
    | OrderCancelled
)
_RECORD_OF: Final[dict[int, type[Record]]] = {
    record.TAG: record
    for record in (
        OrderPlaced,
        TaskDrawn,
        TaskSigned,
        TurnBegun,
        TurnEnded,
        VoucherPromised,
        ResultReceived,
        TaskEnded,
        OrderFailed,
        OrderCancelled,
    )
}


def decode_record(data: bytes) -> Record:
    """The record that `data` encodes. :raises DecodeError: there is no such record."""
    items = cbor.decode(data)
    if not isinstance(items, tuple) or not items or items[0] not in _RECORD_OF:
        message = "not a record of the journal"
        raise DecodeError(message)
    record: Record = from_items(_RECORD_OF[int(items[0])], items[1:])
    return record
