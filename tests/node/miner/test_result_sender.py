"""What leaves a miner, and when: a slice at a time as vouchers come, the last part when all is paid."""

import dataclasses

import pytest

from node.coordinator.result_intake import ResultIntake
from node.miner.result_sender import ResultSender
from node.pay.meter import TaskMeter
from protocol.messages import CHUNK_BYTES_MAX, ChunkKind, RankedMiner
from protocol.pay import PaySchedule
from protocol.png import PNG_SIGNATURE
from protocol.signature import sign_digest
from protocol.statement import open_statement, seal
from tests.node.builders import DOMAIN as STATEMENTS
from tests.node.builders import announcement, image_work
from tests.node.pay.builders import COORDINATOR, MINER, PRICE_WEI

UNITS = 20
OUTPUT = PNG_SIGNATURE.ljust(CHUNK_BYTES_MAX, b"p") + b"second"
SCHEDULE = PaySchedule(PRICE_WEI, 0, UNITS)


def sealed(message, key):
    encoded = seal(STATEMENTS, message, lambda statement: sign_digest(key.secret, statement.digest))
    return open_statement(STATEMENTS, encoded, type(message))


TASK = sealed(
    dataclasses.replace(
        announcement(RankedMiner(MINER.address, 0)), work=image_work(UNITS), price_micro_cai=10_000
    ),
    COORDINATOR,
)


@pytest.fixture
def meter():
    return TaskMeter(TASK, 0, 2_500)


@pytest.fixture
def sender(meter):
    return ResultSender(TASK, meter)


def leave(sender):
    """What leaves now, for comparison."""
    return [(ChunkKind(chunk.chunk_kind).name, chunk.units) for chunk in sender.due_chunks()]


def pay(meter, units):
    meter.pay(SCHEDULE.due_wei(units))


def test_units_leave_as_they_are_paid(sender, meter):
    sender.progress(1)
    assert leave(sender) == [("PROGRESS", 1)]
    sender.progress(7)
    assert leave(sender) == [("PROGRESS", 2)]
    assert sender.waits_for_pay
    pay(meter, 2)
    assert leave(sender) == [("PROGRESS", 4)]
    pay(meter, 6)
    assert leave(sender) == [("PROGRESS", 7)]
    assert not sender.waits_for_pay


def test_progress_never_goes_back_nor_beyond_the_task(sender, meter):
    pay(meter, UNITS)
    sender.progress(5)
    sender.progress(3)
    sender.progress(UNITS + 9)
    assert leave(sender) == [("PROGRESS", UNITS)]


def test_a_preview_comes_after_its_unit(sender, meter):
    pay(meter, 10)
    sender.progress(2)
    sender.preview(3, PNG_SIGNATURE)
    sender.progress(5)
    assert leave(sender) == [("PROGRESS", 3), ("PREVIEW", 3), ("PROGRESS", 5)] or leave(sender) == []


def test_a_preview_of_a_unit_that_is_shown_already_leaves_at_once(sender):
    sender.progress(2)
    leave(sender)
    sender.preview(2, PNG_SIGNATURE)
    assert leave(sender) == [("PREVIEW", 2)]


def test_only_the_newest_preview_waits(sender, meter):
    for units in (3, 4, 5):
        sender.preview(units, b"x" * units)
    pay(meter, 10)
    assert leave(sender) == [("PROGRESS", 5), ("PREVIEW", 5)]


@pytest.mark.parametrize("png", [b"", bytes(CHUNK_BYTES_MAX + 1)], ids=["empty", "too long"])
def test_a_preview_that_does_not_fit_a_chunk_is_left_out(sender, png):
    sender.preview(1, png)
    assert leave(sender) == [("PROGRESS", 1)]


def test_the_last_part_is_kept_until_all_is_paid(sender, meter):
    sender.finish(OUTPUT, UNITS)
    pay(meter, UNITS - 1)
    assert leave(sender) == [("PROGRESS", UNITS), ("OUTPUT_PART", UNITS)]
    assert sender.waits_for_pay
    assert not sender.complete
    pay(meter, UNITS)
    assert leave(sender) == [("OUTPUT_PART", UNITS)]
    assert sender.complete
    assert not sender.waits_for_pay


def test_a_new_stream_gets_everything_again_under_the_same_numbers(sender, meter):
    pay(meter, UNITS)
    sender.finish(OUTPUT, UNITS)
    before = list(sender.due_chunks())
    sender.begin_stream()
    meter.begin_stream()
    assert not sender.complete
    assert list(sender.due_chunks()) == before
    assert [chunk.index for chunk in before] == list(range(len(before)))


def test_a_coordinator_takes_what_leaves(sender, meter):
    intake = ResultIntake(STATEMENTS, TASK, MINER.address)
    intake._output_bytes_max = len(OUTPUT)  # more than a picture of the task can be
    pay(meter, UNITS)
    sender.progress(7)
    chunks = list(sender.due_chunks())
    sender.finish(OUTPUT, UNITS)
    for chunk in (*chunks, *sender.due_chunks()):
        intake.receive(sealed(chunk, MINER).encoded)
    assert b"".join(intake._parts) == OUTPUT
