"""An input against its announcement: each way in which it may be another one, or not of the task's kind."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from protocol.errors import InvalidMessage
from protocol.hashing import sha256
from protocol.messages import TaskKind
from protocol.task_input import PNG_HEADER_BYTES, is_plain_png, require_input, require_source
from tests.protocol import builders
from tests.protocol.builders import STEPS
from tests.protocol.strategies import lawful


def png(width=64, height=64, mode="RGB", form="PNG", **options):
    buffer = io.BytesIO()
    Image.new(mode, (width, height)).save(buffer, form, **options)
    return buffer.getvalue()


SOURCE = png()


def task_of(kind, **changes):
    given_input = builders.task_input(**changes)
    return builders.announcement(task_kind=kind, input_commitment=given_input.commitment()), given_input


def edit_of(source=SOURCE, **changes):
    fields = {"schedule_steps": STEPS + 2, "source_bytes": len(source), "source_hash": sha256(source)}
    return task_of(TaskKind.IMAGE_TO_IMAGE, **fields | changes)


def test_inputs_of_both_kinds_fit():
    require_input(*task_of(TaskKind.TEXT_TO_IMAGE))
    require_source(*task_of(TaskKind.TEXT_TO_IMAGE), b"")
    for schedule_steps in (STEPS, STEPS + 50):
        require_input(*edit_of(schedule_steps=schedule_steps))
    require_source(*edit_of(), SOURCE)


def test_attack_another_input_than_the_announced():
    task, _ = task_of(TaskKind.TEXT_TO_IMAGE)
    with pytest.raises(InvalidMessage, match="not the one"):
        require_input(task, builders.task_input(seed=43))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (TaskKind.TEXT_TO_IMAGE, {"schedule_steps": STEPS + 1}),
        (TaskKind.TEXT_TO_IMAGE, {"source_bytes": 1}),
        (TaskKind.TEXT_TO_IMAGE, {"source_hash": bytes(32)}),
        (TaskKind.IMAGE_TO_IMAGE, {}),
        (TaskKind.IMAGE_TO_IMAGE, {"source_bytes": 1, "schedule_steps": STEPS - 1}),
    ],
)
def test_attack_an_input_of_another_kind(kind, changes):
    with pytest.raises(InvalidMessage, match="kind"):
        require_input(*task_of(kind, **changes))


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
        require_source(*edit_of(source), source)


def test_attack_another_source_image():
    for source in (png(compress_level=0), b"", SOURCE + b"x"):
        with pytest.raises(InvalidMessage, match="not the one of the input"):
            require_source(*edit_of(), source)


@lawful
@given(st.binary(max_size=60), st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1))
def test_any_bytes_are_judged(data, width, height):
    assert not is_plain_png(data, width, height)
    assert is_plain_png(SOURCE[:PNG_HEADER_BYTES] + data, 64, 64)
