"""An answer through the check: what is asked for, what is believed only twice, and what says nothing."""

from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest

from node.exchange import audit_checking
from node.exchange.audit_checking import Unchecked, audit_job, audit_once, check_answer, steps_to_ask
from node.inference.jobs.audit_job import Audited, check_audit
from node.inference.jobs.job import Failed, JobRefused, WorkerError
from protocol.audit import CHECKED_STEPS_MAX, AuditReason, CheckedStep, FaultPlace
from protocol.model_table import SchedulerRule
from tests.node.exchange.answers import AUDITOR, DICE, STEPS, answer
from tests.node.inference.builders import embedded

PACKAGE = embedded()
BACK = replace(
    PACKAGE,
    table=PACKAGE.table._replace(head=replace(PACKAGE.table.head, scheduler_rule=SchedulerRule.TWO_STEPS)),
)


def outcome(reason=AuditReason.NONE, place=(), to_open=()):
    return Audited("", reason, (CheckedStep(1, bytes(16)),), 0, place, to_open, 0)


class Pool:
    """Answers jobs as it is told to, one after the other. :ivar jobs: those that it got."""

    def __init__(self, *answers, packages=(PACKAGE,)):
        self.packages = {package.model_id: package for package in packages}
        self.answers, self.jobs = list(answers), []

    @asynccontextmanager
    async def run(self, job):
        check_audit(job, {PACKAGE.model_id: PACKAGE})
        self.jobs.append(job)
        async with aclosing(self._answer()) as events:
            yield events

    async def _answer(self):
        if self.answers:
            found = self.answers.pop(0)
            if isinstance(found, Exception):
                raise found
            yield found


async def check(*answers):
    pool = Pool(*answers)
    return await check_answer(pool, answer(1), AUDITOR, DICE), len(pool.jobs)


async def test_the_job_is_all_that_was_opened():
    made = answer(1, 3, source=True)
    job = audit_job(made, AUDITOR, DICE)
    assert (job.auditor, job.dice, job.job_id) == (AUDITOR, DICE, made.task.digest.hex())
    assert [opened.step for opened in job.leaves] == [0, 1, 2, 3]
    assert [(one.step, one.latent) for one in job.steps] == [(n, made.trace.tensors[n][0]) for n in (1, 3)]
    assert (job.final_latent, job.source_latent) == (made.trace.final, made.trace.source)
    assert job.source_hash == made.trace.opening.source_latent
    assert job.image.source_png == made.work.sources[0]
    assert (job.image.trace_path, job.picture) == ("", made.work.picture)


async def test_honest_work_and_what_a_contract_judges_are_checked_once():
    for found in (
        outcome(),
        outcome(to_open=(2,)),
        outcome(AuditReason.SCHEDULER_STEP, (FaultPlace(1, 0, 2),)),
    ):
        assert await check(found) == (found, 1)


async def test_what_the_networks_say_accuses_only_when_they_say_it_twice():
    found = outcome(AuditReason.MODEL_OUTPUT)
    assert await check(found, found) == (found, 2)
    with pytest.raises(Unchecked, match=r"^two checks of the same work do not agree$"):
        await check(found, outcome())


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([Failed("", "out of memory", 1)], "out of memory"),
        ([WorkerError("the inference process hung")], "the inference process hung"),
        ([JobRefused("too many audits are waiting")], "too many audits are waiting"),
        ([], "the inference process ended without a word"),
    ],
)
async def test_what_fails_here_says_nothing_of_the_miner(answers, said):
    with pytest.raises(Unchecked, match=f"^{said}$"):
        await check(*answers)


async def test_a_source_of_another_task_is_not_checked():
    made = answer(1, source=True)
    swapped = replace(made, work=replace(made.work, sources=(made.work.sources[0] + b"!",)))
    with pytest.raises(Unchecked, match=r"^source is not the one of the input$"):
        await check_answer(Pool(), swapped, AUDITOR, DICE)


def test_a_scheduler_that_looks_back_has_the_steps_before_opened_too():
    assert steps_to_ask(PACKAGE, (3, 1)) == (1, 3)
    assert steps_to_ask(BACK, (3, 0)) == (0, 2, 3)


class Network:
    """Stands where `ask_miner` does. :ivar asked: steps, question by question."""

    def __init__(self, monkeypatch):
        self.asked = []
        monkeypatch.setattr(audit_checking, "ask_miner", self)

    async def __call__(self, host, lookup, task, commitment, steps):
        assert (host, lookup, task, commitment) == ("host", "lookup", MADE.task, MADE.commitment)
        self.asked.append(steps)
        return answer(*steps)


MADE = answer(1)


async def once(pool, *steps):
    return await audit_once("host", "lookup", pool, MADE.task, MADE.commitment, steps, AUDITOR, DICE)


async def test_an_audit_by_hand_asks_once_more_for_what_is_known_by_its_hash(monkeypatch):
    network, found = Network(monkeypatch), outcome(AuditReason.SCHEDULER_STEP, (FaultPlace(1, 0, 2),))
    made, said = await once(Pool(outcome(to_open=(2,)), found), 1)
    assert (said, network.asked, sorted(made.trace.tensors)) == (found, [(1,), (1, 2)], [1, 2])


async def test_an_audit_by_hand_does_not_go_round_in_circles(monkeypatch):
    network = Network(monkeypatch)
    with pytest.raises(Unchecked, match=r"^the check wants what it has, or what there is not$"):
        await once(Pool(*[outcome(to_open=(2,))] * 9), 1)
    assert network.asked == [(1,), (1, 2)]
    many = tuple(range(STEPS, STEPS + CHECKED_STEPS_MAX))
    with pytest.raises(Unchecked, match=r"^the check wants what it has, or what there is not$"):
        await once(Pool(outcome(to_open=many)), 1)
    with pytest.raises(Unchecked, match=r"^the model is not here$"):
        await once(Pool(packages=()), 1)


async def test_attack_a_verdict_of_so_many_steps_that_nobody_could_ask_for_them(monkeypatch):
    """With those before them they are more than a question may name; nobody is asked, and no node fails."""
    network = Network(monkeypatch)
    with pytest.raises(Unchecked, match=r"^the check wants what it has, or what there is not$"):
        await once(Pool(packages=(BACK,)), *range(1, 2 * CHECKED_STEPS_MAX, 2))
    assert network.asked == []
