"""A miner's commitments, and the epochs that they are of: so that it knows whom to open its work to.

Is: a folder with a file for each commitment and one for each epoch, kept as long as traces are; an epoch
that the chain's view has forgotten is found here, also after a restart.
Is not: the traces (`TraceStore`), or the draw (`audit_draws`).

An epoch of a hundred thousand nodes has 8 MB: it is written and read in a thread, one at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
import trio

from node.exchange.epoch_file import EpochDamaged, epoch_from_bytes, epoch_to_bytes
from node.inference.traces.trace_store import TRACE_LIFE_MS
from node.system.files import OWNER_ONLY_FOLDER, write_private
from protocol.bounded import Bounded
from protocol.draw import EpochView
from protocol.errors import CuckooError
from protocol.keeping import WORKS_MAX
from protocol.messages import ResultCommitment
from protocol.statement import Domain, Statement, open_statement

WORK_SUFFIX: Final = ".work"
EPOCH_SUFFIX: Final = ".epoch"
EPOCHS_MAX: Final = 128
"""Epochs on disk; beyond it the oldest go. Some 8 MB each with a hundred thousand nodes."""
EPOCHS_READ_MAX: Final = 2
"""Of those, in memory; beyond it the one goes that was not asked for longest."""
_TASK_ID_BYTES: Final = 32

log = structlog.get_logger()


@dataclass(slots=True)
class RecordCounts:
    """:ivar not_written: for want of a disk that takes them; they last until this process ends.

    :ivar damaged: files that could not be read.
    """

    kept: int = 0
    not_written: int = 0
    damaged: int = 0


class WorkRecords:
    """One miner's commitments and epochs.

    :ivar counts: since the start.
    """

    def __init__(self, folder: Path, domain: Domain, now_ms: int, *, life_ms: int = TRACE_LIFE_MS) -> None:
        """Open `folder`, and let go of what is too old. :raises OSError: it cannot be used."""
        self.counts = RecordCounts()
        self._folder, self._domain, self._life_ms = folder, domain, life_ms
        self._commitments: Bounded[bytes, Statement[ResultCommitment]] = Bounded(WORKS_MAX)
        self._epochs: Bounded[int, EpochView] = Bounded(EPOCHS_READ_MAX)
        self._works: OrderedDict[Path, int] = OrderedDict()
        self._epoch_files: OrderedDict[Path, int] = OrderedDict()
        self._writing, self._reading = trio.Lock(), trio.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_FOLDER)
        self._load()
        self.prune(now_ms)

    async def keep(
        self, commitment: Statement[ResultCommitment], epoch: EpochView | None, now_ms: int
    ) -> None:
        """Note a commitment before anybody hears of it: on disk when this returns, in memory at once.

        It is written also when the caller is cancelled meanwhile: it is signed.

        :param epoch: that its task names; None if even this node does not know it any more.
        """
        self._commitments[commitment.message.task_id] = commitment
        if epoch is not None:
            self._epochs[epoch.number] = epoch
        with trio.CancelScope(shield=True):
            async with self._writing:
                try:
                    await self._write(commitment, epoch, now_ms)
                except OSError as error:
                    self.counts.not_written += 1
                    task_id = commitment.message.task_id.hex()
                    log.warning("commitment not kept", task=task_id, error=str(error))
        self.prune(now_ms)

    def commitment_of(self, task_id: bytes) -> Statement[ResultCommitment] | None:
        """The commitment of this miner for a task; None if there is none, or it was long ago."""
        known = self._commitments.get(task_id)
        path = self._work_path(task_id)
        if known is None and path in self._works:
            try:
                known = open_statement(self._domain, path.read_bytes(), ResultCommitment)
            except (OSError, CuckooError) as error:
                self._drop_damaged(self._works, path, error)
                return None
            self._commitments[task_id] = known
        return known

    async def epoch(self, number: int) -> EpochView | None:
        """An epoch in which this miner had work; None if it is not kept."""
        path = self._epoch_path(number)
        # Who waits for the same one finds it in memory.
        async with self._reading:
            known = self._epochs.get(number)
            if known is None and path in self._epoch_files:
                try:
                    known = await trio.to_thread.run_sync(_read_epoch, path)
                except (OSError, EpochDamaged) as error:
                    self._drop_damaged(self._epoch_files, path, error)
                    return None
            if known is not None:
                self._epochs[number] = known
            return known

    def prune(self, now_ms: int) -> None:
        """Remove what is older than its life, and the oldest of what is too much."""
        for kept, most in ((self._works, WORKS_MAX), (self._epoch_files, EPOCHS_MAX)):
            while kept:
                oldest, at_ms = next(iter(kept.items()))
                if at_ms + self._life_ms > now_ms and len(kept) <= most:
                    break
                del kept[oldest]
                oldest.unlink(missing_ok=True)

    # Internals

    async def _write(
        self, commitment: Statement[ResultCommitment], epoch: EpochView | None, now_ms: int
    ) -> None:
        """:raises OSError: the disk does not take it."""
        if epoch is not None:
            path = self._epoch_path(epoch.number)
            if path in self._epoch_files:
                path.touch()  # as young as the last work in it
            else:
                await trio.to_thread.run_sync(_write_epoch, path, epoch)
            self._note(self._epoch_files, path, now_ms)
        path = self._work_path(commitment.message.task_id)
        await trio.to_thread.run_sync(write_private, path, commitment.encoded)
        self._note(self._works, path, now_ms)
        self.counts.kept += 1

    def _work_path(self, task_id: bytes) -> Path:
        return self._folder / (task_id.hex() + WORK_SUFFIX)

    def _epoch_path(self, number: int) -> Path:
        return self._folder / f"{number}{EPOCH_SUFFIX}"

    @staticmethod
    def _note(kept: OrderedDict[Path, int], path: Path, now_ms: int) -> None:
        kept[path] = now_ms
        kept.move_to_end(path)

    def _drop_damaged(self, kept: OrderedDict[Path, int], path: Path, error: Exception) -> None:
        self.counts.damaged += 1
        log.warning("a record of earlier work cannot be read", file=path.name, error=str(error))
        kept.pop(path, None)
        path.unlink(missing_ok=True)

    def _load(self) -> None:
        """Find the files of earlier runs, oldest first; remove all others."""
        found = []
        for path in self._folder.iterdir():
            if _is_record(path):
                found.append((int(path.stat().st_mtime * 1000), path))
            else:
                path.unlink(missing_ok=True)
        for at_ms, path in sorted(found):
            self._note(self._works if path.suffix == WORK_SUFFIX else self._epoch_files, path, at_ms)


def _write_epoch(path: Path, epoch: EpochView) -> None:
    write_private(path, epoch_to_bytes(epoch))


def _read_epoch(path: Path) -> EpochView:
    return epoch_from_bytes(path.read_bytes())


def _is_record(path: Path) -> bool:
    if path.suffix == EPOCH_SUFFIX:
        return path.stem.isascii() and path.stem.isdecimal()
    try:
        return path.suffix == WORK_SUFFIX and len(bytes.fromhex(path.stem)) == _TASK_ID_BYTES
    except ValueError:
        return False
