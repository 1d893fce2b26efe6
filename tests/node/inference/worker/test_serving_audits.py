"""An audit in the inference process: each way to end, with the one answer that the pool waits for."""

from types import SimpleNamespace

import pytest

from node.inference.audit.audit import ROWS_MAX
from node.inference.jobs.audit_job import Audited
from node.inference.jobs.job import OUT_OF_MEMORY, REASON_BYTES_MAX, Failed
from node.inference.packages.errors import PackageError
from node.inference.worker import worker
from node.inference.worker.work_memory import NO_ROOM
from protocol.audit import CHECKED_STEPS_MAX, AuditReason, CheckedStep
from tests.node.inference.builders import an_audit, embedded

PACKAGE = embedded()
JOB = an_audit(0, 3, model_id=PACKAGE.model_id)
HONEST = Audited(JOB.job_id, AuditReason.NONE, (CheckedStep(0, b""),), 0, (), (), 0)


class Exited(BaseException):
    """The process would have ended."""


class Model:
    """Says what it is told to, or raises it. :ivar rows_max: what it was last allowed."""

    def __init__(self, answer):
        self.answer, self.rows_max = answer, None

    def audit(self, job, rows_max):
        self.rows_max = rows_max
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def served(answer, job=JOB, room=100, monkeypatch=None):
    """What the pool hears, and how many steps were computed at a time."""
    model, sent = Model(answer), []
    models = SimpleNamespace(packages={PACKAGE.model_id: PACKAGE}, get=lambda _: model)
    memory = SimpleNamespace(fitting=lambda jobs: min(room, len(jobs)))
    worker.serve_audit((models, memory), job, SimpleNamespace(send=sent.append))
    return sent, model.rows_max


def test_the_outcome_is_the_answer():
    assert served(HONEST) == ([HONEST], 2)


def test_as_many_steps_are_computed_at_a_time_as_there_is_room_for():
    whole = an_audit(*range(10), model_id=PACKAGE.model_id)
    assert served(HONEST, whole)[1] == ROWS_MAX < len(whole.steps) <= CHECKED_STEPS_MAX
    assert served(HONEST, whole, room=3)[1] == 3
    assert served(HONEST, whole, room=0) == ([Failed(JOB.job_id, NO_ROOM, 1)], None)


@pytest.mark.parametrize(
    ("job", "answer", "said"),
    [
        (an_audit(1), HONEST, "the model is not loaded here"),
        (JOB, PackageError("calibration.json is malformed"), "calibration.json is malformed"),
        (JOB, PackageError("ö" * REASON_BYTES_MAX), "ö" * (REASON_BYTES_MAX // 2)),
    ],
)
def test_what_cannot_be_checked_here_fails_with_its_reason_and_the_process_goes_on(job, answer, said):
    assert served(answer, job)[0] == [Failed(job.job_id, said, 0)]


def test_where_memory_runs_out_the_process_says_so_and_ends(monkeypatch):
    sent = []

    def leave(status):
        sent.append(status)
        raise Exited

    monkeypatch.setattr(worker.os, "_exit", leave)
    models = SimpleNamespace(packages={PACKAGE.model_id: PACKAGE}, get=lambda _: Model(MemoryError()))
    memory = SimpleNamespace(fitting=len)
    with pytest.raises(Exited):
        worker.serve_audit((models, memory), JOB, SimpleNamespace(send=sent.append))
    assert sent == [Failed(JOB.job_id, OUT_OF_MEMORY, 1), worker.EXIT_MEMORY]


def test_a_bug_is_loud():
    with pytest.raises(RuntimeError, match="surprise"):
        served(RuntimeError("surprise"))
