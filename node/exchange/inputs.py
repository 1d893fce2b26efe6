"""The input of a task on its direct stream: what the coordinator sends of it, and how the miner takes it.

Is: the `TaskReply`s that carry an input and its sources, and their checks, over bytes alone.
Is not: when a miner gets it (`node/coordinator`), or what it does with it (`node/miner`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from p2p.streams import DirectStream
from protocol.errors import InvalidMessage
from protocol.messages import (
    CHUNK_BYTES_MAX,
    ReplyKind,
    Source,
    TaskAnnouncement,
    TaskInput,
    TaskReply,
    parts_of,
)
from protocol.task_input import require_input, require_source


def input_payloads(input_encoded: bytes, sources: Iterable[bytes]) -> Iterator[bytes]:
    """An input, and behind it each source in its parts: payloads of the task's stream, in their order."""
    yield TaskReply(ReplyKind.INPUT, input_encoded, "").encode()
    for source in sources:
        for part in parts_of(source):
            yield TaskReply(ReplyKind.SOURCE_PART, part, "").encode()


async def send_input(stream: DirectStream, input_encoded: bytes, sources: Iterable[bytes]) -> None:
    """Send an input and its sources.

    :raises Refusal: as `DirectStream.send`.
    """
    for payload in input_payloads(input_encoded, sources):
        await stream.send(payload)


class InputIntake:
    """The miner's end: an input that comes in, part by part. No more is taken than was announced.

    :ivar task_input: the input.
    :ivar sources: those that are here whole, in the input's order.
    """

    def __init__(self, task: TaskAnnouncement, payload: bytes) -> None:
        """Begin with the payload of an INPUT reply.

        :raises ProtocolError: not the input that was announced.
        """
        self.task_input = TaskInput.decode(payload)
        require_input(task, self.task_input)
        self.sources: tuple[bytes, ...] = ()
        self._task = task
        self._parts: list[bytes] = []
        self._missing = self.task_input.public.sources[0].size_bytes if self.task_input.public.sources else 0

    @property
    def complete(self) -> bool:
        """Whether everything is here."""
        return len(self.sources) == len(self.task_input.public.sources)

    @property
    def bytes_max(self) -> int:
        """Bytes of all sources together once they are here."""
        return sum(source.size_bytes for source in self.task_input.public.sources)

    def take_part(self, payload: bytes) -> None:
        """Take the payload of a SOURCE_PART reply.

        :raises InvalidMessage: not the next part, or not of the source that was announced.
        """
        if self.complete or len(payload) != min(self._missing, CHUNK_BYTES_MAX):
            raise InvalidMessage("source is not in its parts")
        self._parts.append(payload)
        self._missing -= len(payload)
        if not self._missing:
            self._end_source(self.task_input.public.sources[len(self.sources)])

    def _end_source(self, source: Source) -> None:
        data = b"".join(self._parts)
        require_source(self._task, source, data)
        self.sources += (data,)
        self._parts.clear()
        if not self.complete:
            self._missing = self.task_input.public.sources[len(self.sources)].size_bytes
