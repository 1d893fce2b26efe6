"""An input and its source image over the coordinator's replies: whole, in parts, and every lie about them."""

import dataclasses

import pytest

from node.exchange.inputs import send_input, take_input
from protocol.errors import DecodeError, InvalidMessage
from protocol.messages import CHUNK_BYTES_MAX, SOURCE_BYTES_MAX, ReplyKind, Source, TaskReply
from protocol.task_input import image_input
from protocol.work import ImageNumbers, SourceRole, WorkKind
from tests.node.builders import STEPS, announcement, image_work
from tests.node.inference.builders import a_source

PLAIN = a_source()
LONG = PLAIN + bytes(CHUNK_BYTES_MAX)
"""The same image with something after it that decoders do not look at."""


def the_input(source, seed=1):
    return image_input(ImageNumbers(seed, 1000, STEPS), ("a cat", ""), bytes(32), 0, source)


def the_task(task_input):
    kind = WorkKind.IMAGE_TO_IMAGE if task_input.public.sources else WorkKind.TEXT_TO_IMAGE
    return dataclasses.replace(
        announcement(), work=image_work(kind=kind), input_commitment=task_input.commitment()
    )


class Replies:
    """What a coordinator sends, taken one by one."""

    def __init__(self):
        self.sent = []

    async def send(self, payload):
        assert len(payload) <= CHUNK_BYTES_MAX + 1024
        self.sent.append(TaskReply.decode(payload))

    async def hear(self):
        return self.sent.pop(0)


async def sent(source, task_input=None):
    replies = Replies()
    await send_input(replies, (task_input or the_input(source)).encode(), (source,) if source else ())
    return replies


@pytest.mark.parametrize("source", [b"", PLAIN, LONG], ids=["none", "one part", "two parts"])
async def test_what_is_sent_arrives(source):
    replies, task_input = await sent(source), the_input(source)
    assert len(replies.sent) == 1 + -(-len(source) // CHUNK_BYTES_MAX)
    taken = await take_input(the_task(task_input), await replies.hear(), replies.hear)
    assert taken == (task_input, (source,) if source else ())
    assert replies.sent == []


async def test_attack_another_input():
    replies = await sent(b"", the_input(b"", seed=2))
    with pytest.raises(InvalidMessage, match="not the one that was announced"):
        await take_input(the_task(the_input(b"")), await replies.hear(), replies.hear)


async def test_attack_bytes_that_are_no_input():
    with pytest.raises(DecodeError):
        await take_input(the_task(the_input(b"")), TaskReply(ReplyKind.INPUT, b"x", ""), None)


async def test_attack_more_bytes_than_a_source_image_may_have():
    with pytest.raises(ValueError, match="size_bytes"):
        Source(SourceRole.IMAGE, SOURCE_BYTES_MAX + 1, bytes(32)).encode()


@pytest.mark.parametrize(
    "lie",
    [
        TaskReply(ReplyKind.SOURCE_PART, bytes(CHUNK_BYTES_MAX - 1), ""),
        TaskReply(ReplyKind.SOURCE_PART, b"", ""),
        TaskReply(ReplyKind.RECEIVED, bytes(CHUNK_BYTES_MAX), ""),
    ],
    ids=["short", "empty", "another kind"],
)
async def test_attack_parts_that_are_none(lie):
    replies = await sent(LONG)
    first = await replies.hear()
    replies.sent[0] = lie
    with pytest.raises(InvalidMessage, match="not in its parts"):
        await take_input(the_task(the_input(LONG)), first, replies.hear)


async def test_attack_another_source_image_of_the_same_length():
    replies = await sent(PLAIN)
    first = await replies.hear()
    part = replies.sent[0]
    replies.sent[0] = TaskReply(part.reply_kind, part.payload[:-1] + b"!", "")
    with pytest.raises(InvalidMessage, match="not the one of the input"):
        await take_input(the_task(the_input(PLAIN)), first, replies.hear)


async def test_attack_a_bomb_is_not_even_decoded():
    """The hash is right, and the bytes say 100,000 x 100,000 pixels."""
    bomb = PLAIN[:16] + (100_000).to_bytes(4, "big") * 2 + PLAIN[24:]
    replies = await sent(bomb)
    with pytest.raises(InvalidMessage, match="plain PNG"):
        await take_input(the_task(the_input(bomb)), await replies.hear(), replies.hear)
