"""Openings of traces over a direct stream: the miner's side, which gives them, and an auditor's, which asks.

Is: `/cuckoo/openings/1` (`protocol/README.md`): a request, the proved leaves, the tensors behind them.
Is not: the draw of steps or auditors, or the judgement on what was opened.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog
import trio

from node.exchange.audit_draws import AuditDraws
from node.exchange.buyer_shares import BuyerShares
from node.exchange.kept_work import KeptWork, receive_some, receive_work
from node.inference.traces.trace_file import TraceFile
from node.inference.traces.trace_store import TraceStore
from p2p.identity import PeerId, address_of_peer
from p2p.streams import DirectStream
from protocol.audit import Audits
from protocol.bounded import Bounded
from protocol.errors import CuckooError, InvalidMessage, Refusal
from protocol.messages import ResultCommitment, TaskAnnouncement
from protocol.rules.view import View
from protocol.statement import Statement, open_statement
from protocol.tensor import NO_TENSOR, is_tensor
from protocol.trace import (
    Opening,
    OpeningRequest,
    TraceBinding,
    TraceLeaf,
    open_leaves,
    verify_opening,
)

REQUESTS_PER_PEER_MAX: Final = 60
"""Openings that one peer gets in one `WINDOW_MS`; an honest auditor asks once or twice a task."""
WINDOW_MS: Final = 60_000
PEERS_MAX: Final = 1024
"""Peers whose requests are counted at a time."""
REQUEST_TIMEOUT_MS: Final = 5_000

Clock: TypeAlias = Callable[[], int]
Send: TypeAlias = Callable[[bytes], Awaitable[None]]
log = structlog.get_logger()


class NotOpened(Refusal):
    """The miner gives no opening: no such trace, not to this peer, or not so often."""


@dataclass(slots=True)
class OpeningCounts:
    """Requests, by what became of them.

    :ivar early: before the dice of the task were known here.
    :ivar too_often: beyond a peer's share of requests.
    :ivar damaged: of traces that are not whole any more.
    """

    opened: int = 0
    unknown: int = 0
    stranger: int = 0
    early: int = 0
    too_often: int = 0
    damaged: int = 0


class OpeningServer:
    """A miner's answers. :ivar counts: of requests. :ivar buyers: what they have got."""

    def __init__(
        self,
        store: TraceStore,
        draws: AuditDraws,
        view: Callable[[], View],
        want_beacon: Callable[[int], None],
        clock: Clock,
        buyer_asks: Callable[[bytes], None],
    ) -> None:
        """
        :param buyer_asks: hears the id of a task of which the coordinator has asked for an opening.
        :param draws: who is to audit this miner's work.
        :param view: what the chain says now.
        :param want_beacon: looks for the block that decides for a deadline, in ms; the view has it later.
        :param clock: Unix milliseconds.
        """
        self.counts = OpeningCounts()
        self._store, self._draws, self._view, self._clock = store, draws, view, clock
        self._want_beacon, self._buyer_asks = want_beacon, buyer_asks
        self._asked: Bounded[PeerId, tuple[int, int]] = Bounded(PEERS_MAX)
        self.buyers = BuyerShares()

    async def handle(self, stream: DirectStream, peer_id: PeerId) -> None:
        """Serve one stream.

        :raises Refusal: the answer is no; the remote hears why.
        :raises ProtocolError: not a valid request, or it asks for steps that are not there.
        :raises TraceError: our trace is damaged.
        """
        payload = await stream.receive(timeout_ms=REQUEST_TIMEOUT_MS)
        if payload is None:
            raise Refusal("no request came")
        request = OpeningRequest.decode(payload)
        self._count_request(peer_id)
        announcement = self._store.announcement_of(request.task_id, self._clock())
        if announcement is None:
            self.counts.unknown += 1
            raise NotOpened("no trace of this task is here")
        task = open_statement(self._view().domain, announcement, TaskAnnouncement)
        await self._require_auditor(task, address_of_peer(peer_id))
        if list(request.steps) != sorted(set(request.steps)) or request.steps[-1] >= task.message.work.units:
            raise InvalidMessage("no such steps")
        await self._open(self._sender(stream, task, address_of_peer(peer_id)), request)
        self.counts.opened += 1
        log.info("trace opened", task=request.task_id.hex(), steps=request.steps, peer=str(peer_id))

    def _count_request(self, peer_id: PeerId) -> None:
        """:raises NotOpened: the peer has asked too often."""
        window = self._clock() // WINDOW_MS
        counted_in, requests = self._asked.get(peer_id, (window, 0))
        requests = requests + 1 if counted_in == window else 1
        self._asked[peer_id] = (window, requests)
        if requests > REQUESTS_PER_PEER_MAX:
            self.counts.too_often += 1
            raise NotOpened("you ask too often")

    def _sender(self, stream: DirectStream, task: Statement[TaskAnnouncement], asker: bytes) -> Send:
        """The way to the asker's stream, on which a buyer's bytes are counted."""
        if asker != task.message.coordinator:
            return stream.send

        async def send(payload: bytes) -> None:
            self.buyers.note(asker, len(payload), self._clock())
            await stream.send(payload)

        return send

    async def _require_auditor(self, task: Statement[TaskAnnouncement], asker: bytes) -> None:
        """Whether a peer may see the work for a task: its coordinator, or who was drawn to audit it.

        :raises NotOpened: it may not, or not yet.
        """
        if asker == task.message.coordinator:
            if not self.buyers.has_left(asker, self._clock()):
                raise NotOpened("you have had your share of bytes: ask again in some minutes")
            self._buyer_asks(task.digest)
            return
        view = self._view()
        if task.message.audits != Audits.PUBLIC:
            self.counts.stranger += 1
            raise NotOpened("this task is its buyer's alone to audit")
        beacon = view.beacons.get(task.message.deadline_ms)
        if beacon is None:
            self.counts.early += 1
            self._want_beacon(task.message.deadline_ms)
            raise NotOpened("the dice of this task are not known here yet: ask again")
        draw = await self._draws.draw(task.digest, task.message, beacon)
        if draw is None:
            self.counts.unknown += 1
            raise NotOpened("nobody can say any more who audits this task")
        if draw.steps_of(asker) is None:
            self.counts.stranger += 1
            raise NotOpened("you are neither an auditor nor the coordinator of this task")

    async def _open(self, send: Send, request: OpeningRequest) -> None:
        path = self._store.path_of(request.task_id)
        try:
            if request.work:
                kept = KeptWork.decode(await trio.to_thread.run_sync(self._store.work_of, request.task_id))
                for payload in kept.payloads():
                    await send(payload)
            trace = await trio.to_thread.run_sync(TraceFile, path)
            with trace:
                opening = open_leaves(
                    request.task_id, trace.leaves, trace.final_latent, request.steps, trace.source_latent
                )
                await send(opening.encode())
                for step in request.steps:
                    for tensor in await trio.to_thread.run_sync(trace.tensors, step):
                        if tensor:
                            await send(tensor)
                if request.final_latent:
                    await send(await trio.to_thread.run_sync(trace.final))
                if request.source_latent and trace.source_latent != NO_TENSOR:
                    await send(await trio.to_thread.run_sync(trace.source))
        except CuckooError:
            self.counts.damaged += 1
            raise


