"""Each "no" of the miner's engine, in the words that the coordinator hears."""

import pytest

from node.miner.actions import (
    CloseStream,
    Count,
    Dial,
    DiscardTrace,
    Finished,
)
from node.miner.ports import AnyTask, ContradictsItself, Decline, MemoryPay, MemorySeal
from protocol.messages import DeclineKind, ReplyKind, TaskAcceptance
from protocol.task import MinerState
from tests.node.miner.engine_world import (
    DOMAIN,
    MINER,
    OUTPUT,
    UNITS,
    World,
    announce,
    input_of,
    kinds,
    reply,
)

# Declines


class Unwilling(AnyTask):
    """Serves nothing. :ivar decline: says why."""

    decline = Decline(DeclineKind.NOBODY, "the model does not allow so many steps")

    def why_not(self, task):
        return self.decline


def test_a_task_that_is_not_for_this_miner_is_declined_in_words_when_its_turn_comes():
    world = World(terms=Unwilling())
    task = announce(rank=1)
    assert world.heard(task) == []
    assert world.wait(3_000) == [Dial(task)]
    stream, _ = world.open(task)
    assert world.decline(stream) == tuple(Unwilling.decline)
    assert world.over(task) == (MinerState.DECLINED, "the model does not allow so many steps")


def test_a_coordinator_without_credit_hears_so_when_the_turn_comes(world):
    task = announce(rank=1)
    world.heard(task)
    assert world.credit(task, "the coordinator's deposit does not cover the task") == []
    assert world.call(task) == [Dial(task)]
    stream, said = world.open(task)
    assert kinds(said) == ["Send", "CloseStream", "TaskOver"]
    assert world.decline(stream) == (
        DeclineKind.NOT_HERE,
        "the coordinator's deposit does not cover the task",
    )


def test_a_decline_that_cannot_be_delivered_is_dropped(world):
    task = announce()
    world.heard(task)
    world.credit(task, "no credit")
    world.note(world.engine.dial_failed(task.digest, "nobody answers", world.now_ms))
    assert world.over(task) == (MinerState.GIVEN_UP, "no credit; nobody answers")


@pytest.mark.parametrize("kind", [DeclineKind.NOBODY, DeclineKind.NOT_HERE])
def test_the_workers_words_travel(world, kind):
    task = announce()
    stream = world.working(task)
    world.note(world.engine.job_failed(task.digest, kind, "the prompt is too long"))
    assert world.decline(stream) == (kind, "the prompt is too long")
    assert world.engine.snapshot().jobs == 0


def test_a_reason_is_cut_to_what_travels(world):
    task = announce()
    stream = world.working(task)
    world.note(world.engine.job_failed(task.digest, DeclineKind.NOT_HERE, "ä" * 150 + "\ud800"))
    assert world.decline(stream) == (DeclineKind.NOT_HERE, "ä" * 100)


def test_a_trace_that_cannot_be_kept(world):
    task = announce()
    stream = world.working(task)
    world.engine.job_finished(task.digest, Finished(OUTPUT, UNITS, bytes(32)))
    world.note(world.engine.trace_kept(task.digest, world.now_ms, "disk full"))
    assert world.decline(stream) == (DeclineKind.NOT_HERE, "this miner cannot keep the trace of its work")
    assert world.commitment(stream) is None


@pytest.mark.parametrize("field", ["output", "units_done", "trace_root", "checksum"])
def test_attack_a_bit_that_flips_after_the_work_was_looked_at(world, field):
    task = announce()
    stream = world.working(task)
    finished = Finished(OUTPUT, UNITS, bytes(32))
    world.engine.job_finished(task.digest, finished)
    value = getattr(finished, field)
    spoilt = value ^ 1 if field == "units_done" else value[:-1] + bytes([value[-1] ^ 1])
    object.__setattr__(finished, field, spoilt)
    assert not finished.intact
    world.note(world.engine.trace_kept(task.digest, world.now_ms))
    assert world.decline(stream) == (DeclineKind.NOT_HERE, "the memory of this miner spoilt its work")
    assert world.commitment(stream) is None


def test_credit_that_is_gone_when_the_input_comes():
    class Spent(MemoryPay):
        def begin(self, task):
            return "the coordinator's credit with this miner is used up until its vouchers are redeemed"

    world = World(pay=Spent())
    stream = world.working(announce())
    assert world.decline(stream) == (DeclineKind.NOT_HERE, Spent().begin(None))
    assert world.pay.accounts == []


def test_paused_it_takes_nothing_new_and_says_so(world):
    world.engine.policy("on battery")
    task = announce()
    world.heard(task)
    stream, _ = world.open(task)
    assert world.decline(stream) == (DeclineKind.NOT_HERE, "this miner is paused: on battery")


def test_paused_while_it_waits_it_promises_nothing(world):
    task = announce(rank=1)
    world.heard(task)
    world.credit(task)
    world.engine.policy("on battery")
    world.wait(3_000)
    stream, _ = world.open(task)
    assert world.decline(stream) == (DeclineKind.NOT_HERE, "this miner is paused: on battery")


def test_paused_in_mid_task_it_finishes(world):
    task = announce(price=0)
    stream = world.accepted(task)
    world.engine.policy("on battery")
    world.say(stream, reply(ReplyKind.INPUT, input_of().encode()))
    world.finish(task)
    assert world.commitment(stream) is not None


# What a coordinator must not say


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (reply(ReplyKind.INPUT, input_of().encode()), "input that nobody waits for"),
        (reply(ReplyKind.SOURCE_PART, b"part"), "part of a source that nobody waits for"),
    ],
)
def test_out_of_turn(world, payload, reason):
    task = announce()
    stream = world.working(task)
    world.say(stream, payload)
    assert world.over(task) == (MinerState.GIVEN_UP, f"the coordinator broke the protocol: {reason}")
    assert CloseStream(stream, "protocol error") in world.log
    assert [one for one in world.log if isinstance(one, DiscardTrace)] == [DiscardTrace(task.digest)]


def test_another_input_than_the_announced(world):
    task = announce(task_input=input_of(previews=1))
    world.working(task)
    assert world.over(task) == (
        MinerState.GIVEN_UP,
        "the coordinator broke the protocol: input is not the one that was announced",
    )


def test_garbage(world):
    task = announce()
    stream = world.accepted(task)
    world.say(stream, b"\x00garbage")
    assert world.over(task)[0] is MinerState.GIVEN_UP
    assert world.engine.counts[Count.COORDINATOR_BROKE_PROTOCOL] == 1


def test_memory_seal_signs_each_slot_once():
    seal = MemorySeal(DOMAIN, MINER.secret)
    first = seal(TaskAcceptance(bytes(32), 0))
    assert seal(TaskAcceptance(bytes(32), 0)) == first
    assert first.signer.address == MINER.address
    with pytest.raises(ContradictsItself):
        seal(TaskAcceptance(bytes(32), 1))
