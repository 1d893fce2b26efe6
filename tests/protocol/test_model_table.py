"""Head and rows of a model: exact bytes, bounds from both sides, and what an id is made of."""

import dataclasses
import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DecodeError, InvalidMessage
from protocol.merkle import merkle_proof, merkle_root, proves
from protocol.model_table import (
    HEAD_BYTES,
    ROW_BYTES,
    ROWS_MAX,
    SCHEDULE_STEPS_MAX,
    ModelHead,
    SchedulerRule,
    model_id_of,
    rows_of,
    rows_root,
)
from protocol.tensor import NUMBERS_MAX
from tests.protocol.strategies import lawful

HEAD = ModelHead(scheduler_rule=SchedulerRule.TWO_STEPS, channels=4, factor=8, steps_max=100)
UNKNOWN = "head: rules are not known here"
BOUNDS = "head: a number is out of bounds"


def test_the_head_to_the_byte():
    assert HEAD.encode() == bytes.fromhex("01 01 01 01 01 02 0004 0008 0064")
    assert ModelHead.decode(HEAD.encode()) == HEAD
    assert len(HEAD.encode()) == HEAD_BYTES == 12


@lawful
@given(st.binary(min_size=HEAD_BYTES, max_size=HEAD_BYTES) | st.binary(max_size=20))
def test_any_bytes_give_a_head_or_an_error(data):
    with suppress(DecodeError, InvalidMessage):
        assert ModelHead.decode(data).encode() == data


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("format", 2, UNKNOWN),
        ("number_format", 2, UNKNOWN),
        ("latent_layout", 0, UNKNOWN),
        ("seed_rule", 2, UNKNOWN),
        ("guidance_rule", 2, UNKNOWN),
        ("scheduler_rule", 0, UNKNOWN),
        ("scheduler_rule", 3, UNKNOWN),
        ("channels", 0, BOUNDS),
        ("factor", 0, BOUNDS),
        ("steps_max", 0, BOUNDS),
        ("steps_max", SCHEDULE_STEPS_MAX + 1, BOUNDS),
    ],
)
def test_heads_that_nothing_is_judged_by(field, value, reason):
    data = dataclasses.replace(HEAD, **{field: value}).encode()
    with pytest.raises(InvalidMessage) as caught:
        ModelHead.decode(data)
    assert caught.value.reason == reason


@pytest.mark.parametrize(("field", "value"), [("format", 256), ("channels", 65_536), ("factor", -1)])
def test_numbers_that_no_head_can_hold(field, value):
    with pytest.raises(ValueError, match=r"^a number of the head is out of bounds$"):
        dataclasses.replace(HEAD, **{field: value}).encode()


@pytest.mark.parametrize(
    ("head", "width", "height", "numbers"),
    [(HEAD, 512, 512, 16_384), (HEAD, 1024, 1024, 65_536), (HEAD, 8, 16, 8), (HEAD, 2048, 2048, NUMBERS_MAX)],
)
def test_how_many_numbers_a_tensor_has(head, width, height, numbers):
    assert head.tensor_numbers(width, height) == numbers


@pytest.mark.parametrize(("width", "height"), [(512, 516), (4, 8), (0, 8), (2056, 2048)])
def test_sizes_without_tensors(width, height):
    with pytest.raises(InvalidMessage) as caught:
        HEAD.tensor_numbers(width, height)
    assert caught.value.reason == "head: no tensors of this size"


def test_rows_of_a_task_are_the_last_of_its_schedule():
    assert [HEAD.row_of(1, 1, 0), HEAD.row_of(2, 2, 0), HEAD.row_of(2, 2, 1)] == [0, 1, 2]
    assert [HEAD.row_of(20, 12, step) for step in (0, 11)] == [198, 209]
    assert HEAD.row_of(100, 100, 99) == HEAD.rows - 1 == 5049
    assert ROWS_MAX == dataclasses.replace(HEAD, steps_max=SCHEDULE_STEPS_MAX).rows == 20_100
    for schedule, units, step in ((20, 20, 20), (20, 20, -1), (20, 21, 0), (101, 20, 0), (20, 0, 0)):
        with pytest.raises(InvalidMessage) as caught:
            HEAD.row_of(schedule, units, step)
        assert caught.value.reason == "head: the table has no such step"


@given(st.integers(1, 100), st.data())
def test_each_row_belongs_to_one_step_of_one_schedule(schedule, data):
    step = data.draw(st.integers(0, schedule - 1))
    row = HEAD.row_of(schedule, schedule, step)
    assert schedule * (schedule - 1) // 2 <= row < schedule * (schedule + 1) // 2
    units = data.draw(st.integers(1, schedule - step))
    assert HEAD.row_of(schedule, units, units - 1) == schedule * (schedule + 1) // 2 - 1


def test_the_id_is_over_files_head_and_rows():
    table = bytes(range(200)) + bytes(40)
    root = rows_root(table)
    assert root == merkle_root([table[at : at + ROW_BYTES] for at in range(0, 240, 40)])
    expected = hashlib.sha256(b"cuckoo/model/1\x00" + bytes(32) + HEAD.encode() + root).digest()
    assert model_id_of(bytes(32), HEAD.encode(), root) == expected
    with pytest.raises(ValueError, match=r"^a table has whole rows$"):
        rows_of(table[:-1])


def test_the_longest_proof_of_a_row():
    rows = [number.to_bytes(ROW_BYTES, "big") for number in range(ROWS_MAX)]
    proof = merkle_proof(rows, 0)
    assert len(proof) == 15
    assert proves(merkle_root(rows), rows[0], 0, ROWS_MAX, proof)
