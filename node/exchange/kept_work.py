"""The work that a miner keeps beside its trace: input, sources and picture, and how they travel.

Is: one file of a task, and the payloads in which it goes to an auditor before the opening, with their checks.
Is not: who may have them (`openings`), or for how long (`TraceStore`).

Everything in it is bound by what was signed: the input by the announcement, the sources by the input, the
picture by the commitment. So an auditor need not trust who it has them from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from node.exchange.inputs import InputIntake
from node.inference.traces.trace_file import TraceError
from protocol.errors import DecodeError, InvalidMessage
from protocol.hashing import sha256
from protocol.merkle import merkle_root
from protocol.messages import OUTPUT_BYTES_MAX, SOURCES_MAX, TaskInput, parts_of

if TYPE_CHECKING:
    from p2p.streams import DirectStream
    from protocol.messages import ResultCommitment, TaskAnnouncement

LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class KeptWork:
    """One task's.

    :ivar task_input: that was announced.
    :ivar sources: of the input, in its order.
    :ivar picture: that was committed to.
    """

    task_input: TaskInput
    sources: tuple[bytes, ...]
    picture: bytes

    def encode(self) -> bytes:
        """The file: input, picture and sources, each behind its length in 4 bytes, big-endian."""
        parts = (self.task_input.encode(), self.picture, *self.sources)
        return b"".join(len(part).to_bytes(LENGTH_BYTES, "big") + part for part in parts)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The work in a file of `encode`. :raises TraceError: it is damaged."""
        parts: list[bytes] = []
        at = 0
        while at < len(data) and len(parts) < 2 + SOURCES_MAX:
            end = at + LENGTH_BYTES + int.from_bytes(data[at : at + LENGTH_BYTES], "big")
            parts.append(data[at + LENGTH_BYTES : end])
            at = end
        if at != len(data) or len(parts) < 2:  # noqa: PLR2004 - input and picture
            raise TraceError("the work of the trace is damaged")
        try:
            return cls(TaskInput.decode(parts[0]), tuple(parts[2:]), parts[1])
        except DecodeError as error:
            raise TraceError("the work of the trace is damaged") from error

    def payloads(self) -> Iterator[bytes]:
        """As they travel: the input, each source in its parts, the picture in its parts."""
        yield self.task_input.encode()
        for data in (*self.sources, self.picture):
            yield from parts_of(data)


async def receive_work(
    stream: DirectStream, task: TaskAnnouncement, commitment: ResultCommitment
) -> KeptWork:
    """The work as a miner sends `KeptWork.payloads`, every byte of it proved by what was signed.

    :raises Refusal: as `DirectStream.receive`.
    :raises ProtocolError: it is not what was announced and committed to.
    """
    intake = InputIntake(task, await receive_some(stream))
    while not intake.complete:
        intake.take_part(await receive_some(stream))
    parts: list[bytes] = []
    missing = min(commitment.output_bytes, OUTPUT_BYTES_MAX)
    while missing > 0:
        parts.append(await receive_some(stream))
        missing -= len(parts[-1])
    picture = b"".join(parts)
    if sha256(picture) != commitment.output_hash or merkle_root(parts_of(picture)) != commitment.output_root:
        raise InvalidMessage("picture is not the committed one")
    return KeptWork(intake.task_input, intake.sources, picture)


async def receive_some(stream: DirectStream) -> bytes:
    """The next payload. :raises InvalidMessage: there is none, or it is empty."""
    payload = await stream.receive()
    if not payload:
        raise InvalidMessage("the answer ended early")
    return payload
