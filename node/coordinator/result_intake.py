"""Intake of a working miner's stream: chunks, then the commitment, all verified.

Is: a state machine without I/O; feed it payloads, it gives events and at last the output.
Is not: patience; silence and closed streams are the engine's matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from node.coordinator.outcomes import Preview, Progress
from protocol.errors import DecodeError, InvalidMessage
from protocol.evidence import FalsePart
from protocol.hashing import sha256
from protocol.merkle import merkle_root
from protocol.messages import (
    CHUNK_BYTES_MAX,
    OUTPUT_BYTES_MAX,
    ChunkKind,
    ResultChunk,
    ResultCommitment,
    TaskAnnouncement,
    TaskDecline,
)
from protocol.png import picture_bytes_max, require_picture, require_preview
from protocol.statement import Domain, Statement, read_envelope, verify
from protocol.work import SPECS, may_be_all, spec_of

CHUNKS_PER_UNIT_MAX: Final = 3
"""Progress and previews of one unit; more is a flood."""


@dataclass(frozen=True, slots=True)
class LastUnit:
    """No unit follows those that were shown: what they cost falls due."""


Event: TypeAlias = Progress | Preview | LastUnit | TaskDecline | None


class FalseOutput(InvalidMessage):
    """The miner committed to another output than it sent. :ivar evidence: its two statements."""

    def __init__(self, evidence: FalsePart) -> None:
        super().__init__("parts are not the committed ones")
        self.evidence = evidence


class ResultIntake:
    """The stream of one miner for one task, from the input on.

    :ivar units: the last count that was shown.
    :ivar unit_limit: the highest that may be, as far as the miner is paid; all, if nobody says otherwise.
    :ivar commitment: the last statement, once it is here and fits.
    """

    def __init__(self, domain: Domain, task: Statement[TaskAnnouncement], miner: bytes) -> None:
        self._domain = domain
        self._task = task
        self._work = task.message.work
        self._miner = miner
        self._index = 0
        self._chunks_in_unit = 0
        self._units_last = self._work.units
        self._parts: list[bytes] = []
        self._part_bytes = 0
        self._first_part = b""
        self._output_bytes_max = OUTPUT_BYTES_MAX
        if self._work.kind in SPECS and SPECS[self._work.kind].makes_picture:
            self._output_bytes_max = min(OUTPUT_BYTES_MAX, picture_bytes_max(*self._work.image_size()))
        self.units = 0
        self.unit_limit = self._work.units
        self.commitment: Statement[ResultCommitment] | None = None

    @property
    def output(self) -> bytes:
        """All parts so far; the whole output once `commitment` is there."""
        return b"".join(self._parts)

    def receive(self, payload: bytes) -> Event:
        """Take one payload; what follows from it for the app or the miner's pay, if anything.

        :raises DecodeError: nothing that belongs here.
        :raises SignatureError: malformed signature.
        :raises InvalidMessage: a statement that an honest miner would not send now.
        """
        try:
            envelope, message = read_envelope(payload)
        except DecodeError:
            decline = TaskDecline.decode(payload)
            if decline.task_id != self._task.digest:
                raise InvalidMessage("decline is of another task") from None
            return decline
        if not isinstance(message, ResultChunk | ResultCommitment):
            raise InvalidMessage("neither a chunk nor a commitment")
        if message.task_id != self._task.digest:
            raise InvalidMessage("statement is of another task")
        if self.commitment is not None:
            raise InvalidMessage("statement after the commitment")
        if isinstance(message, ResultChunk):
            self._require_miner(verify(self._domain, envelope, message, payload).signer.address)
            return self._take_chunk(message, payload)
        commitment = verify(self._domain, envelope, message, payload)
        self._require_miner(commitment.signer.address)
        self._check_commitment(message, payload)
        self.commitment = commitment
        return None

    def _require_miner(self, signer: bytes) -> None:
        if signer != self._miner:
            raise InvalidMessage("statement is signed by somebody else")

    def _take_chunk(self, chunk: ResultChunk, encoded: bytes) -> Event:
        if chunk.index != self._index:
            raise InvalidMessage("chunks are out of order")
        if not self.units <= chunk.units <= self._units_last:
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
        match chunk.chunk_kind:
            case ChunkKind.PREVIEW:
                require_preview(chunk.payload, *self._work.image_size())
                return Preview(chunk.units, chunk.payload)
            case ChunkKind.LAST_UNIT:
                if not may_be_all(self._work, chunk.units):
                    raise InvalidMessage("not all units were done")
                self._units_last = chunk.units
                return LastUnit()
        return Progress(self._miner, chunk.units, self._work.units)

    def _take_part(self, chunk: ResultChunk, encoded: bytes) -> None:
        if chunk.part != len(self._parts) or not chunk.payload:
            raise InvalidMessage("output is not in its parts")
        if self._parts and len(self._parts[-1]) != CHUNK_BYTES_MAX:
            raise InvalidMessage("a part follows the last one")
        if chunk.units != self._units_last:
            raise InvalidMessage("output before all units were shown")
        self._part_bytes += len(chunk.payload)
        if self._part_bytes > self._output_bytes_max:
            raise InvalidMessage("output is too long")
        if not self._parts:
            self._first_part = encoded
        self._parts.append(chunk.payload)

    def _check_commitment(self, commitment: ResultCommitment, encoded: bytes) -> None:
        output = self.output
        if commitment.units_done != self.units or not may_be_all(self._work, commitment.units_done):
            raise InvalidMessage("not all units were done")
        if commitment.output_root != merkle_root(self._parts):
            if len(self._parts) == 1 and 0 < commitment.output_bytes <= CHUNK_BYTES_MAX:
                # The root of one leaf is that leaf's hash. Of a larger tree the miner alone knows the leaves.
                raise FalseOutput(FalsePart(self._first_part, encoded, commitment.output_root, ()))
            raise InvalidMessage("parts are not the committed ones")
        if commitment.output_bytes != len(output) or commitment.output_hash != sha256(output):
            raise InvalidMessage("output is not the committed one")
        if spec_of(self._work.kind).makes_picture:
            require_picture(output, *self._work.image_size())
