"""Pay of auditors on its way: the end of `/cuckoo/audit-pay/1` that brings it, and the auditor's.

Is: one unsigned message with a voucher, and who may bring it.
Is not: what is owed, or the checks of a voucher. One that is lost is made good by the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from node.exchange.protocols import AUDIT_PAY_PROTOCOL
from p2p.admission import CLOSED, Admission, Share
from p2p.identity import address_of_peer, peer_id_from_public_key
from protocol.audit import verdict_slot
from protocol.audit_pay import AuditPay
from protocol.errors import CuckooError, InvalidMessage, Refusal
from protocol.messages import Kind
from protocol.pay import SignedVoucher

if TYPE_CHECKING:
    from p2p.host import Host
    from p2p.identity import PeerId
    from p2p.lookup import Lookup
    from p2p.streams import DirectStream
    from protocol.rules.view import Seen
    from protocol.signature import Signer

AUDIT_PAY_ADMISSION: Final = Admission(staked=Share(per_peer_max=2, total_max=32), strangers=CLOSED)
"""Coordinators have stake, and bring one voucher at a time."""
PAY_TIMEOUT_MS: Final = 5_000
"""Time for a voucher to arrive on a stream that was opened for it, and for the stream's end."""

Take: TypeAlias = Callable[[bytes, bytes, SignedVoucher], None]
"""Takes a coordinator's voucher under a name of 32 bytes; raises what is wrong with it."""


class NothingOwed(Refusal):
    """Nobody of this address owes this node anything for that."""


@dataclass(slots=True)
class AuditPayCounts:
    """:ivar taken: vouchers for verdicts of this node. :ivar refused: whatever else came."""

    taken: int = 0
    refused: int = 0


class AuditPayee:
    """The auditor's end. :ivar counts: see `AuditPayCounts`."""

    def __init__(self, auditor: bytes, seen: Seen, take: Take) -> None:
        """:param auditor: this node's address. :param seen: where its own verdicts stand, too."""
        self.counts = AuditPayCounts()
        self._auditor, self._seen, self._take = auditor, seen, take

    async def handle(self, stream: DirectStream, peer_id: PeerId) -> None:
        """Serve one stream; that it ends cleanly says that the voucher is kept.

        :raises ProtocolError: it is not a message of this protocol, or the voucher is not good.
        :raises Refusal: it is not by the coordinator of a task on which this node has given a verdict.
        :raises LocalError: it cannot be kept.
        """
        try:
            payload = await stream.receive(timeout_ms=PAY_TIMEOUT_MS)
            pay = AuditPay.decode(payload or b"")
            task = self._seen.tasks.get(pay.task_id)
            slot = verdict_slot(pay.task_id, pay.miner)
            is_ours = (Kind.AUDIT_VERDICT.value, self._auditor, slot) in self._seen.statements
            payer = address_of_peer(peer_id)
            if task is None or task.message.coordinator != payer or not is_ours:
                raise NothingOwed("no verdict of this node is yours to pay")
            self._take(payer, slot, pay.voucher)
        except CuckooError:
            self.counts.refused += 1
            raise
        self.counts.taken += 1


async def bring_pay(host: Host, lookup: Lookup, auditor: Signer, pay: AuditPay) -> None:
    """Bring a voucher to an auditor, which is dialled if it is not connected.

    :raises Refusal: it is not reached, does not answer, or knows of no such verdict.
    :raises ProtocolError: it answered something else than the stream's end.
    """
    peer_id = peer_id_from_public_key(auditor.public_key)
    if not host.is_connected(peer_id):
        peer_id = await lookup.connect(auditor.address)
    async with host.open_direct_stream(peer_id, AUDIT_PAY_PROTOCOL, timeout_ms=PAY_TIMEOUT_MS) as stream:
        await stream.send(pay.encode(), timeout_ms=PAY_TIMEOUT_MS)
        await stream.finish(timeout_ms=PAY_TIMEOUT_MS)
        if await stream.receive(timeout_ms=PAY_TIMEOUT_MS) is not None:
            raise InvalidMessage("pay has no answer but the stream's end")
