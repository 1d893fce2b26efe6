"""Contracts compute as numpy does: nothing that is honest is false to them, and what is false always is."""

from __future__ import annotations

import os
from itertools import product

import numpy as np
import pytest

from contracts.errors import ContractReverted
from contracts.records import JudgedFault
from node.inference.diffusion.prng import table_leaves
from protocol import cbor
from protocol.audit import TraceTensor
from protocol.errors import InvalidMessage
from protocol.evidence import Fault, decode_evidence, makers, verify_evidence
from protocol.evidence.statements import BrokenSequence
from protocol.model_table import SchedulerRule
from protocol.statement import Domain, seal, unsigned
from protocol.work import WorkKind
from tests.contracts.traces import Deed, MadeTask, Terms
from tests.contracts.world import MINER_STAKE_WEI, NODE, NODE_SECRET
from tests.protocol.builders import announcement, key

pytestmark = pytest.mark.process
PLACES = 10_000 if os.environ.get("CUCKOO_LONG") else 240
STARTS = PLACES // 20
SALT = bytes(range(32))
QUANTILES = table_leaves()
TASKS = tuple(
    Terms(
        kind=kind, scheduler=scheduler, guidance_milli=guidance, units=units, schedule=schedule, random=number
    )
    for number, (kind, scheduler, guidance, (units, schedule)) in enumerate(
        product(WorkKind, SchedulerRule, (1_000, 3_990, 7_500), ((6, 6), (3, 7)))
    )
    if units == schedule or kind is WorkKind.IMAGE_TO_IMAGE
)
"""Both kinds, schedulers, with and without guidance, whole schedules and parts."""


def domain(world):
    return Domain(world.staking.chain_id, world.slashing.address)


def made(world, terms=None, **deed):
    return MadeTask(domain(world), NODE_SECRET, terms or Terms(), Deed(**deed))


async def proves(world, evidence, fault, slot, signer=NODE):
    """The contract, and whoever knows no contract, come to the same offence from the same bytes."""
    judged = JudgedFault(fault=fault, signer=signer, slot=slot)
    assert await world.slashing.judge_fault(evidence) == judged
    offence = verify_evidence(domain(world), decode_evidence(evidence), {})
    assert (offence.fault, offence.signer, offence.slot) == (fault, signer, slot)


async def proves_nothing(world, evidence):
    """The error's name; to peers it is no offence either."""
    with pytest.raises(InvalidMessage):
        verify_evidence(domain(world), decode_evidence(evidence), {})
    return await refused(world.slashing.judge_fault(evidence))


def false_step(task, step, number):
    return makers.false_step(task.held, step, number).encode()


def false_start(task, number):
    return makers.false_start(task.held, number, QUANTILES).encode()


async def refused(call):
    with pytest.raises(ContractReverted) as caught:
        await call
    return caught.value.name


async def test_no_honest_number_can_be_proved_false(world):
    """Places drawn over all steps and numbers of honest tasks, and some of their starts."""
    random, tasks = np.random.default_rng(3), [made(world, terms) for terms in TASKS]
    names = {"NumberIsRight": 0}
    for place in range(PLACES + STARTS):
        task = tasks[place % len(tasks)]
        step, number = int(random.integers(task.terms.units)), int(random.integers(task.numbers))
        evidence = false_step(task, step, number) if place < PLACES else false_start(task, number)
        names[await refused(world.slashing.judge_fault(evidence))] += 1
    assert names == {"NumberIsRight": PLACES + STARTS}


@pytest.mark.parametrize("scheduler", SchedulerRule)
async def test_a_guidance_that_was_not_asked_for_is_false_in_every_step(world, scheduler):
    task = made(world, Terms(scheduler=scheduler), guidance_milli=3_990)
    for step in range(task.terms.units):
        found = 0
        for number in range(0, task.numbers, 16):
            try:
                await proves(world, false_step(task, step, number), Fault.FALSE_STEP, task.task_id)
                found += 1
            except ContractReverted as error:
                assert error.name == "NumberIsRight"
        assert found, step


@pytest.mark.parametrize("terms", TASKS, ids=str)
async def test_another_coefficient_is_false(world, terms):
    task = made(world, terms, shift=0.25)
    await proves(world, false_step(task, 1, 77), Fault.FALSE_STEP, task.task_id)
    assert await proves_nothing(world, false_step(made(world, terms), 1, 77)) == "NumberIsRight"


