"""Frames between pool and worker: what is written is read, and anything else is noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.inference.jobs.frames import (
    FRAME_BYTES_MAX,
    LENGTH_BYTES,
    Batch,
    Broken,
    Cancel,
    Ready,
    Unplaced,
    decode_frame,
    encode_frame,
    frame_length,
)
from node.inference.jobs.job import BATCH_MAX, Failed, Finished, Preview, Progress
from protocol.errors import DecodeError
from protocol.tensor import NO_TENSOR
from protocol.trace import TraceLeaf
from tests.node.inference.builders import a_job, an_audit

LEAF = TraceLeaf.of(b"latent", b"", b"output")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
uint16 = st.integers(0, 2**16 - 1)
frames = st.one_of(
    st.builds(
        lambda prompt, seed, count: Batch((a_job(bytes(32), prompt=prompt, seed=seed),) * count),
        texts,
        st.integers(0, 2**64 - 1),
        st.integers(1, BATCH_MAX),
    ),
    st.builds(Cancel, texts),
    st.builds(Ready, uint16),
    st.builds(Broken, texts),
    st.builds(Unplaced, texts),
    st.builds(Progress, texts, uint16, uint16),
    st.builds(Preview, texts, uint16, uint16, st.binary(min_size=1, max_size=99)),
    st.builds(
        Finished,
        texts,
        st.binary(min_size=1, max_size=99),
        st.just((LEAF,) * 3),
        st.just(bytes(32)),
        st.just(NO_TENSOR),
        uint16,
    ),
    st.builds(Failed, texts, texts, st.integers(0, 1)),
    st.builds(
        lambda steps, seed: an_audit(*sorted(steps), auditor=seed),
        st.sets(st.integers(0, 9), min_size=1),
        st.binary(min_size=20, max_size=20),
    ),
)


@given(frames)
def test_round_trip(frame):
    data = encode_frame(frame)
    assert frame_length(data[:LENGTH_BYTES]) == len(data) - LENGTH_BYTES
    assert decode_frame(data[LENGTH_BYTES:]) == frame


@given(st.binary(max_size=64))
def test_any_bytes_give_a_frame_or_a_decode_error(data):
    try:
        frame = decode_frame(data)
    except DecodeError:
        return
    assert encode_frame(frame)[LENGTH_BYTES:] == data


@pytest.mark.parametrize(
    "head", [b"", b"\0\0\0", bytes(4), b"\0\0\0\x01", (FRAME_BYTES_MAX + 1).to_bytes(4, "big")]
)
def test_length_out_of_bounds(head):
    with pytest.raises(DecodeError):
        frame_length(head)


def test_frame_too_long_is_not_written():
    with pytest.raises(ValueError, match="too long"):
        encode_frame(Preview("j", 1, 2, bytes(FRAME_BYTES_MAX)))
