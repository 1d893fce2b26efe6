"""A miner's answer to verdicts that find its work false: a liar loses its stake."""

from dataclasses import replace

import pytest

from node.exchange.work_records import WorkRecords
from node.inference.traces.trace_file import TraceWriter
from node.inference.traces.trace_store import TraceStore
from node.miner.defence import Defence, DefenceCounts
from node.signing.keys import Key
from protocol.audit import AuditReason, AuditVerdict, FaultPlace, Verdict
from protocol.evidence import Fault, verify_evidence
from tests.node.builders import DOMAIN
from tests.node.exchange.answers import MINER, STEPS, Lie, answer, signed
from tests.node.inference.builders import embedded

LIAR = Key.of(b"\x0b" * 32)
NOW_MS = 1_000_000
PACKAGES = {embedded().model_id: embedded()}
OTHER_GUIDANCE = Lie(job=lambda job: replace(job, guidance_milli=job.guidance_milli - 10))


async def kept(folder, lie=None, source=False, packages=PACKAGES):
    """A miner's defence, with one piece of work kept, and that work."""
    made = answer(*range(STEPS), lie=lie, source=source)
    store = TraceStore(folder / "traces")
    records = WorkRecords(folder / "works", DOMAIN, NOW_MS)
    writer = TraceWriter(store.path_of(made.task.digest), STEPS, made.trace.source)
    for step in range(STEPS):
        writer.add(*made.trace.tensors[step])
    writer.finish(made.trace.final)
    store.keep(made.task.digest, made.task.encoded, made.work.encode(), NOW_MS)
    await records.keep(made.commitment, None, NOW_MS)
    accused = []
    defence = Defence(MINER.address, DOMAIN, store, records, packages, accused.append, lambda: NOW_MS)
    return defence, accused, made


def verdict_on(made, reason=AuditReason.SCHEDULER_STEP, step=1, number=3, **changes):
    said = AuditVerdict(
        task_id=made.task.digest,
        miner=MINER.address,
        commitment=made.commitment.digest,
        verdict=Verdict.FAULT,
        reason=reason,
        checked=(),
        worst_excess_ppb=0,
        place=(FaultPlace(step, 0, number),),
        bundle=b"\x01" * 32,
    )
    return signed(LIAR, replace(said, **changes))


@pytest.mark.parametrize("source", [False, True])
@pytest.mark.parametrize(
    ("reason", "step"),
    [
        (AuditReason.SCHEDULER_STEP, 0),
        (AuditReason.SCHEDULER_STEP, 1),
        (AuditReason.SCHEDULER_STEP, STEPS - 1),
        (AuditReason.INITIAL_LATENT, 0),
    ],
)
async def test_attack_a_verdict_that_finds_a_right_number_false_costs_its_auditor_the_stake(
    tmp_path, reason, step, source
):
    defence, accused, made = await kept(tmp_path, source=source)
    verdict = verdict_on(made, reason, step)
    assert defence.concerns(verdict)
    await defence.answer(verdict)
    offence = verify_evidence(DOMAIN, accused[0], {})
    assert (offence.fault, offence.signer) == (Fault.FALSE_VERDICT, LIAR.address)
    assert offence.slashable_by_contract
    assert defence.counts == DefenceCounts(refuted=1)


async def test_a_verdict_that_is_right_is_not_contradicted(tmp_path):
    defence, accused, made = await kept(tmp_path, lie=OTHER_GUIDANCE)
    for number in range(8):
        await defence.answer(verdict_on(made, number=number))
    # A number or two may be right by chance, since so little is changed.
    assert defence.counts.unrefuted >= 4
    assert defence.counts.refuted == len(accused)


@pytest.mark.parametrize("place", [(1, 256), (STEPS, 0), (STEPS + 3, 0)])
async def test_attack_a_place_that_there_is_not_stops_no_miner(tmp_path, place):
    defence, accused, made = await kept(tmp_path)
    await defence.answer(verdict_on(made, step=place[0], number=place[1]))
    assert (accused, defence.counts) == ([], DefenceCounts(unrefuted=1))


async def test_work_that_is_gone_or_damaged_is_defended_by_nobody(tmp_path):
    defence, accused, made = await kept(tmp_path)
    await defence.answer(verdict_on(made, task_id=bytes(32)))
    path = defence._store.path_of(made.task.digest)
    path.write_bytes(path.read_bytes()[:-1])
    await defence.answer(verdict_on(made))
    assert (accused, defence.counts) == ([], DefenceCounts(unrefuted=2))
    without, accused, made = await kept(tmp_path / "other", packages={})
    await without.answer(verdict_on(made))
    assert (accused, without.counts) == ([], DefenceCounts(unrefuted=1))


@pytest.mark.parametrize(
    "changes",
    [
        {"miner": bytes(20)},
        {"verdict": Verdict.HONEST, "reason": AuditReason.NONE, "place": ()},
        {"reason": AuditReason.MODEL_OUTPUT, "place": ()},
        {"reason": AuditReason.NOT_FINITE},
    ],
)
async def test_other_verdicts_do_not_concern_it(tmp_path, changes):
    defence, _, made = await kept(tmp_path)
    assert not defence.concerns(verdict_on(made, **changes))
