"""The miner's engine when streams are lost, processes end and vouchers are late."""

import pytest

from node.miner.actions import (
    CancelJob,
    CloseStream,
    Count,
    Dial,
    Publish,
    Send,
    StartJob,
)
from node.miner.followed import REDIAL_MS_MAX
from node.miner.ports import MemoryPay
from protocol.errors import LocalError, Refusal
from protocol.messages import DeclineKind, ReplyKind
from protocol.pay import PaySchedule
from protocol.task import MinerState
from tests.node.miner.engine_world import (
    LIFE_MS,
    OUTPUT,
    PATIENCE_MS,
    PRICE_WEI,
    SLICE,
    UNITS,
    World,
    announce,
    input_of,
    kinds,
    reply,
    voucher,
)

# Lost streams


def test_a_lost_stream_is_dialled_again_with_longer_and_longer_pauses(world):
    task = announce()
    stream = world.accepted(task)
    world.lose(stream)
    pauses = []
    for _ in range(7):
        before_ms = world.now_ms
        while not world.wait(1):
            pass
        pauses.append(world.now_ms - before_ms)
        world.note(world.engine.dial_failed(task.digest, "nobody answers", world.now_ms))
    assert pauses == [250, 500, 1_000, 2_000, 4_000, REDIAL_MS_MAX, REDIAL_MS_MAX]
    assert kinds(world.wait(LIFE_MS))[-1] == "TaskOver"
    assert world.over(task) == (MinerState.GIVEN_UP, "its deadline has passed")


def test_a_finished_result_is_delivered_again_without_new_work(world):
    task = announce()
    stream = world.working(task)
    world.finish(task)
    world.pay_all(task, stream)
    before = world.commitment(stream)
    world.lose(stream)
    world.wait(250)
    again, said = world.open(task)
    assert [one.payload for one in said] == [
        one.payload for one in world.log if isinstance(one, Send) and one.stream_id == stream
    ][:1]
    world.say(again, voucher(PRICE_WEI))
    world.say(again, reply(ReplyKind.INPUT, input_of().encode()))
    assert len([one for one in world.log if isinstance(one, StartJob)]) == 1
    assert world.output(again) == OUTPUT
    assert world.commitment(again) == before
    assert len([one for one in world.log if isinstance(one, Publish)]) == 1
    world.say(again, reply(ReplyKind.RECEIVED))
    assert world.over(task) == (MinerState.DELIVERED, "received")
    assert world.engine.counts[Count.REDELIVERED] == 1


def test_redelivery_needs_no_slot(world):
    first, second = announce(0, price=0), announce(1)
    stream = world.working(first)
    world.finish(first)
    world.lose(stream)
    world.working(second)
    world.wait(250)
    again, _ = world.open(first)
    world.say(again, reply(ReplyKind.INPUT, input_of().encode()))
    assert world.output(again) == OUTPUT


def test_a_job_goes_on_for_a_while_without_its_coordinator(world):
    task = announce()
    stream = world.working(task)
    world.progress(task, 2)
    world.lose(stream)
    world.progress(task, 4)
    world.wait(PATIENCE_MS - 1)
    again, _ = world.open(task)
    world.say(again, reply(ReplyKind.INPUT, input_of().encode()))
    assert len([one for one in world.log if isinstance(one, StartJob)]) == 1
    assert world.chunks(again) == [("PROGRESS", 2)]
    world.pay_all(task, again)
    assert world.chunks(again) == [("PROGRESS", 2), ("PROGRESS", 4)]


def test_a_job_whose_coordinator_does_not_come_back_is_stopped(world):
    task = announce()
    stream = world.working(task)
    world.lose(stream)
    world.wait(PATIENCE_MS)
    assert [one for one in world.log if isinstance(one, CancelJob)] == [CancelJob(task.digest)]
    assert world.engine.snapshot().jobs == 0
    again, _ = world.open(task)
    assert kinds(world.say(again, reply(ReplyKind.INPUT, input_of().encode()))) == ["StartJob"]


def test_a_job_that_fails_meanwhile_is_told_on_the_next_stream(world):
    task = announce()
    stream = world.working(task)
    world.lose(stream)
    world.note(world.engine.job_failed(task.digest, DeclineKind.NOT_HERE, "out of memory"))
    world.wait(250)
    again, _ = world.open(task)
    assert world.decline(again) == (DeclineKind.NOT_HERE, "out of memory")


def test_a_result_that_is_made_meanwhile_is_shown_on_the_next_stream(world):
    task = announce(price=0)
    stream = world.working(task)
    world.lose(stream)
    world.finish(task)
    world.wait(PATIENCE_MS)
    again, _ = world.open(task)
    world.say(again, reply(ReplyKind.INPUT, input_of().encode()))
    assert world.output(again) == OUTPUT


