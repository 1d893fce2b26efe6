"""From a cheat's real work to evidence that a contract judges: cheats that leave a false number behind."""

import os
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from node.exchange import audit_checking
from node.exchange.accusing import evidence_of
from node.exchange.audit_checking import audit_once
from node.inference.audit.audit import ROWS_MAX
from node.inference.diffusion.pipeline import Model
from node.inference.jobs.job import Finished
from protocol.audit import PLACED_REASONS, AuditReason
from protocol.evidence import Fault, verify_evidence
from tests.cheats.miner import CheatingModel
from tests.cheats.old_trace import OldTrace
from tests.cheats.other_guidance import OtherGuidance
from tests.cheats.other_seed import OtherSeed
from tests.cheats.out_of_range import OutOfRange
from tests.cheats.strategy import Cheat
from tests.node.builders import DOMAIN
from tests.node.exchange.answers import AUDITOR, DICE, MINER, STEPS, answer
from tests.node.inference.builders import embedded

EVIDENCE_BYTES_MAX = 5_000
"""Of a model of this size; a stranger pays for it on a chain."""
DRAWN = range(STEPS) if os.environ.get("CUCKOO_LONG") else (0, STEPS - 1)
"""Steps of which one is drawn."""


@pytest.fixture(scope="module")
def model():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Model(embedded())
    torch.set_num_threads(threads)


class Pool:
    """The model in this process, where a node has one of its own."""

    def __init__(self, model):
        self.model, self.packages = model, {embedded().model_id: embedded()}

    @asynccontextmanager
    async def run(self, job):
        async with aclosing(self._answer(job)) as events:
            yield events

    async def _answer(self, job):
        yield self.model.audit(job, ROWS_MAX)


async def audited(model, cheat, monkeypatch, steps):
    """A cheat's work, asked for until something can be said of it, and what the audit finds."""

    def make(_package, job):
        events = []
        CheatingModel(model, cheat).run([job], events.append, lambda _: False)
        (made,) = (event for event in events if isinstance(event, Finished))
        return made

    async def ask_miner(_host, _lookup, task, commitment, wanted):
        made = answer(*wanted, make=make)
        return replace(made, task=task, commitment=made.commitment)

    monkeypatch.setattr(audit_checking, "ask_miner", ask_miner)
    whole = answer(*steps, make=make)
    return await audit_once(None, None, Pool(model), whole.task, whole.commitment, steps, AUDITOR, DICE)


@pytest.mark.parametrize("step", DRAWN)
@pytest.mark.parametrize(
    ("cheat", "reason", "fault"),
    [
        (OtherGuidance, AuditReason.SCHEDULER_STEP, Fault.FALSE_STEP),
        (OtherSeed, AuditReason.INITIAL_LATENT, Fault.FALSE_START),
        (OldTrace, AuditReason.INITIAL_LATENT, Fault.FALSE_START),
        (lambda: OutOfRange(np.inf), AuditReason.NOT_FINITE, Fault.NOT_FINITE),
        (lambda: OutOfRange(np.nan), AuditReason.NOT_FINITE, Fault.NOT_FINITE),
    ],
    ids=[
        "guidance 3.99 for 4",
        "another seed",
        "an old trace",
        "an infinite number",
        "a number that is none",
    ],
)
async def test_attack_work_that_leaves_a_false_number_is_proved_whichever_step_is_drawn(
    model, monkeypatch, cheat, reason, fault, step
):
    made, found = await audited(model, cheat(), monkeypatch, (step,))
    assert (AuditReason(found.reason), found.to_open) == (reason, ())
    assert reason in PLACED_REASONS
    evidence = evidence_of(DOMAIN, made, embedded(), reason, found.place[0])
    offence = verify_evidence(DOMAIN, evidence, {})
    assert (offence.fault, offence.signer) == (fault, MINER.address)
    assert len(evidence.encode()) <= EVIDENCE_BYTES_MAX


async def test_honest_work_leaves_no_evidence(model, monkeypatch):
    _, found = await audited(model, Cheat(), monkeypatch, (0, 3))
    assert (found.reason, found.to_open, found.place) == (AuditReason.NONE, (), ())
