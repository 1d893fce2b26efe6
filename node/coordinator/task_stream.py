"""The coordinator's end of one miner's stream for a task: input and vouchers out, chunks in, and the end.

Is: what is said when; each chunk goes through `result_intake`, each voucher comes from the task's pay.
Is not: whose turn it is (`active_task`), or what becomes of the image (`roles/coordinator`).
"""

from __future__ import annotations

import structlog
import trio

from contracts.errors import ChainError
from node.coordinator.active_task import ActiveTask
from node.coordinator.requests import Delivered
from node.coordinator.result_intake import FalseImage, ResultIntake
from node.exchange.inputs import send_input
from node.pay.purse import DepositUsedUp
from node.peer.peer import Peer
from p2p.streams import DirectStream
from protocol.errors import InvalidMessage, ProtocolError, Refusal
from protocol.messages import REASON_BYTES_MAX, ReplyKind, TaskAcceptance, TaskReply
from protocol.pay import SignedVoucher
from protocol.receipt import Receipt
from protocol.statement import Statement
from protocol.task import CoordinatorEvent

VOUCHER_TIMEOUT_MS = 2_000
"""How long a voucher may take to go out; it is promised all the same."""

log = structlog.get_logger()


class TaskStream:
    """One miner's stream for one task."""

    def __init__(
        self, peer: Peer, stream: DirectStream, task: ActiveTask, acceptance: Statement[TaskAcceptance]
    ) -> None:
        self._peer = peer
        self._stream = stream
        self._task = task
        self._acceptance = acceptance
        self._miner = acceptance.signer.address

    async def employ(self) -> Delivered:
        """Give the miner, whose turn it is, the input, and see it through.

        :raises DepositUsedUp: it cannot be paid; the task ends.
        :raises ProtocolError: it broke the protocol.
        :raises Refusal: it fell silent or went away.
        """
        try:
            lost_voucher = await self._task.pay.begin(self._miner)
        except DepositUsedUp as refusal:
            self._task.fail(CoordinatorEvent.CANCEL, refusal.reason)
            raise
        except ChainError as error:
            raise Refusal("the chain does not tell at the moment what you were paid") from error
        await self._send_voucher(lost_voucher)
        await send_input(self._stream, self._task.input_encoded, self._task.sources)
        return await self._receive_result()

    async def dismiss(self) -> None:
        """The task is over: say so, and pay for what this miner has shown and was not paid for."""
        if self._task.delivered_by == self._miner:
            await self._reply(ReplyKind.RECEIVED)
        else:
            await self._send_voucher(self._task.pay.settle(self._miner))
            await self._reply(ReplyKind.NOT_NEEDED, f"the task is {self._task.state.value}")

    async def _receive_result(self) -> Delivered:
        """Read the stream up to the commitment, and pay as the steps come."""
        task, miner = self._task, self._miner
        intake = ResultIntake(self._peer.domain, task.announcement, miner)
        patience_ms = self._peer.network.parameters.progress_timeout_ms
        try:
            while intake.commitment is None:
                payload = await self._stream.receive(timeout_ms=patience_ms)
                if payload is None:
                    raise InvalidMessage("stream ended before the commitment")
                intake.unit_limit = task.pay.unit_limit(miner)
                event = intake.receive(payload)
                if event is not None:
                    task.tell(event)
                await self._send_voucher(task.pay.show(miner, intake.units))
        except (ProtocolError, Refusal) as error:
            log.warning("miner lost", miner=miner.hex(), error=str(error))
            if isinstance(error, FalseImage):
                self._peer.accuse(error.evidence)
            raise
        domain, commitment = self._peer.domain, intake.commitment
        receipt = Receipt(domain, task.epoch, task.announcement, self._acceptance, commitment)
        log.info("result received", miner=miner.hex(), bytes=len(intake.image))
        return Delivered(intake.image, receipt)

    async def _reply(self, kind: ReplyKind, reason: str = "") -> None:
        await self._stream.send(TaskReply(kind, b"", reason[:REASON_BYTES_MAX]).encode())

    async def _send_voucher(self, voucher: SignedVoucher | None) -> None:
        """Whole or not at all: cut in the middle when the app goes away, nothing could follow it."""
        if voucher is not None:
            with trio.CancelScope(shield=True):
                reply = TaskReply(ReplyKind.VOUCHER, voucher.encode(), "")
                await self._stream.send(reply.encode(), timeout_ms=VOUCHER_TIMEOUT_MS)