def test_a_call_ends_the_pause_before_the_next_attempt(world):
    task = announce()
    stream = world.accepted(task)
    world.lose(stream)
    assert world.call(task) == [Dial(task)]


def test_a_coordinator_that_refuses_three_times_is_not_dialled_again(world):
    """It may refuse since it thinks that the stream before still stands; then it soon does not any more."""
    task = announce()
    stream = world.accepted(task)
    for _ in range(2):
        world.lose(stream, refused=True)
        assert kinds(world.wait(1_000)) == ["Dial"]
        stream, _ = world.open(task)
    world.lose(stream, refused=True)
    assert world.over(task) == (MinerState.GIVEN_UP, "the coordinator refused: gone")


def test_a_stream_for_a_task_that_is_over_is_closed(world):
    assert world.engine.stream_opened(bytes(32), 9, world.now_ms) == [CloseStream(9)]


# Restart


def test_after_a_restart_it_accepts_and_commits_in_the_same_words_and_counts_what_was_paid(world):
    task = announce()
    stream = world.working(task)
    world.progress(task, UNITS)
    world.pay_all(task, stream)
    world.finish(task)
    before = world.commitment(stream)
    world.restart()
    again = world.working(task)
    assert world.sent(again)[0] == world.sent(stream)[0]
    world.finish(task)
    assert world.shown(again) == UNITS
    assert world.commitment(again) == before


def test_another_result_after_a_restart_is_not_signed(world):
    task = announce(price=0)
    world.working(task)
    world.finish(task)
    world.restart()
    stream = world.working(task)
    world.finish(task, output=b"another")
    assert world.commitment(stream) is None
    assert world.decline(stream) == (
        DeclineKind.NOT_HERE,
        "this miner must not sign what it would have to",
    )


# Pay


def test_late_voucher_the_task_is_given_up_and_remembered(world):
    task = announce()
    stream = world.working(task)
    world.progress(task, 3)
    assert world.wait(PATIENCE_MS - 1) == []
    world.wait(1)
    assert CloseStream(stream, "you have not paid for what you were shown") in world.log
    assert world.over(task) == (MinerState.GIVEN_UP, "the coordinator did not pay in time")
    (account,) = world.pay.accounts
    assert account.unpaid_wei == PaySchedule.of_task(task.message).due_wei(SLICE)


def test_a_voucher_just_in_time(world):
    task = announce()
    stream = world.working(task)
    world.progress(task, 3)
    world.wait(PATIENCE_MS - 1)
    world.pay_all(task, stream)
    world.wait(PATIENCE_MS)
    assert world.over(task) is None


def test_work_that_is_slower_than_the_patience_is_no_fault(world):
    task = announce()
    world.working(task)
    world.progress(task, SLICE)
    assert world.wait(10 * PATIENCE_MS) == []


def test_late_pay_for_the_last_part(world):
    task = announce()
    stream = world.working(task)
    schedule = PaySchedule.of_task(task.message)
    world.finish(task)
    while world.shown(stream) < UNITS:
        world.say(stream, voucher(schedule.due_wei(world.shown(stream))))
    world.wait(PATIENCE_MS)
    assert world.over(task) == (MinerState.GIVEN_UP, "the coordinator did not pay in time")


def test_a_voucher_worth_less_than_before_ends_it_and_is_doubted(world):
    task = announce()
    stream = world.working(task)
    world.say(stream, voucher(100))
    world.say(stream, voucher(99))
    assert world.over(task) == (
        MinerState.GIVEN_UP,
        "the coordinator broke the protocol: voucher pays less for the task than the one before",
    )
    assert world.pay.accounts[0].doubtful


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (LocalError("disk full"), "this miner cannot keep vouchers at the moment"),
        (Refusal("too many coordinators"), "too many coordinators"),
    ],
)
def test_a_voucher_that_cannot_be_kept(error, reason):
    class Full(MemoryPay):
        def take(self, coordinator, task_id, voucher):
            raise error

    world = World(pay=Full())
    stream = world.working(announce())
    world.say(stream, voucher(1))
    assert world.decline(stream) == (DeclineKind.NOT_HERE, reason)


def test_pay_that_cannot_be_read():
    class Unreadable(MemoryPay):
        def claimed_wei(self, task_id):
            raise LocalError("disk full")

    world = World(pay=Unreadable())
    stream = world.accepted(announce())
    assert world.decline(stream) == (
        DeclineKind.NOT_HERE,
        "this miner cannot keep vouchers at the moment",
    )


def test_attack_a_flood_of_vouchers(world):
    task = announce()
    stream = world.working(task)
    for amount in range(1, 65):
        world.say(stream, voucher(amount))
    assert world.over(task) is None
    world.say(stream, voucher(65))
    assert world.over(task) == (MinerState.GIVEN_UP, "the coordinator broke the protocol: too many vouchers")
