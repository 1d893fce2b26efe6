"""Ports of the coordinator's engine: the market, and a signer, a purse and a journal, these with twins in
memory.

Is: narrow interfaces whose methods are synchronous: nothing comes between a check, its record and what
follows. Is not: the engine, or the files behind the interfaces (`signing/guard`, `pay/purse`, `journal`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Protocol

from node.pay.purse import DepositUsedUp
from node.signing.guard import AlreadySigned
from protocol.messages import Message, TaskAnnouncement
from protocol.pay import SignedVoucher
from protocol.signature import SIGNATURE_BYTES
from protocol.statement import Domain, Statement, open_statement, seal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from node.coordinator.records import Record
    from node.coordinator.snapshots import OrderSnapshot
    from protocol.draw import EpochView
    from protocol.messages import Offer
    from protocol.rules.view import View
    from protocol.statement import Sign


class SignerPort(Protocol):
    """The node's key behind its guard."""

    @property
    def domain(self) -> Domain:
        """Of this network's statements."""

    @property
    def address(self) -> bytes:
        """Of the key, 20 bytes."""

    def last_announcement(self) -> TaskAnnouncement | None:
        """The announcement with the highest slot that was ever signed."""

    def first_epoch(self, epoch: int) -> int:
        """First epoch in which this key may announce; later than `epoch`, the latest, if its guard is new."""

    def seal(self, message: Message) -> Statement[Any]:
        """Sign.

        :raises AlreadySigned: it would contradict an earlier statement, now and for ever.
        :raises MustNotSign: it cannot be signed now.
        """


class PursePort(Protocol):
    """The coordinator's deposit: what of it is free, set aside and promised."""

    def require(self, amount_wei: int) -> None:
        """:raises DepositUsedUp: so much is not free."""

    def hold(self, amount_wei: int) -> None:
        """Set so much aside, whether it is free or not: ask `require` first."""

    def release(self, amount_wei: int) -> None:
        """Set free what was held."""

    def knows(self, miner: bytes) -> bool:
        """Whether it is known what this miner was ever promised."""

    def total_after(self, miner: bytes, amount_wei: int) -> int:
        """The miner's whole promise after so much more, in wei: all that it was ever promised."""

    def promise(self, miner: bytes, total_wei: int, amount_wei: int, task_wei: int) -> SignedVoucher:
        """Promise so much of what is held, and sign the voucher for all that was ever promised.

        Promising the same total again takes nothing: a promise that was written down may be made twice.

        :raises MustNotPromise: the ledger failed; nothing was signed.
        """


class JournalPort(Protocol):
    """Where records go before anything follows from them."""

    def write(self, record: Record, snapshot: OrderSnapshot | None, blobs: Mapping[bytes, bytes]) -> None:
        """Write a record down, for good when this returns.

        :param snapshot: of the order after the record; None when it is over.
        :param blobs: bytes that the record names by their SHA-256.
        :raises JournalUnavailable: it failed; nothing may follow.
        """

    def keep_epoch(self, epoch: EpochView) -> None:
        """Keep an epoch for the receipts of tasks that were drawn from it."""

    def epoch(self, number: int) -> EpochView:
        """An epoch that was kept."""


class MarketPort(Protocol):
    """The market as the node knows it now; synchronous."""

    @property
    def view(self) -> View:
        """The chain, as this node last read it."""

    def ahead_ms(self) -> int:
        """How far the time of day, of which statements speak, is ahead of the engine's, which nobody sets."""

    def offers(self) -> Iterable[tuple[bytes, Offer]]:
        """Newest offer of each miner, live or not."""

    def multiaddrs(self) -> tuple[bytes, ...]:
        """Where miners dial this node, binary form."""

    def reason_not_ready(self) -> str | None:
        """Why an announcement would lead nowhere now; None if it would not."""


class MemorySigner:
    """A signer whose guard is a dictionary; it outlives a crash when it is passed on."""

    def __init__(self, domain: Domain, address: bytes, sign: Sign) -> None:
        self._domain = domain
        self._address = address
        self._sign = sign
        self._last: TaskAnnouncement | None = None
        self.may_announce_from = 0
        self.signed: dict[tuple[type[Any], bytes], bytes] = {}

    @property
    def domain(self) -> Domain:
        """See `SignerPort`."""
        return self._domain

    @property
    def address(self) -> bytes:
        """See `SignerPort`."""
        return self._address

    def last_announcement(self) -> TaskAnnouncement | None:
        """See `SignerPort`."""
        return self._last

    def first_epoch(self, epoch: int) -> int:
        """See `SignerPort`."""
        del epoch
        return self.may_announce_from

    def seal(self, message: Message) -> Statement[Any]:
        """See `SignerPort`."""
        body = message.encode()
        if self.signed.setdefault((type(message), message.slot()), body) != body:
            text = "another body was signed in this slot"
            raise AlreadySigned(text)
        if isinstance(message, TaskAnnouncement):
            self._last = message
        return open_statement(self._domain, seal(self._domain, message, self._sign), type(message))


class MemoryPurse:
    """A purse without a chain. :ivar promised_wei: by miner; what it outlives a crash with."""

    def __init__(self, coordinator: bytes, deposit_wei: int) -> None:
        self._coordinator = coordinator
        self.deposit_wei = deposit_wei
        self.held_wei = 0
        self.promised_wei: defaultdict[bytes, int] = defaultdict(int)

    @property
    def free_wei(self) -> int:
        """Wei that may still be held."""
        return self.deposit_wei - self.held_wei - sum(self.promised_wei.values())

    def require(self, amount_wei: int) -> None:
        """See `PursePort`."""
        if amount_wei > self.free_wei:
            raise DepositUsedUp(self._coordinator, amount_wei, self.free_wei)

    def hold(self, amount_wei: int) -> None:
        """See `PursePort`."""
        self.held_wei += amount_wei

    def release(self, amount_wei: int) -> None:
        """See `PursePort`."""
        self.held_wei -= amount_wei

    def knows(self, miner: bytes) -> bool:
        """See `PursePort`: without a chain, all is known."""
        del miner
        return True

    def total_after(self, miner: bytes, amount_wei: int) -> int:
        """See `PursePort`."""
        return self.promised_wei[miner] + amount_wei

    def promise(self, miner: bytes, total_wei: int, amount_wei: int, task_wei: int) -> SignedVoucher:
        """See `PursePort`; the signature is empty."""
        self.promised_wei[miner] = max(self.promised_wei[miner], total_wei)
        self.held_wei -= amount_wei
        return SignedVoucher.of(task_wei, total_wei, bytes(SIGNATURE_BYTES))


class MemoryJournal:
    """A journal in a list. :ivar records: in their order. :ivar blobs: by hash."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.snapshots: dict[bytes, OrderSnapshot] = {}
        self.blobs: dict[bytes, bytes] = {}
        self.epochs: dict[int, EpochView] = {}

    def write(self, record: Record, snapshot: OrderSnapshot | None, blobs: Mapping[bytes, bytes]) -> None:
        """See `JournalPort`. :raises ValueError: a field outside its bounds, as on a disk."""
        record.encode()
        if snapshot is not None:
            snapshot.encode()
        self.records.append(record)
        self.blobs.update(blobs)
        if snapshot is None:
            self.snapshots.pop(record.order_id, None)
        else:
            self.snapshots[record.order_id] = snapshot

    def keep_epoch(self, epoch: EpochView) -> None:
        """See `JournalPort`."""
        self.epochs[epoch.number] = epoch

    def epoch(self, number: int) -> EpochView:
        """See `JournalPort`."""
        return self.epochs[number]
