"""An input against its announcement: each way in which it may be another one, or not of the task's kind."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from protocol.errors import DecodeError, InvalidMessage
from protocol.merkle import leaf_hash, merkle_root
from protocol.messages import Source, TaskInput
from protocol.png import PNG_HEADER_BYTES, is_plain_png
from protocol.task_input import prove_public, require_input, require_source, verify_public
from protocol.work import ImageNumbers, UnknownKind, Work, WorkKind
from tests.protocol import builders
from tests.protocol.builders import STEPS
from tests.protocol.strategies import lawful, structs


def png(width=64, height=64, mode="RGB", form="PNG", **options):
    buffer = io.BytesIO()
    Image.new(mode, (width, height)).save(buffer, form, **options)
    return buffer.getvalue()


SOURCE = png()


def task_for(given_input, work):
    return builders.announcement(work=work, input_commitment=given_input.commitment()), given_input


def task_of(kind, **changes):
    return task_for(builders.task_input(**changes), builders.work(kind=kind))


def edit_of(source=SOURCE, schedule_steps=STEPS + 2):
    return task_of(WorkKind.IMAGE_TO_IMAGE, source=source, schedule_steps=schedule_steps)


def check_source(source, data):
    """Hold a file against an edit of `source`."""
    task, given_input = edit_of(source)
    require_source(task, given_input.public.sources[0], data)


def test_inputs_of_both_kinds_fit_and_give_their_numbers():
    assert require_input(*task_of(WorkKind.TEXT_TO_IMAGE)) == ImageNumbers(42, 7_500, STEPS)
    for schedule_steps in (STEPS, STEPS + 50):
        numbers = require_input(*edit_of(schedule_steps=schedule_steps))
        assert numbers == ImageNumbers(42, 7_500, schedule_steps)
    check_source(SOURCE, SOURCE)


def test_attack_another_input_than_the_announced():
    task, _ = task_of(WorkKind.TEXT_TO_IMAGE)
    with pytest.raises(InvalidMessage, match="not the one"):
        require_input(task, builders.task_input(seed=43))


FROM_TEXT, FROM_IMAGE = builders.task_input(), builders.task_input(source=SOURCE)


def with_public(given_input, **changes):
    return builders.changed(given_input, public=builders.changed(given_input.public, **changes))


@pytest.mark.parametrize(
    ("kind", "given_input"),
    [
        (WorkKind.TEXT_TO_IMAGE, builders.task_input(schedule_steps=STEPS + 1)),
        (WorkKind.TEXT_TO_IMAGE, builders.task_input(schedule_steps=STEPS - 1)),
        (WorkKind.TEXT_TO_IMAGE, FROM_IMAGE),
        (WorkKind.TEXT_TO_IMAGE, with_public(FROM_TEXT, numbers=b"")),
        (WorkKind.TEXT_TO_IMAGE, with_public(FROM_TEXT, numbers=FROM_TEXT.public.numbers + b"\x00")),
        (WorkKind.IMAGE_TO_IMAGE, FROM_TEXT),
        (WorkKind.IMAGE_TO_IMAGE, builders.task_input(source=SOURCE, schedule_steps=STEPS - 1)),
        (WorkKind.IMAGE_TO_IMAGE, with_public(FROM_IMAGE, sources=FROM_IMAGE.public.sources * 2)),
        (WorkKind.IMAGE_TO_IMAGE, with_public(FROM_IMAGE, sources=(Source(1, 9, bytes(32)),))),
        (WorkKind.IMAGE_TO_IMAGE, with_public(FROM_IMAGE, sources=(Source(0, 0, bytes(32)),))),
    ],
    ids=[
        *("a longer schedule", "a shorter schedule", "a source", "no numbers", "more numbers"),
        *("no source", "fewer steps than units", "two sources", "another role", "an empty source"),
    ],
)
def test_attack_an_input_of_another_kind(kind, given_input):
    with pytest.raises(InvalidMessage) as caught:
        require_input(*task_for(given_input, builders.work(kind=kind)))
    assert caught.value.reason == "input is not of the task's kind"


def test_an_input_of_a_kind_that_is_not_known_here():
    with pytest.raises(UnknownKind) as caught:
        require_input(*task_for(FROM_TEXT, Work(9, 1, b"")))
    assert caught.value.kind == 9


def test_the_public_half_is_proved_without_the_other():
    proof = prove_public(FROM_IMAGE)
    root = FROM_IMAGE.commitment()
    assert verify_public(root, FROM_IMAGE.public.encode(), proof) == FROM_IMAGE.public
    assert proof == (leaf_hash(FROM_IMAGE.sealed.encode()),)
    for data, siblings in (
        (FROM_TEXT.public.encode(), proof),
        (FROM_IMAGE.public.encode(), prove_public(FROM_TEXT)[::-1] + proof),
        (FROM_IMAGE.public.encode(), ()),
        (FROM_IMAGE.sealed.encode(), (leaf_hash(FROM_IMAGE.public.encode()),)),
    ):
        with pytest.raises(InvalidMessage) as caught:
            verify_public(root, data, siblings)
        assert caught.value.reason == "this is not the public half of the announced input"
    junk = merkle_root((b"junk", FROM_IMAGE.sealed.encode()))
    with pytest.raises(DecodeError):
        verify_public(junk, b"junk", proof)


@lawful
@given(structs(TaskInput), structs(TaskInput))
def test_another_half_is_another_commitment(one, other):
    for mixed in (TaskInput(one.public, other.sealed), TaskInput(other.public, one.sealed), other):
        assert (mixed.commitment() == one.commitment()) == (mixed == one)
    assert verify_public(one.commitment(), one.public.encode(), prove_public(one)) == one.public


@pytest.mark.parametrize(
    "source",
    [
        png(width=65),
        png(height=100_000, width=1),
        png(mode="RGBA"),
        png(mode="L"),
        png(mode="P"),
        png(form="JPEG"),
        SOURCE[: PNG_HEADER_BYTES - 1],
        SOURCE[: PNG_HEADER_BYTES - 1] + b"\x01" + SOURCE[PNG_HEADER_BYTES:],
    ],
    ids=["wider", "a bomb", "with alpha", "grey", "palette", "another format", "cut", "interlaced"],
)
def test_attack_a_source_image_of_another_form(source):
    with pytest.raises(InvalidMessage, match="plain PNG"):
        check_source(source, source)


def test_attack_another_source_image():
    for source in (png(compress_level=0), b"", SOURCE + b"x"):
        with pytest.raises(InvalidMessage, match="not the one of the input"):
            check_source(SOURCE, source)


@lawful
@given(st.binary(max_size=60), st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1))
def test_any_bytes_are_judged(data, width, height):
    assert not is_plain_png(data, width, height)
    assert is_plain_png(SOURCE[:PNG_HEADER_BYTES] + data, 64, 64)