@pytest.mark.parametrize("kind", WorkKind)
async def test_another_seed_is_false(world, kind):
    task = made(world, Terms(kind=kind), seed=8)
    await proves(world, false_start(task, 200), Fault.FALSE_START, task.task_id)
    assert await proves_nothing(world, false_start(made(world, Terms(kind=kind)), 200)) == "NumberIsRight"


async def test_numbers_that_are_none_are_false(world):
    task = made(world, infinite=True)
    for step in (1, task.terms.units):
        evidence = makers.not_finite(task.held, step, TraceTensor.LATENT, 3).encode()
        await proves(world, evidence, Fault.NOT_FINITE, task.task_id)
    honest = made(world, Terms(kind=WorkKind.IMAGE_TO_IMAGE))
    places = [*product((0, 5), tuple(TraceTensor)[:3]), (6, TraceTensor.LATENT), (0, TraceTensor.SOURCE)]
    for step, tensor in places:
        evidence = makers.not_finite(honest.held, step, tensor, 9).encode()
        assert await proves_nothing(world, evidence) == "NumberIsFinite"


async def test_a_tensor_that_is_left_out_or_too_many_is_false(world):
    for asked, done in ((4_000, 1_000), (1_000, 4_000)):
        task = made(world, Terms(guidance_milli=asked), guidance_milli=done)
        evidence = makers.malformed_trace(task.held, 2, TraceTensor.UNCONDITIONAL).encode()
        await proves(world, evidence, Fault.MALFORMED_TRACE, task.task_id)
    for terms, tensor in product(TASKS, TraceTensor):
        held = made(world, terms).held
        evidence = makers.malformed_trace(held, 0, tensor).encode()
        assert await proves_nothing(world, evidence) == "TensorIsWellFormed"


async def test_a_false_count_takes_the_stake_and_pays_whoever_committed_first(world):
    await world.register()
    task = made(world, units_done=5)
    evidence = makers.step_count(task.held.announcement, task.held.commitment).encode()
    await proves(world, evidence, Fault.STEP_COUNT, task.task_id)
    await world.slashing.commit(world.reporter, evidence, SALT)
    assert await world.slashing.committed_at(world.reporter.address, evidence, SALT)
    outcome = await world.slashing.prove_fault(world.ben, evidence)
    assert (outcome.signer, outcome.taken_wei) == (NODE, MINER_STAKE_WEI)
    assert outcome.evidence_key == await world.slashing.offence_key(Fault.STEP_COUNT, NODE, task.task_id)
    assert (await world.slashing.reported(outcome.evidence_key)).reporter == world.ben.address
    await world.chain.mine(await world.slashing.priority_blocks() // 4)
    await world.slashing.take_priority(world.reporter, evidence, SALT)
    assert (await world.slashing.reported(outcome.evidence_key)).reporter == world.reporter.address
    assert await refused(world.slashing.prove_fault(world.ben, evidence)) == "OffenceSpent"
    held = made(world).held
    right = makers.step_count(held.announcement, held.commitment).encode()
    assert await proves_nothing(world, right) == "CountIsRight"


async def test_a_broken_sequence_is_judged_as_peers_judge_it(world):
    signer = key("a coordinator")
    earlier = announcement(4, coordinator=signer.address)
    later = announcement(5, coordinator=signer.address, previous=bytes(32))
    envelopes = [seal(domain(world), task, signer.sign) for task in (earlier, later)]
    evidence = BrokenSequence(*envelopes).encode()
    await proves(world, evidence, Fault.BROKEN_SEQUENCE, later.slot(), signer.address)
    digest = unsigned(domain(world), earlier).digest
    right = announcement(5, coordinator=signer.address, previous=digest)
    honest = BrokenSequence(envelopes[0], seal(domain(world), right, signer.sign)).encode()
    assert await proves_nothing(world, honest) == "SequenceHolds"


async def test_evidence_of_a_fault_that_is_not_known_is_refused(world):
    assert await refused(world.slashing.judge_fault(cbor.encode((3, b"")))) == "UnknownFault"
