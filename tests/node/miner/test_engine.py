"""The miner's engine: whole tasks, ranks, calls, and the table that it goes by; no process, no clock."""

import dataclasses
from types import MappingProxyType

import pytest

from node.miner.actions import (
    Dial,
    Publish,
    RefuseCall,
    StartJob,
)
from protocol import task as life
from protocol import work as work_table
from protocol.hashing import sha256
from protocol.messages import CHUNK_BYTES_MAX, DeclineKind, ReplyKind, TaskAcceptance
from protocol.pay import PaySchedule
from protocol.task import MINER as TABLE
from protocol.task import MinerState
from protocol.work import Work, WorkKind
from tests.node.miner.engine_world import (
    LIFE_MS,
    MINER,
    OTHERS,
    OUTPUT,
    PNG,
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

# A whole task


def test_from_the_announcement_to_the_job(world):
    task_input = input_of(previews=5)
    task = announce(task_input=task_input)
    assert kinds(world.heard(task)) == ["CheckCredit"]
    assert world.credit(task) == [Dial(task)]
    stream, said = world.open(task)
    assert kinds(said) == ["Send"]
    assert world.sent(stream) == [TaskAcceptance(task.digest, 0)]
    (start,) = world.say(stream, reply(ReplyKind.INPUT, task_input.encode()))
    assert start == StartJob(task, task_input, ())


def test_whole_task(world):
    task = announce()
    stream = world.working(task)
    for units in range(1, UNITS + 1):
        world.progress(task, units)
        world.pay_all(task, stream)
    world.finish(task)
    assert world.output(stream) == OUTPUT
    assert world.commitment(stream).output_hash == sha256(OUTPUT)
    assert world.commitment(stream).units_done == UNITS
    (published,) = [one for one in world.log if isinstance(one, Publish)]
    assert published.commitment.message == world.commitment(stream)
    world.say(stream, reply(ReplyKind.RECEIVED))
    assert world.over(task) == (MinerState.DELIVERED, "received")
    assert world.engine.snapshot().followed == 0
    (account,) = world.pay.accounts
    assert (account.showed_anything, account.unpaid_wei, account.doubtful) == (True, 0, False)


def test_the_first_unit_and_a_slice_are_shown_before_any_pay(world):
    task = announce()
    stream = world.working(task)
    world.progress(task, UNITS)
    assert world.chunks(stream) == [("PROGRESS", SLICE)]


def test_progress_that_waited_for_pay_is_made_up_for_in_slices(world):
    task = announce()
    stream = world.working(task)
    world.progress(task, 7)
    world.pay_all(task, stream)
    assert world.chunks(stream) == [("PROGRESS", units) for units in (2, 4, 6, 7)]


def test_a_preview_comes_after_its_unit(world):
    task = announce()
    stream = world.working(task)
    world.engine.job_preview(task.digest, 3, b"first", world.now_ms)
    world.note(world.engine.job_preview(task.digest, 5, b"second", world.now_ms))
    world.log.clear()
    world.pay_all(task, stream)
    world.say(stream, voucher(PaySchedule.of_task(task.message).due_wei(SLICE)))
    world.pay_all(task, stream)
    assert world.chunks(stream) == [("PROGRESS", 4), ("PROGRESS", 5), ("PREVIEW", 5)]


def test_a_preview_longer_than_a_chunk_is_not_sent(world):
    task = announce(price=0)
    stream = world.working(task)
    world.note(world.engine.job_preview(task.digest, 1, bytes(CHUNK_BYTES_MAX + 1), world.now_ms))
    assert world.chunks(stream) == [("PROGRESS", 1)]


def test_the_last_part_and_the_commitment_wait_until_all_is_paid(world):
    task = announce()
    stream = world.working(task)
    world.finish(task)
    schedule = PaySchedule.of_task(task.message)
    while world.shown(stream) < UNITS:
        world.say(stream, voucher(schedule.due_wei(world.shown(stream))))
    assert world.output(stream) == OUTPUT[:CHUNK_BYTES_MAX]
    assert world.commitment(stream) is None
    assert not any(isinstance(one, Publish) for one in world.log)
    world.say(stream, voucher(PRICE_WEI))
    assert world.output(stream) == OUTPUT
    assert world.commitment(stream) is not None


def test_a_task_for_nothing_needs_no_voucher(world):
    task = announce(price=0)
    stream = world.working(task)
    world.finish(task)
    assert world.output(stream) == OUTPUT
    assert world.commitment(stream) is not None


@pytest.fixture
def _text(monkeypatch):
    early = dataclasses.replace(work_table.SPECS[WorkKind.TEXT_TO_IMAGE], may_end_early=True)
    specs = MappingProxyType({**work_table.SPECS, WorkKind.TEXT_TO_IMAGE: early})
    monkeypatch.setattr(work_table, "SPECS", specs)


@pytest.mark.usefixtures("_text")
def test_a_kind_that_may_end_early_is_paid_for_its_units(world):
    task = announce()
    stream = world.working(task)
    world.progress(task, 2)
    world.finish(task, units=3)
    schedule = PaySchedule.of_task(task.message)
    world.say(stream, voucher(schedule.due_wei(2)))
    assert world.chunks(stream)[-2:] == [("LAST_UNIT", 3), ("OUTPUT_PART", 3)]
    assert world.commitment(stream) is None
    world.say(stream, voucher(schedule.due_wei(3)))
    assert world.commitment(stream).units_done == 3
    assert world.output(stream) == OUTPUT


def test_an_image_does_not_end_early(world):
    task = announce()
    stream = world.working(task)
    world.finish(task, units=UNITS - 1)
    assert world.decline(stream) == (
        DeclineKind.NOT_HERE,
        "the inference process of this miner made no sense",
    )


def test_source_images_come_in_parts(world):
    source = PNG.ljust(CHUNK_BYTES_MAX + 9, b"s")
    task_input = input_of(WorkKind.IMAGE_TO_IMAGE, source)
    task = announce(work=Work.image(WorkKind.IMAGE_TO_IMAGE, 32, 32, UNITS), task_input=task_input)
    stream = world.working(task, task_input)
    assert not any(isinstance(one, StartJob) for one in world.log)
    assert world.say(stream, reply(ReplyKind.SOURCE_PART, source[:CHUNK_BYTES_MAX])) == []
    (start,) = world.say(stream, reply(ReplyKind.SOURCE_PART, source[CHUNK_BYTES_MAX:]))
    assert start.sources == (source,)


# Ranks, calls and results of others


def test_a_later_rank_waits_for_its_head_start(world):
    task = announce(rank=2)
    world.heard(task)
    world.credit(task)
    assert world.wait(5_999) == []
    assert world.wait(1) == [Dial(task)]


def test_failover_a_call_makes_a_later_rank_come_at_once(world):
    task = announce(rank=2)
    world.heard(task)
    world.credit(task)
    assert world.call(task) == [Dial(task)]
    stream, _ = world.open(task)
    world.say(stream, reply(ReplyKind.INPUT, input_of().encode()))
    assert any(isinstance(one, StartJob) for one in world.log)


def test_a_call_before_the_credit_is_known_counts_when_it_is(world):
    task = announce(rank=2)
    world.heard(task)
    assert world.call(task) == []
    assert world.credit(task) == [Dial(task)]


def test_a_call_by_somebody_else_is_refused(world):
    task = announce(rank=2)
    world.heard(task)
    world.credit(task)
    assert world.call(task, OTHERS[0].address) == [RefuseCall("no task of yours waits here")]
    assert world.wait(5_999) == []


def test_a_call_for_an_unknown_task_is_refused(world):
    assert world.call(announce()) == [RefuseCall("no task of yours waits here")]


def test_another_miners_result_ends_the_waiting(world):
    task = announce(rank=1)
    world.heard(task)
    world.credit(task)
    world.note(world.engine.heard_result(task.digest, OTHERS[0].address))
    assert world.over(task) == (MinerState.NOT_NEEDED, "another miner has finished")


def test_our_own_result_ends_nothing(world):
    task = announce(rank=1)
    world.heard(task)
    assert world.engine.heard_result(task.digest, MINER.address) == []
    assert world.engine.snapshot().followed == 1


def test_a_result_heard_before_its_announcement_counts_too(world):
    task = announce(rank=1)
    world.engine.heard_result(task.digest, OTHERS[0].address)
    assert world.heard(task) == []


def test_attack_a_false_commitment_does_not_take_the_next_rank_away(world):
    """Rank 0 commits to something and delivers nothing: the coordinator still gets rank 1 when it calls."""
    task = announce(rank=1)
    world.heard(task)
    world.credit(task)
    world.note(world.engine.heard_result(task.digest, OTHERS[0].address))
    assert kinds(world.call(task)) == ["CheckCredit"]
    assert world.credit(task) == [Dial(task)]


def test_not_needed(world):
    task = announce(rank=1)
    stream = world.accepted(task)
    assert kinds(world.say(stream, reply(ReplyKind.NOT_NEEDED, reason="the task is delivered"))) == [
        "CloseStream",
        "TaskOver",
    ]
    assert world.over(task) == (MinerState.NOT_NEEDED, "the task is delivered")


def test_not_needed_in_mid_work_stops_the_job(world):
    task = announce()
    stream = world.working(task)
    actions = world.say(stream, reply(ReplyKind.NOT_NEEDED))
    assert kinds(actions) == ["CloseStream", "CancelJob", "DiscardTrace", "TaskOver"]
    assert world.engine.snapshot().jobs == 0


def test_received_before_everything_is_sent_is_no_delivery(world):
    task = announce()
    stream = world.working(task)
    world.finish(task)
    world.say(stream, reply(ReplyKind.RECEIVED))
    assert world.over(task) == (MinerState.NOT_NEEDED, "received")


def test_a_task_that_names_others_only_is_nothing(world):
    task = announce()
    named = dataclasses.replace(task.message, ranking=task.message.ranking[1:])
    assert world.heard(dataclasses.replace(task, message=named)) == []


def test_an_announcement_that_comes_twice_is_followed_once(world):
    task = announce()
    world.heard(task)
    assert world.heard(task) == []
    assert world.engine.snapshot().followed == 1


# The table


def test_every_transition_of_the_table_is_reached(monkeypatch):
    taken = set()
    after = life.after

    def noted(table, state, event):
        taken.add((state, event))
        return after(table, state, event)

    monkeypatch.setattr(life, "after", noted)
    for reach in ROADS:
        for at in (
            MinerState.HEARD,
            MinerState.WAITING,
            MinerState.ACCEPTED,
            MinerState.WORKING,
            MinerState.COMMITTED,
        ):
            world = World()
            task = announce(rank=2)
            reach(world, task, lead(world, task, at), at)
    assert set(TABLE.transitions) - taken == set()


def lead(world, task, state):
    """Bring a task to a state; returns its stream, if it has one."""
    world.heard(task)
    if state is MinerState.HEARD:
        return None
    world.credit(task)
    if state is MinerState.WAITING:
        return None
    world.call(task)
    stream, _ = world.open(task)
    if state in {MinerState.WORKING, MinerState.COMMITTED}:
        world.say(stream, reply(ReplyKind.INPUT, input_of().encode()))
    if state is MinerState.COMMITTED:
        world.finish(task)
        world.pay_all(task, stream)
    return stream


def _time_passes(world, task, stream, state):
    world.wait(LIFE_MS)


def _not_needed(world, task, stream, state):
    if stream is None:
        world.note(world.engine.heard_result(task.digest, OTHERS[0].address))
    else:
        world.say(stream, reply(ReplyKind.NOT_NEEDED))


def _lost(world, task, stream, state):
    if stream is not None:
        world.lose(stream)


def _refused(world, task, stream, state):
    if state is MinerState.HEARD:
        world.credit(task, "no credit")
    elif state is MinerState.WAITING:
        world.engine.policy("on battery")
    elif state is MinerState.ACCEPTED:
        world.working(announce(1))
        world.say(stream, reply(ReplyKind.INPUT, input_of().encode()))
    elif state is MinerState.WORKING:
        world.note(world.engine.job_failed(task.digest, DeclineKind.NOT_HERE, "out of memory"))
    if stream is None:
        world.call(task)
        world.open(task)


def _received(world, task, stream, state):
    if stream is not None:
        world.say(stream, reply(ReplyKind.RECEIVED))


ROADS = (_time_passes, _not_needed, _lost, _refused, _received)
