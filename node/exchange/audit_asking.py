"""How an auditor, or a buyer, gets a miner's work, all of it held against what was signed.

Is: from an announcement and a commitment to the opened work. Is not: who may ask, which steps, or the check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from node.exchange.kept_work import KeptWork
from node.exchange.openings import OpenedTrace, ask_work
from node.exchange.protocols import OPENINGS_PROTOCOL
from p2p.identity import peer_id_from_public_key
from protocol.errors import Refusal
from protocol.hashing import sha256

if TYPE_CHECKING:
    from p2p.host import Host
    from p2p.identity import PeerId
    from p2p.lookup import Lookup
    from protocol.messages import ResultCommitment, TaskAnnouncement
    from protocol.statement import Statement

ASK_TIMEOUT_MS: Final = 60_000
"""From the question to the last byte of the answer, which may be thirty megabytes."""


class NotAnswered(Refusal):
    """The miner was not reached, or its answer was not whole in time."""


@dataclass(frozen=True, slots=True)
class OpenedAnswer:
    """A miner's work for a task, some of its steps opened; every byte is bound by what was signed.

    :ivar task: as it was announced.
    :ivar commitment: of the miner.
    :ivar work: input, sources and picture.
    :ivar trace: what was opened of it.
    """

    task: Statement[TaskAnnouncement]
    commitment: Statement[ResultCommitment]
    work: KeptWork
    trace: OpenedTrace

    @property
    def bundle(self) -> bytes:
        """SHA-256 of what was opened, in the order in which it travels, each part behind its length."""
        trace = self.trace
        tensors = [part for step in sorted(trace.tensors) for part in trace.tensors[step]]
        parts = (trace.opening.encode(), *tensors, trace.final, trace.source)
        return sha256(self.work.encode() + b"".join(len(part).to_bytes(4, "big") + part for part in parts))


async def ask_miner(
    host: Host,
    lookup: Lookup,
    task: Statement[TaskAnnouncement],
    commitment: Statement[ResultCommitment],
    steps: tuple[int, ...],
    timeout_ms: int = ASK_TIMEOUT_MS,
) -> OpenedAnswer:
    """Ask the miner that signed a commitment for its work, and for the opening of some steps.

    :param steps: from 0, ascending, at most `CHECKED_STEPS_MAX`.
    :raises Refusal: it is not reached, says no, or is too slow.
    :raises ProtocolError: what came is not what was announced and committed to.
    """
    with trio.move_on_after(timeout_ms / 1000):
        peer_id = await _reach(host, lookup, commitment)
        async with host.open_direct_stream(peer_id, OPENINGS_PROTOCOL) as stream:
            work, trace = await ask_work(stream, steps, task, commitment)
            return OpenedAnswer(task, commitment, work, trace)
    raise NotAnswered("the miner is too slow")


async def _reach(host: Host, lookup: Lookup, commitment: Statement[ResultCommitment]) -> PeerId:
    """The miner, connected: the key that signed is the identity that answers. :raises Refusal: it is not."""
    peer_id = peer_id_from_public_key(commitment.signer.public_key)
    if host.is_connected(peer_id):
        return peer_id
    return await lookup.connect(commitment.signer.address)
