"""The input of a task on its direct stream: the coordinator's side sends it, the miner's takes it.

Is: the `TaskReply`s that carry an input and its source image, and their checks.
Is not: when a miner gets it (`roles/coordinator`), or what it does with it (`roles/miner`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from p2p.streams import DirectStream
from protocol.errors import InvalidMessage
from protocol.messages import CHUNK_BYTES_MAX, ReplyKind, TaskAnnouncement, TaskInput, TaskReply, image_parts
from protocol.task_input import require_input, require_source


async def send_input(stream: DirectStream, input_encoded: bytes, source: bytes) -> None:
    """Send an input, and behind it the source image in its parts.

    :raises Refusal: as `DirectStream.send`.
    """
    await stream.send(TaskReply(ReplyKind.INPUT, input_encoded, "").encode())
    for part in image_parts(source):
        await stream.send(TaskReply(ReplyKind.SOURCE_PART, part, "").encode())


async def take_input(
    task: TaskAnnouncement, reply: TaskReply, hear: Callable[[], Awaitable[TaskReply]]
) -> tuple[TaskInput, bytes]:
    """The input in an INPUT reply, and the source image in those that follow it; empty without one.

    :param hear: gives the next reply on the stream.
    :raises ProtocolError: not what was announced; nothing beyond the announced length is taken.
    :raises Refusal: as `hear`.
    """
    task_input = TaskInput.decode(reply.payload)
    require_input(task, task_input)
    parts: list[bytes] = []
    missing = task_input.source_bytes
    while missing:
        reply = await hear()
        expected = min(missing, CHUNK_BYTES_MAX)
        if reply.reply_kind != ReplyKind.SOURCE_PART or len(reply.payload) != expected:
            raise InvalidMessage("source image is not in its parts")
        parts.append(reply.payload)
        missing -= expected
    source = b"".join(parts)
    require_source(task, task_input, source)
    return task_input, source