@dataclass(frozen=True, slots=True)
class OpenedTrace:
    """An answer to an auditor, every hash of it checked against the committed root.

    :ivar leaves: by step: those asked for, and those after them.
    :ivar tensors: by step asked for: latent, output without the prompt (empty without guidance) and with it.
    :ivar final_latent: hash of the latent after the last step.
    :ivar final: that latent itself, if it was asked for, else empty.
    :ivar source: what the source image was encoded to, if it was asked for and there is one, else empty.
    :ivar opening: as it came, with the proofs of its leaves.
    """

    leaves: dict[int, TraceLeaf]
    tensors: dict[int, tuple[bytes, bytes, bytes]]
    final_latent: bytes
    final: bytes
    source: bytes
    opening: Opening


async def ask_opening(
    stream: DirectStream, request: OpeningRequest, binding: TraceBinding, trace_root: bytes
) -> OpenedTrace:
    """Ask a miner to open some steps.

    :param stream: of `OPENINGS_PROTOCOL`, to the miner of `binding`.
    :param trace_root: from the miner's signed commitment.
    :raises Refusal: the miner refuses, or does not answer in time.
    :raises ProtocolError: what came is not what was committed to.
    """
    await stream.send(request.encode())
    return await _receive_opening(stream, request, binding, trace_root)


async def ask_work(
    stream: DirectStream,
    steps: tuple[int, ...],
    task: Statement[TaskAnnouncement],
    commitment: Statement[ResultCommitment],
) -> tuple[KeptWork, OpenedTrace]:
    """Ask a miner for all that an audit needs: input, sources and picture, and the opening of some steps.

    :param stream: of `OPENINGS_PROTOCOL`, to the miner that signed the commitment.
    :param steps: ascending.
    :raises Refusal: the miner refuses, or does not answer in time.
    :raises ProtocolError: what came is not what was announced and committed to.
    """
    message, committed = task.message, commitment.message
    request = OpeningRequest(task.digest, steps, final_latent=1, source_latent=1, work=1)
    await stream.send(request.encode())
    work = await receive_work(stream, message, committed)
    binding = TraceBinding(
        task.digest,
        commitment.signer.address,
        message.model_id,
        message.work.units,
        committed.output_hash,
    )
    return work, await _receive_opening(stream, request, binding, committed.trace_root)


async def _receive_opening(
    stream: DirectStream, request: OpeningRequest, binding: TraceBinding, trace_root: bytes
) -> OpenedTrace:
    opening = Opening.decode(await receive_some(stream))
    leaves = verify_opening(binding, trace_root, request, opening)
    tensors = {}
    for step in request.steps:
        leaf = leaves[step]
        latent = await _receive_hashed(stream, leaf.latent)
        unconditional = await _receive_hashed(stream, leaf.unconditional)
        tensors[step] = (latent, unconditional, await _receive_hashed(stream, leaf.conditional))
    final = await _receive_hashed(stream, opening.final_latent) if request.final_latent else b""
    has_source = request.source_latent and opening.source_latent != NO_TENSOR
    source = await _receive_hashed(stream, opening.source_latent) if has_source else b""
    if await stream.receive() is not None:
        raise InvalidMessage("more came than was asked for")
    return OpenedTrace(leaves, tensors, opening.final_latent, final, source, opening)


async def _receive_hashed(stream: DirectStream, digest: bytes) -> bytes:
    """A tensor of this hash; empty if there is none, of whichever a miner has committed to none."""
    if digest == NO_TENSOR:
        return b""
    payload = await receive_some(stream)
    # Thousands of hashes, of a long one.
    if not await trio.to_thread.run_sync(is_tensor, payload, digest):
        raise InvalidMessage("opened tensor is not the committed one")
    return payload
