"""The contract and every peer judge evidence alike: the honest, the false and what was altered on the way."""

import dataclasses
import random

import pytest

from contracts.errors import ContractReverted
from protocol.audit import TraceTensor
from protocol.errors import ProtocolError
from protocol.evidence import BrokenSequence, decode_evidence, verify_evidence
from protocol.evidence.makers import false_start, false_step, malformed_trace, not_finite, step_count
from protocol.model_table import SchedulerRule
from protocol.statement import Domain
from protocol.work import WorkKind
from tests.protocol import builders
from tests.protocol.builders import COORDINATOR, NO_TASK, changed, next_announcement, sealed
from tests.protocol.traces import Lie, MadeTrace, Terms, quantile_leaves, trace_evidence

pytestmark = pytest.mark.process
LATENT, UNCONDITIONAL, CONDITIONAL, SOURCE = TraceTensor
ALTERATIONS = 12
"""Of each field of each piece; each is a call to the chain."""
BACK = Terms(scheduler=SchedulerRule.TWO_STEPS, kind=WorkKind.IMAGE_TO_IMAGE, units=3)


def domain_of(world) -> Domain:
    return Domain(world.staking.chain_id, world.slashing.address)


async def agree(world, data: bytes) -> bool:
    """Whether both find an offence in evidence, the same; False if both find none."""
    try:
        offence = verify_evidence(domain_of(world), decode_evidence(data), {})
    except ProtocolError:
        offence = None
    try:
        judged = await world.slashing.judge_fault(data)
    except ContractReverted:
        judged = None
    if offence is None:
        assert judged is None, data.hex()
        return False
    assert judged is not None, (offence, data.hex())
    assert (judged.fault, judged.signer, judged.slot) == (int(offence.fault), offence.signer, offence.slot)
    return True


def broken_sequences(domain):
    first = sealed(COORDINATOR, builders.TASK.message, domain)
    for later in (next_announcement(previous=NO_TASK), builders.announcement(0, epoch=8, previous=NO_TASK)):
        yield BrokenSequence(first, sealed(COORDINATOR, later, domain))


def altered(value, dice):
    """Some neighbours of a field."""
    if isinstance(value, int):
        return [value + 1, max(0, value - 1), 300]
    if isinstance(value, tuple):
        shorter = [value[:at] + value[at + 1 :] for at in range(len(value))]
        items = [
            (*value[:at], other, *value[at + 1 :])
            for at, item in enumerate(value)
            for other in altered(item, dice)
        ]
        return [*shorter, (*value, *value[-1:]), *dice.sample(items, min(len(items), ALTERATIONS))]
    places = dice.sample(range(len(value)), min(len(value), ALTERATIONS - 3))
    flipped = [value[:at] + bytes([value[at] ^ 1 << dice.randrange(8)]) + value[at + 1 :] for at in places]
    return [*flipped, value[:-32], value + value[-32:], value[:-1]]


async def test_both_find_the_same_offence_and_none_in_what_was_altered(world):
    dice, back = random.Random(0), MadeTrace(BACK, Lie(guidance_milli=3_990, seed=8), domain_of(world))
    looking = next(step for step, row in enumerate(back.rows) if row.needs_before(step))
    pieces = [
        *trace_evidence(domain_of(world)),
        false_step(back.held, looking, 64),
        false_start(back.held, 0, quantile_leaves()),
        *broken_sequences(domain_of(world)),
    ]
    refused = 0
    for piece in pieces:
        assert await agree(world, piece.encode()), piece.FAULT
        for field in dataclasses.fields(piece):
            for other in altered(getattr(piece, field.name), dice):
                try:
                    data = changed(piece, **{field.name: other}).encode()
                except ValueError:
                    continue  # outside of the form's bounds: no peer reads it
                refused += not await agree(world, data)
    assert refused > 500


async def test_both_find_no_offence_in_honest_work(world):
    for terms in (Terms(), BACK, Terms(guidance_milli=0), changed(BACK, guidance_milli=1_000, random=3)):
        made = MadeTrace(terms, domain=domain_of(world))
        for step in range(terms.units):
            for number in (0, 63, 64, 71):
                assert not await agree(world, false_step(made.held, step, number).encode())
        for number in (0, 71):
            assert not await agree(world, false_start(made.held, number, quantile_leaves()).encode())
        for step, tensor in made.tensors:
            assert not await agree(world, not_finite(made.held, step, tensor, 5).encode())
            assert not await agree(world, malformed_trace(made.held, step, tensor).encode())
        for place in ((0, UNCONDITIONAL), (0, SOURCE)):
            assert not await agree(world, malformed_trace(made.held, *place).encode())
        assert not await agree(world, step_count(made.held.announcement, made.held.commitment).encode())


async def test_both_find_each_tensor_that_is_malformed_or_not_finite(world):
    honest = MadeTrace(BACK, domain=domain_of(world)).tensors
    for place in ((0, LATENT), (1, UNCONDITIONAL), (2, CONDITIONAL), (3, LATENT), (0, SOURCE)):
        for wrong in (b"", honest[place][:-2], honest[place] + bytes(2)):
            made = MadeTrace(BACK, Lie(swapped={place: wrong}), domain_of(world))
            evidence = malformed_trace(made.held, *place)
            assert await agree(world, evidence.encode())
            # Of a tensor of another size, that it is there proves nothing.
            assert await agree(world, changed(evidence, hashed=()).encode()) == (not wrong)
        made = MadeTrace(BACK, Lie(swapped={place: b"\x00\xfc" + honest[place][2:]}), domain_of(world))
        assert await agree(world, not_finite(made.held, *place, 0).encode())
