"""Evidence on its way through a node: to its file, off the event loop, and to gossip.

Is: the tasks between the rules, which find evidence or hear of it, and disk and mesh.
Is not: the rules (`protocol/rules`), the folder (`node.peer.evidence_store`), or the report to the chain.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
import trio

from node.peer.doubted_rankings import DoubtedRankings
from node.peer.evidence_queue import EvidenceQueue, FoundEvidence
from node.peer.evidence_store import EvidenceStore
from protocol.draw import EpochView
from protocol.errors import LocalError
from protocol.evidence import Evidence, Offence, WrongRanking, verify_evidence
from protocol.rules.view import GOSSIP_BYTES_MAX
from protocol.statement import Domain

WAITING_MAX: Final = 256
"""Pieces that wait to be written, and as many to be published; each may hold an epoch."""
LAST_WRITES_S: Final = 2.0
"""How long a node that stops goes on writing what waits."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class EvidenceStatus:
    """The folder, and what is on its way to it or to others.

    :ivar files: in the folder. :ivar slashable: of these, that the contract can judge.
    :ivar size_bytes: of all files.
    :ivar waiting: pieces to be written.
    :ivar doubted: wrong rankings that are held back until the chain has been asked once more.
    :ivar not_kept: since the start: evicted, without room, not writable, or too many at once.
    :ivar not_gossiped: since the start: too long for gossip, which leaves the file, or too many at once.
    """

    files: int
    slashable: int
    size_bytes: int
    waiting: int
    doubted: int
    not_kept: int
    not_gossiped: int


class EvidenceDesk:
    """Evidence of one node."""

    def __init__(
        self,
        folder: Path,
        domain: Domain,
        epochs: Callable[[], Mapping[int, EpochView]],
        publish: Callable[[bytes], Awaitable[None]],
        seed_of: Callable[[int], Awaitable[bytes | None]],
    ) -> None:
        """
        :param epochs: that the node knows now, by number.
        :param publish: gossips a piece of our own; raises LocalError if its rule refuses it.
        :param seed_of: the seed of an epoch, by number, as the chain has it now; raises ChainError.
        :raises OSError: the folder cannot be read.
        """
        self._doubted = DoubtedRankings(seed_of, self._keep_and_publish)
        self._domain = domain
        self._epochs = epochs
        self._publish = publish
        self._store = EvidenceStore(folder, domain)
        self._to_write = EvidenceQueue(WAITING_MAX)
        self._to_publish = EvidenceQueue(WAITING_MAX)
        self._not_written = 0
        self._too_long = 0

    def heard(self, evidence: Evidence, offence: Offence) -> None:
        """Keep a piece that gossip has brought and its rule has accepted."""
        self._keep(FoundEvidence(evidence, offence, self._epochs()))

    def found(self, evidence: Evidence) -> None:
        """Keep a piece that this node found by itself, and gossip it.

        :raises ProtocolError: it does not verify.
        """
        epochs = self._epochs()
        found = FoundEvidence(evidence, verify_evidence(self._domain, evidence, epochs), epochs)
        if isinstance(evidence, WrongRanking):
            self._doubt(found, evidence)
        else:
            self._keep_and_publish(found)

    def _doubt(self, found: FoundEvidence, ranking: WrongRanking) -> None:
        if not self._store.holds(found.offence.key) and not self._doubted.put(found, ranking):
            self._tell_of_loss("too many wrong rankings at once: a piece is not kept", found)

    def _keep_and_publish(self, found: FoundEvidence) -> None:
        self._keep(found)
        if not self._to_publish.put(found):
            self._tell_of_loss("too much evidence at once: a piece is not gossiped", found)

    def status(self) -> EvidenceStatus:
        """For people and monitors."""
        state = self._store.state()
        return EvidenceStatus(
            files=state.files,
            slashable=state.slashable,
            size_bytes=state.size_bytes,
            waiting=len(self._to_write),
            doubted=len(self._doubted),
            not_kept=state.evicted
            + state.turned_away
            + self._to_write.dropped
            + self._not_written
            + self._doubted.dropped,
            not_gossiped=self._to_publish.dropped + self._too_long,
        )

    async def run(self) -> None:
        """Write and publish for as long as the node runs; when it stops, what waits is still written."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write_all)
            nursery.start_soon(self._publish_all)
            nursery.start_soon(self._doubted.run)

    def _keep(self, found: FoundEvidence) -> None:
        if self._store.holds(found.offence.key):
            return
        if not self._to_write.put(found):
            self._tell_of_loss("too much evidence at once: a piece is not kept", found)

    async def _write_all(self) -> None:
        try:
            while True:
                await self._write(await self._to_write.first())
        finally:
            with trio.CancelScope(deadline=trio.current_time() + LAST_WRITES_S, shield=True):
                while self._to_write:
                    await self._write(await self._to_write.first())
            if self._to_write:
                log.warning("the node stopped before all evidence was written", pieces=len(self._to_write))

    async def _write(self, found: FoundEvidence) -> None:
        key = found.offence.key
        known = self._store.holds(key)
        try:
            path = await trio.to_thread.run_sync(self._store.add, found.evidence, found.offence, found.epochs)
        except OSError as error:
            self._not_written += 1
            log.warning("evidence could not be written", error=str(error))
            path, known = None, True
        self._to_write.done(found)
        if path is None:
            if not known:
                self._tell_of_loss("no room for evidence: it is not kept", found)
        elif found.offence.slashable_by_contract:
            log.warning("offence", file=str(path), next=f"cuckoo-slash submit {path}")
        else:
            log.warning("offence", file=str(path), next=f"cuckoo-slash verify {path}")

    async def _publish_all(self) -> None:
        while True:
            found = await self._to_publish.first()
            encoded = found.evidence.encode()
            if len(encoded) > GOSSIP_BYTES_MAX:
                self._too_long += 1  # a large part of an image; it travels as a file
            else:
                try:
                    await self._publish(encoded)
                except LocalError as refusal:  # somebody was quicker, or the offender has no stake any more
                    log.debug("evidence is not gossiped", reason=str(refusal))
            self._to_publish.done(found)

    def _tell_of_loss(self, event: str, found: FoundEvidence) -> None:
        offence = found.offence
        log.warning(event, fault=offence.fault.name.lower(), signer="0x" + offence.signer.hex())
