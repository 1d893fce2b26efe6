"""The input of a task on its direct stream: the coordinator's side sends it, the miner's takes it.

Is: the `TaskReply`s that carry an input and its sources, and their checks.
Is not: when a miner gets it (`roles/coordinator`), or what it does with it (`roles/miner`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from p2p.streams import DirectStream
from protocol.errors import InvalidMessage
from protocol.messages import CHUNK_BYTES_MAX, ReplyKind, TaskAnnouncement, TaskInput, TaskReply, parts_of
from protocol.task_input import require_input, require_source


async def send_input(stream: DirectStream, input_encoded: bytes, sources: Iterable[bytes]) -> None:
    """Send an input, and behind it each source in its parts.

    :raises Refusal: as `DirectStream.send`.
    """
    await stream.send(TaskReply(ReplyKind.INPUT, input_encoded, "").encode())
    for source in sources:
        for part in parts_of(source):
            await stream.send(TaskReply(ReplyKind.SOURCE_PART, part, "").encode())


async def take_input(
    task: TaskAnnouncement, reply: TaskReply, hear: Callable[[], Awaitable[TaskReply]]
) -> tuple[TaskInput, tuple[bytes, ...]]:
    """The input in an INPUT reply, and the sources, in their order, in the replies that follow it.

    :param hear: gives the next reply on the stream.
    :raises ProtocolError: not what was announced; nothing beyond the announced length is taken.
    :raises Refusal: as `hear`.
    """
    task_input = TaskInput.decode(reply.payload)
    require_input(task, task_input)
    sources = []
    for source in task_input.public.sources:
        data = await _take_source(source.size_bytes, hear)
        require_source(task, source, data)
        sources.append(data)
    return task_input, tuple(sources)


async def _take_source(missing: int, hear: Callable[[], Awaitable[TaskReply]]) -> bytes:
    parts: list[bytes] = []
    while missing:
        reply = await hear()
        expected = min(missing, CHUNK_BYTES_MAX)
        if reply.reply_kind != ReplyKind.SOURCE_PART or len(reply.payload) != expected:
            raise InvalidMessage("source is not in its parts")
        parts.append(reply.payload)
        missing -= expected
    return b"".join(parts)
