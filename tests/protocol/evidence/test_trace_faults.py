"""Faults of a trace: every altered link is refused, and no honest number can be proved false."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.audit import TraceTensor
from protocol.errors import InvalidMessage, ProtocolError
from protocol.evidence import Fault, decode_evidence, verify_evidence
from protocol.evidence.faults import WrongCount, WrongNumber, WrongTensor
from protocol.evidence.makers import false_start, false_step, malformed_trace, not_finite, step_count
from protocol.half import half_of
from protocol.messages import Kind
from protocol.model_table import SchedulerRule
from protocol.work import Work, WorkKind
from tests.protocol import builders
from tests.protocol.builders import DOMAIN, FIRST_RANKED, OTHER_DOMAIN, SECOND_RANKED, changed, sealed
from tests.protocol.traces import Lie, MadeTrace, Terms, quantile_leaves

LATENT, UNCONDITIONAL, CONDITIONAL, SOURCE = TraceTensor
PLAIN = Terms()
BACK = Terms(scheduler=SchedulerRule.TWO_STEPS, kind=WorkKind.IMAGE_TO_IMAGE, units=3)
UNGUIDED = Terms(guidance_milli=1_000)
CHEAP = Lie(guidance_milli=3_990)
OTHER_SEED = Lie(seed=8)
INFINITE = 0xFC00
slow = settings(deadline=None, max_examples=30)


def proof(evidence):
    return verify_evidence(DOMAIN, evidence, {})


def refused(evidence) -> str:
    with pytest.raises(InvalidMessage) as caught:
        proof(evidence)
    return caught.value.reason


def looking_back(made: MadeTrace) -> int:
    return next(step for step, row in enumerate(made.rows) if row.needs_before(step))


def pieces_of_evidence():
    """One piece for each path through the checks."""
    plain, back = MadeTrace(PLAIN, CHEAP), MadeTrace(BACK, Lie(guidance_milli=3_990, seed=8))
    infinite = MadeTrace(PLAIN, Lie(bits={(2, CONDITIONAL, 70): INFINITE}))
    short = MadeTrace(PLAIN, Lie(swapped={(1, LATENT): bytes(2)}))
    return [
        false_step(plain.held, 1, 70),
        false_step(plain.held, 3, 0),
        false_step(back.held, looking_back(back), 64),
        false_start(MadeTrace(PLAIN, OTHER_SEED).held, 65, quantile_leaves()),
        false_start(back.held, 0, quantile_leaves()),
        not_finite(infinite.held, 2, CONDITIONAL, 70),
        step_count(back.held.announcement, MadeTrace(BACK, Lie(units_done=2)).held.commitment),
        malformed_trace(short.held, 1, LATENT),
    ]


EVIDENCE = pieces_of_evidence()


def test_a_step_with_another_guidance_is_shown_in_numbers():
    made = MadeTrace(PLAIN, CHEAP)
    offence = proof(false_step(made.held, 1, 70))
    honest = MadeTrace(changed(PLAIN, guidance_milli=3_990))
    committed = half_of(int.from_bytes(made.tensors[2, LATENT][140:142], "little"))
    assert offence.finding == WrongNumber(1, LATENT, 70, committed, offence.finding.expected)
    assert honest.tensors[2, LATENT] == made.tensors[2, LATENT]
    assert 0 < abs(committed - offence.finding.expected) < 0.1
    assert (offence.fault, offence.kind) == (Fault.FALSE_STEP, Kind.RESULT_COMMITMENT)
    assert (offence.signer, offence.slot) == (FIRST_RANKED.address, made.committed.task_id)


def test_the_other_findings():
    short = MadeTrace(PLAIN, Lie(swapped={(1, LATENT): bytes(2)}))
    absent = MadeTrace(PLAIN, Lie(swapped={(1, UNCONDITIONAL): b""}))
    present = MadeTrace(UNGUIDED, Lie(swapped={(1, UNCONDITIONAL): bytes(144)}))
    size = short.size
    assert proof(malformed_trace(short.held, 1, LATENT)).finding == WrongTensor(1, LATENT, 1, size)
    assert proof(malformed_trace(absent.held, 1, UNCONDITIONAL)).finding == (
        WrongTensor(1, UNCONDITIONAL, 0, size)
    )
    assert proof(malformed_trace(present.held, 1, UNCONDITIONAL)).finding == (
        WrongTensor(1, UNCONDITIONAL, size, 0)
    )
    unhashed = changed(malformed_trace(present.held, 1, UNCONDITIONAL), hashed=())
    assert proof(unhashed).finding == WrongTensor(1, UNCONDITIONAL, None, 0)
    infinite = MadeTrace(PLAIN, Lie(bits={(4, LATENT, 1): INFINITE}))
    assert proof(not_finite(infinite.held, 4, LATENT, 1)).finding == (
        WrongNumber(4, LATENT, 1, float("-inf"), None)
    )
    counted = MadeTrace(PLAIN, Lie(units_done=3))
    assert proof(step_count(counted.held.announcement, counted.held.commitment)).finding == WrongCount(3, 4)


def test_a_source_latent_that_must_not_be_there():
    made = MadeTrace(PLAIN, Lie(swapped={(0, SOURCE): bytes(144)}))
    assert proof(malformed_trace(made.held, 0, SOURCE)).finding == WrongTensor(0, SOURCE, made.size, 0)


terms = st.builds(
    Terms,
    kind=st.sampled_from(WorkKind),
    scheduler=st.sampled_from(SchedulerRule),
    units=st.integers(1, 4),
    schedule=st.integers(1, 5),
    side=st.sampled_from([4, 8, 24]),
    guidance_milli=st.sampled_from([0, 1_000, 1_001, 3_990, 30_000]),
    seed=st.sampled_from([0, 7, 2**64 - 1]),
    random=st.integers(0, 50),
).map(
    lambda one: changed(
        one,
        units=min(one.units, one.schedule) if one.kind is WorkKind.IMAGE_TO_IMAGE else one.schedule,
    )
)


@slow
@given(terms, st.data())
def test_no_honest_number_can_be_proved_false(one, data):
    made = MadeTrace(one)
    step = data.draw(st.integers(0, one.units - 1))
    for number in {0, made.size - 1, data.draw(st.integers(0, made.size - 1))}:
        assert refused(false_step(made.held, step, number)) == "the step is right"
        assert refused(false_start(made.held, number, quantile_leaves())) == "the start is right"
        for at, tensor in made.tensors:
            assert refused(not_finite(made.held, at, tensor, number)) == "the number is finite"
            assert refused(malformed_trace(made.held, at, tensor)) == "the tensor may be the task's"
    for at, tensor in [(step, UNCONDITIONAL), (0, SOURCE)]:
        assert refused(malformed_trace(made.held, at, tensor)) == "the tensor may be the task's"
    assert refused(step_count(made.held.announcement, made.held.commitment)) == "the count is right"


@slow
@given(terms, st.data())
def test_every_false_number_can_be_proved(one, data):
    """One bit of one number of one latent: the step that gave it, or the start, is false there."""
    step, number = data.draw(st.integers(0, one.units)), data.draw(st.integers(0, 1))
    honest = MadeTrace(one).tensors[step, LATENT][2 * number : 2 * number + 2]
    wrong = int.from_bytes(honest, "little") ^ 1 << data.draw(st.integers(0, 9))
    made = MadeTrace(one, Lie(bits={(step, LATENT, number): wrong}))
    evidence = (
        false_step(made.held, step - 1, number) if step else false_start(made.held, number, quantile_leaves())
    )
    assert proof(evidence).finding.committed == half_of(wrong)


@slow
@given(terms, st.data())
def test_flipping_a_zeros_sign_is_no_fault(one, data):
    step = data.draw(st.integers(1, one.units))
    honest = MadeTrace(one, Lie(bits={(step, LATENT, 0): 0x8000}))
    plain = MadeTrace(one, Lie(bits={(step, LATENT, 0): 0x0000}))
    results = set()
    for made in (honest, plain):
        try:
            results.add(proof(false_step(made.held, step - 1, 0)).fault)
        except InvalidMessage as none:
            results.add(none.reason)
    assert len(results) == 1


def altered(value):
    """A field altered: every byte of the first 64 and of the last, and each sibling, one at a time."""
    if isinstance(value, int):
        yield value + 1
        return
    if isinstance(value, tuple):
        for at, item in enumerate(value):
            yield value[:at] + value[at + 1 :]
            yield (*value[:at], item, *value[at:])
            for other in altered(item):
                yield (*value[:at], other, *value[at + 1 :])
        return
    for at in {*range(0, len(value), 16), len(value) - 1}:
        yield value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
    yield value[:-32]
    yield value + value[-32:]
    yield value[:-1]


@pytest.mark.parametrize("evidence", EVIDENCE, ids=lambda piece: piece.FAULT.name)
def test_each_altered_link_is_refused(evidence):
    """Whatever one field says otherwise, nothing is proved against the miner; and whoever signs another
    commitment proves only against himself."""
    offence = proof(evidence)
    for field in dataclasses.fields(evidence):
        for other in altered(getattr(evidence, field.name)):
            changed_piece = changed(evidence, **{field.name: other})
            if field.name in ("step", "number") and _is_false_there_too(evidence, changed_piece):
                continue
            try:
                found = proof(decode_evidence(changed_piece.encode()))
            except (ProtocolError, ValueError):  # it proves nothing, or is no evidence
                continue
            assert found.signer != offence.signer, (field.name, other)


def _is_false_there_too(evidence, piece) -> bool:
    """The next number in the same piece may be false as well: that is another proof, of the same links."""
    same_piece = evidence.FAULT in (Fault.FALSE_STEP, Fault.FALSE_START)
    return same_piece and piece.number // 64 == evidence.number // 64 and piece.number != evidence.number


def test_one_networks_evidence_proves_nothing_on_another():
    for evidence in EVIDENCE:
        with pytest.raises(InvalidMessage, match="the commitment is to another task"):
            verify_evidence(OTHER_DOMAIN, evidence, {})


def test_who_signs_another_commitment_to_the_trace_is_not_its_miner():
    """A trace root is bound to its miner: a stranger's signature under it proves nothing of anybody."""
    made = MadeTrace(PLAIN, CHEAP)
    stolen = changed(false_step(made.held, 1, 0), commitment=sealed(SECOND_RANKED, made.committed))
    assert refused(stolen) == "the trace is not the committed one"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"announcement": builders.announcement().encode()}, "the commitment is to another task"),
        ({"trace": bytes(96)}, "the trace is not the committed one"),
        ({"model": bytes(76)}, "head and table are not of the announced model"),
        ({"public": bytes(64)}, "this is not the public half of the announced input"),
        ({"step": 2}, "the row is not the one of this step"),
        ({"step": 4}, "head: the table has no such step"),
        ({"number": 72}, "the tensor has no such number"),
        ({"number": 1}, "a proof is not of whole hashes"),
        ({"row": bytes(40)}, "the row is not the one of this step"),
        ({"row": bytes(41)}, "a proof is not of whole hashes"),
        ({"leaves": ()}, "a leaf is missing, or one too many"),
        ({"leaves": (bytes(96), bytes(96))}, "the leaf is not of this step of the trace"),
        ({"pieces": ()}, "a piece is missing, or one too many"),
        ({"pieces": (bytes(48),)}, "the piece is not of this tensor"),
    ],
)
def test_why_a_step_is_not_proved_false(change, why):
    assert refused(changed(EVIDENCE[0], **change)) == why


