"""What a coordinator takes from a working miner's stream: chunks, then the commitment, all verified.

Is: a state machine without I/O; feed it payloads, it gives events and at last the image.
Is not: patience; silence and closed streams are the caller's matter.
"""

from __future__ import annotations

from typing import TypeAlias

from node.coordinator.requests import Preview, Progress
from protocol.errors import InvalidMessage
from protocol.evidence import FalsePart
from protocol.hashing import sha256
from protocol.merkle import merkle_root
from protocol.messages import (
    CHUNK_BYTES_MAX,
    ChunkKind,
    ResultChunk,
    ResultCommitment,
    TaskAnnouncement,
)
from protocol.statement import Domain, Statement, read_envelope, verify
from protocol.work import may_be_all

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHUNKS_PER_UNIT_MAX = 3
"""Progress and previews of one unit; more is a flood."""

Event: TypeAlias = Progress | Preview | None


class FalseImage(InvalidMessage):
    """The miner committed to another image than it sent. :ivar evidence: its two statements."""

    def __init__(self, evidence: FalsePart) -> None:
        super().__init__("parts are not the committed ones")
        self.evidence = evidence


class ResultIntake:
    """The stream of one miner for one task.

    :ivar units: how many were shown.
    :ivar unit_limit: how many may be, as far as the miner is paid; all, if nobody says otherwise.
    """

    def __init__(self, domain: Domain, task: Statement[TaskAnnouncement], miner: bytes) -> None:
        self._domain = domain
        self._task = task
        self._miner = miner
        self._index = 0
        self.units = 0
        self.unit_limit = task.message.work.units
        self._chunks_in_unit = 0
        self._parts: list[bytes] = []
        self._first_part = b""
        self.commitment: Statement[ResultCommitment] | None = None

    @property
    def image(self) -> bytes:
        """All parts so far; the whole PNG once `commitment` is there."""
        return b"".join(self._parts)

    def receive(self, payload: bytes) -> Event:
        """Take one signed statement; what the app should hear of it, if anything.

        :raises DecodeError: not a statement that belongs here.
        :raises SignatureError: malformed signature.
        :raises InvalidMessage: a statement that an honest miner would not send now.
        """
        envelope, message = read_envelope(payload)
        if not isinstance(message, ResultChunk | ResultCommitment):
            raise InvalidMessage("neither a chunk nor a commitment")
        if message.task_id != self._task.digest:
            raise InvalidMessage("statement is of another task")
        if self.commitment is not None:
            raise InvalidMessage("statement after the commitment")
        if isinstance(message, ResultCommitment):
            commitment = verify(self._domain, envelope, message, payload)
            self._require_miner(commitment.signer.address)
            self._check_commitment(message, payload)
            self.commitment = commitment
            return None
        chunk = verify(self._domain, envelope, message, payload)
        self._require_miner(chunk.signer.address)
        return self._take_chunk(message, payload)

    def _require_miner(self, signer: bytes) -> None:
        if signer != self._miner:
            raise InvalidMessage("statement is signed by somebody else")

    def _take_chunk(self, chunk: ResultChunk, encoded: bytes) -> Event:
        if chunk.index != self._index:
            raise InvalidMessage("chunks are out of order")
        if not self.units <= chunk.units <= self._task.message.work.units:
            raise InvalidMessage("units are out of order")
        if chunk.units > self.unit_limit:
            raise InvalidMessage("units are beyond what is paid for")
        self._chunks_in_unit = self._chunks_in_unit + 1 if chunk.units == self.units else 1
        self._index, self.units = self._index + 1, chunk.units
        if chunk.chunk_kind == ChunkKind.OUTPUT_PART:
            self._take_part(chunk, encoded)
            return None
        if chunk.part:
            raise InvalidMessage("chunk is not a part of the output, but has a number")
        if self._parts or self._chunks_in_unit > CHUNKS_PER_UNIT_MAX:
            raise InvalidMessage("too many chunks")
        if chunk.chunk_kind == ChunkKind.PREVIEW:
            if not chunk.payload.startswith(PNG_SIGNATURE):
                raise InvalidMessage("preview is not a PNG")
            return Preview(chunk.units, chunk.payload)
        if chunk.chunk_kind == ChunkKind.LAST_UNIT:
            raise InvalidMessage("an image does not end early")
        return Progress(self._miner, chunk.units, self._task.message.work.units)

    def _take_part(self, chunk: ResultChunk, encoded: bytes) -> None:
        if chunk.part != len(self._parts) or not chunk.payload:
            raise InvalidMessage("image is not in its parts")
        if self._parts and len(self._parts[-1]) != CHUNK_BYTES_MAX:
            raise InvalidMessage("a part follows the last one")
        if not self._parts:
            self._first_part = encoded
        self._parts.append(chunk.payload)

    def _check_commitment(self, commitment: ResultCommitment, encoded: bytes) -> None:
        image = self.image
        if not may_be_all(self._task.message.work, commitment.units_done):
            raise InvalidMessage("not all units were done")
        if not image.startswith(PNG_SIGNATURE):
            raise InvalidMessage("image is not a PNG")
        if commitment.output_root != merkle_root(self._parts):
            if len(self._parts) == 1 and 0 < commitment.output_bytes <= CHUNK_BYTES_MAX:
                # The root of one leaf is that leaf's hash. Of a larger tree the miner alone knows the leaves.
                raise FalseImage(FalsePart(self._first_part, encoded, commitment.output_root, ()))
            raise InvalidMessage("parts are not the committed ones")
        if commitment.output_bytes != len(image) or commitment.output_hash != sha256(image):
            raise InvalidMessage("image is not the committed one")
