"""An input and its source image over the coordinator's replies: whole, in parts, and every lie about them."""

import dataclasses

import pytest

from node.exchange.inputs import InputIntake, input_payloads, send_input
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


def sent(source, task_input=None):
    """The replies that a coordinator sends."""
    encoded = (task_input or the_input(source)).encode()
    payloads = list(input_payloads(encoded, (source,) if source else ()))
    assert all(len(payload) <= CHUNK_BYTES_MAX + 1024 for payload in payloads)
    return [TaskReply.decode(payload) for payload in payloads]


def taken(task, replies):
    intake = InputIntake(task, replies[0].payload)
    for reply in replies[1:]:
        assert not intake.complete
        assert reply.reply_kind == ReplyKind.SOURCE_PART
        intake.take_part(reply.payload)
    return intake


@pytest.mark.parametrize("source", [b"", PLAIN, LONG], ids=["none", "one part", "two parts"])
def test_what_is_sent_arrives(source):
    task_input, replies = the_input(source), sent(source)
    assert len(replies) == 1 + -(-len(source) // CHUNK_BYTES_MAX)
    intake = taken(the_task(task_input), replies)
    assert intake.complete
    assert (intake.task_input, intake.sources) == (task_input, (source,) if source else ())
    assert intake.bytes_max == len(source)


async def test_a_stream_gets_the_payloads_in_order():
    class Stream:
        def __init__(self):
            self.payloads = []

        async def send(self, payload):
            self.payloads.append(payload)

    stream, encoded = Stream(), the_input(LONG).encode()
    await send_input(stream, encoded, (LONG,))
    assert stream.payloads == list(input_payloads(encoded, (LONG,)))


def test_attack_another_input():
    with pytest.raises(InvalidMessage, match="not the one that was announced"):
        taken(the_task(the_input(b"")), sent(b"", the_input(b"", seed=2)))


def test_attack_bytes_that_are_no_input():
    with pytest.raises(DecodeError):
        InputIntake(the_task(the_input(b"")), b"x")


def test_attack_more_bytes_than_a_source_image_may_have():
    with pytest.raises(ValueError, match="size_bytes"):
        Source(SourceRole.IMAGE, SOURCE_BYTES_MAX + 1, bytes(32)).encode()


@pytest.mark.parametrize("lie", [bytes(CHUNK_BYTES_MAX - 1), b""], ids=["short", "empty"])
def test_attack_parts_that_are_none(lie):
    replies = sent(LONG)
    replies[1] = TaskReply(ReplyKind.SOURCE_PART, lie, "")
    with pytest.raises(InvalidMessage, match="not in its parts"):
        taken(the_task(the_input(LONG)), replies)


def test_attack_a_part_after_the_last():
    intake = taken(the_task(the_input(PLAIN)), sent(PLAIN))
    with pytest.raises(InvalidMessage, match="not in its parts"):
        intake.take_part(b"more")


def test_attack_another_source_image_of_the_same_length():
    replies = sent(PLAIN)
    replies[1] = TaskReply(ReplyKind.SOURCE_PART, replies[1].payload[:-1] + b"!", "")
    with pytest.raises(InvalidMessage, match="not the one of the input"):
        taken(the_task(the_input(PLAIN)), replies)


def test_attack_a_bomb_is_not_even_decoded():
    """The hash is right, and the bytes say 100,000 x 100,000 pixels."""
    bomb = PLAIN[:16] + (100_000).to_bytes(4, "big") * 2 + PLAIN[24:]
    with pytest.raises(InvalidMessage, match="plain PNG"):
        taken(the_task(the_input(bomb)), sent(bomb))
