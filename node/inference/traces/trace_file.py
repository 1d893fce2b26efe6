"""A trace on disk: every tensor of a job in one file, where each can be found without reading the others.

Is: written by the worker as it works, read by the node when somebody asks for an opening.
Is not: which files are kept (`trace_store`), or what the numbers mean.

    head    = "cuckoo-trace/3" 0a | steps (2 bytes) | bytes of one tensor (4) | tensors per step (1)
              | 1 with a source latent, else 0 (1)
    tensors = [source latent,] for each step: latent, [unconditional,] conditional; then the final latent
    hashes  = for each step: its leaf, 96 bytes; then the hash of the final latent, and of the source latent

All numbers are big-endian. A file gets its name when it is complete; until then it ends in `.partial`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from protocol.errors import LocalError
from protocol.tensor import TENSOR_BYTES_MAX, is_tensor, tensor_hash
from protocol.trace import STEPS_MAX, TraceLeaf

if TYPE_CHECKING:
    from types import TracebackType

MAGIC: Final = b"cuckoo-trace/3\n"
HEAD_BYTES: Final = len(MAGIC) + 8
HASH_BYTES: Final = 32
LEAF_BYTES: Final = 3 * HASH_BYTES
PARTIAL: Final = ".partial"
GUIDED_TENSORS: Final = 3
UNGUIDED_TENSORS: Final = 2


class TraceError(LocalError):
    """A trace on this machine is incomplete or damaged, or cannot be written."""


class TraceWriter:
    """Takes the tensors of one job step by step.

    :ivar leaves: of the steps so far.
    :ivar source_latent: hash of the source latent, of no tensor without one.

    Without a path nothing is written, and only the hashes are taken.
    """

    def __init__(self, path: Path | None, steps: int, source: bytes = b"") -> None:
        """Begin.

        :param path: where the complete file will be.
        :param steps: how many will come.
        :param source: the source latent; empty without one.
        """
        self.leaves: list[TraceLeaf] = []
        self.source_latent = tensor_hash(source)
        self._source = source
        self._path = path
        self._steps = steps
        self._file: BinaryIO | None = None

    def add(self, latent: bytes, unconditional: bytes, conditional: bytes) -> None:
        """Take one step. :raises OSError: it cannot be written."""
        leaf = TraceLeaf.of(latent, unconditional, conditional)
        if self._path is not None:
            if self._file is None:
                self._file = Path(f"{self._path}{PARTIAL}").open("wb")  # noqa: SIM115 - it outlives this call
                tensors = GUIDED_TENSORS if unconditional else UNGUIDED_TENSORS
                numbers = self._steps.to_bytes(2, "big") + len(latent).to_bytes(4, "big")
                self._file.write(MAGIC + numbers + bytes([tensors, bool(self._source)]) + self._source)
            self._file.write(latent + unconditional + conditional)
        self.leaves.append(leaf)

    def finish(self, final_latent: bytes) -> bytes:
        """Take the latent after the last step, give the file its name, return the latent's hash.

        :raises OSError: it cannot be written.
        """
        digest = tensor_hash(final_latent)
        if self._file is not None and self._path is not None:
            leaves = b"".join(leaf.joined for leaf in self.leaves)
            self._file.write(final_latent + leaves + digest + self.source_latent)
            self._file.close()
            self._file = None
            Path(f"{self._path}{PARTIAL}").replace(self._path)
        return digest

    def discard(self) -> None:
        """Remove what was written so far; after `finish` it does nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None
            Path(f"{self._path}{PARTIAL}").unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Head:
    """The header of a file."""

    steps: int
    tensor_bytes: int
    tensors: int
    sources: int

    @property
    def step_bytes(self) -> int:
        return self.tensors * self.tensor_bytes

    def step_at(self, step: int) -> int:
        """Where the tensors of a step begin; after the last, the final latent."""
        return HEAD_BYTES + self.sources * self.tensor_bytes + step * self.step_bytes

    @property
    def hashes_at(self) -> int:
        return self.step_at(self.steps) + self.tensor_bytes

    @property
    def file_bytes(self) -> int:
        return self.hashes_at + self.steps * LEAF_BYTES + 2 * HASH_BYTES


class TraceFile:
    """A complete trace, open for reading. A context manager.

    :ivar leaves: of all steps.
    :ivar final_latent: hash of the latent after the last step.
    :ivar source_latent: hash of the source latent, of no tensor without one.
    """

    def __init__(self, path: Path) -> None:
        """:raises TraceError: no file, or not a complete one."""
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise TraceError("the trace is not there") from error
        try:
            self._head = self._read_head(path)
            self._file.seek(self._head.hashes_at)
            hashes = self._file.read()
        except BaseException:
            self._file.close()
            raise
        rows = [hashes[at : at + LEAF_BYTES] for at in range(0, self._head.steps * LEAF_BYTES, LEAF_BYTES)]
        self.leaves = [TraceLeaf(row[:32], row[32:64], row[64:]) for row in rows]
        self.final_latent, self.source_latent = hashes[-2 * HASH_BYTES : -HASH_BYTES], hashes[-HASH_BYTES:]

    def _read_head(self, path: Path) -> _Head:
        head = self._file.read(HEAD_BYTES)
        numbers = head[len(MAGIC) :]
        read = _Head(
            int.from_bytes(numbers[:2], "big"),
            int.from_bytes(numbers[2:6], "big"),
            int.from_bytes(numbers[6:7], "big"),
            int.from_bytes(numbers[7:], "big"),
        )
        if (
            not head.startswith(MAGIC)
            or not 1 <= read.steps <= STEPS_MAX
            or not 1 <= read.tensor_bytes <= TENSOR_BYTES_MAX
            or read.tensors not in {GUIDED_TENSORS, UNGUIDED_TENSORS}
            or read.sources > 1
            or path.stat().st_size != read.file_bytes
        ):
            raise TraceError("the trace is incomplete")
        return read

    def tensors(self, step: int) -> tuple[bytes, bytes, bytes]:
        """Latent, unconditional (empty without guidance) and conditional output of a step, from 0.

        :raises TraceError: they are not what the leaf says.
        """
        assert 0 <= step < self._head.steps
        self._file.seek(self._head.step_at(step))
        size, read = self._head.tensor_bytes, self._file.read(self._head.step_bytes)
        parts = [read[at * size : (at + 1) * size] for at in range(self._head.tensors)]
        found = (parts[0], parts[1] if len(parts) == GUIDED_TENSORS else b"", parts[-1])
        leaf = self.leaves[step]
        if not all(map(is_tensor, found, (leaf.latent, leaf.unconditional, leaf.conditional))):
            raise TraceError("the trace is damaged")
        return found

    def final(self) -> bytes:
        """The latent after the last step. :raises TraceError: it is not what its hash says."""
        return self._read_hashed(self._head.step_at(self._head.steps), 1, self.final_latent)

    def source(self) -> bytes:
        """The source latent; empty without one. :raises TraceError: it is not what its hash says."""
        return self._read_hashed(HEAD_BYTES, self._head.sources, self.source_latent)

    def _read_hashed(self, at: int, tensors: int, digest: bytes) -> bytes:
        self._file.seek(at)
        found = self._file.read(tensors * self._head.tensor_bytes)
        if not is_tensor(found, digest):
            raise TraceError("the trace is damaged")
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