def test_a_piece_too_many_is_refused():
    step, start = EVIDENCE[0], EVIDENCE[3]
    for evidence in (step, start):
        more = changed(evidence, pieces=(*evidence.pieces, evidence.pieces[0]))
        assert refused(more) == "a piece is missing, or one too many"


def test_other_entries_of_the_table_of_quantiles_are_refused():
    evidence = EVIDENCE[3]
    other = false_start(MadeTrace(PLAIN, OTHER_SEED).held, 1, quantile_leaves()).quantiles
    assert refused(changed(evidence, quantiles=other)) == "the quantiles are not those that the seed draws"


def test_a_number_that_is_not_finite_is_judged_as_that_alone():
    made = MadeTrace(PLAIN, Lie(bits={(2, CONDITIONAL, 0): INFINITE}))
    assert refused(false_step(made.held, 2, 0)) == "a number is not finite, which is another fault"
    assert refused(not_finite(made.held, 2, CONDITIONAL, 1)) == "the number is finite"


def test_a_tensor_that_no_trace_has():
    evidence, malformed = EVIDENCE[5], EVIDENCE[7]
    for change, why in [
        ({"tensor": SOURCE}, "there is no such tensor"),
        ({"step": 4}, "the leaf is not of this step of the trace"),
        ({"step": 4, "tensor": LATENT}, "there is no such tensor"),
        ({"leaves": ()}, "a leaf is missing, or one too many"),
        ({"tensor": SOURCE, "leaves": (), "step": 1}, "there is no such tensor"),
    ]:
        assert refused(changed(evidence, **change)) == why
    assert refused(changed(malformed, hashed=(bytes(36),))) == "the hash is not of this tensor"


def test_a_kind_of_work_whose_rules_are_not_known_has_no_such_fault():
    task = builders.announcement(work=Work(2, 4, b"\x82\x18\x40\x18\x40"))
    commitment = builders.commitment(task_id=builders.opened(builders.COORDINATOR, task).digest, units_done=3)
    evidence = step_count(task.encode(), sealed(FIRST_RANKED, commitment))
    assert refused(evidence) == "no such fault is known of this kind of work"


def test_a_task_that_no_miner_takes_is_no_fault_of_its_miner():
    strong = MadeTrace(changed(PLAIN, guidance_milli=30_001), CHEAP)
    assert refused(false_step(strong.held, 1, 0)) == "no miner takes so strong a guidance"
    part = MadeTrace(changed(PLAIN, units=3), CHEAP)
    assert refused(false_step(part.held, 1, 0)) == "from noise, a schedule is run whole"
