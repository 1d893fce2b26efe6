"""A miner's look at its own work: honest work passes, and what it would be slashed for does not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from node.inference.audit import own
from node.inference.audit.own import TABLES_KEPT, SpoiltWork, TraceEnds, require_own_work
from node.inference.diffusion.replay import REPLAY_NAME
from node.inference.packages.table import PackagedTable
from node.inference.traces.trace_file import TraceFile, TraceWriter
from protocol.trace import steps_root
from tests.node.inference.builders import a_job, a_source, embedded
from tests.node.inference.honest import honest_work

PACKAGE = embedded()
STEPS = 3
FALSE = "does not follow from what is before it"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trace"


def job_of(path, **changes):
    return a_job(PACKAGE.model_id, **({"steps": STEPS, "trace_path": str(path)} | changes))


def look(job, made, package=PACKAGE):
    return require_own_work(package, job, made.png, Path(job.trace_path))


@pytest.mark.parametrize("guidance", [1_000, 4_000])
@pytest.mark.parametrize("source", [b"", a_source()])
def test_honest_work_passes_and_gives_its_hashes(path, guidance, source):
    job = job_of(path, guidance_milli=guidance, source_png=source, schedule_steps=5 if source else STEPS)
    made = honest_work(PACKAGE, job)
    ends = TraceEnds(steps_root(made.leaves), made.final_latent, made.source_latent)
    assert look(job, made) == ends


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seed": 8}, f"number 0 of the latent of step 0 {FALSE}"),
        (
            {"guidance_milli": 3_990},
            f"number 0 of the latent of step 1 {FALSE}",
        ),
        ({"guidance_milli": 1_000}, "step 0 has another number of outputs"),
        ({"steps": 2, "schedule_steps": 2}, "the trace has another number of steps"),
        ({"source_png": a_source()}, "the trace is of another kind of work"),
        (
            {"width": 64, "height": 64},
            "picture is not an 8-bit RGB PNG of the announced size, not interlaced",
        ),
        ({"schedule_steps": 101}, "the table has no rows for so many steps"),
    ],
)
def test_attack_work_that_is_not_the_announced_one(path, changes, reason):
    made = honest_work(PACKAGE, job_of(path))
    with pytest.raises(SpoiltWork) as caught:
        look(job_of(path, **changes), made)
    assert str(caught.value) == reason


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("number", [np.inf, np.nan])
def test_attack_a_number_that_is_not_finite(path, which, number):
    job = job_of(path, steps=1)
    made = honest_work(PACKAGE, job)
    tensors = list(tensors_of(path))
    spoilt = np.frombuffer(tensors[which], dtype="<f2").copy()
    spoilt[17] = number
    tensors[which] = spoilt.tobytes()
    writer = TraceWriter(path, 1)
    writer.add(*tensors)
    writer.finish(bytes(512))
    with pytest.raises(SpoiltWork, match=r"^number 17 of step 0 is not finite$"):
        look(job, made)


def tensors_of(path):
    with TraceFile(path) as trace:
        return trace.tensors(0)


def test_no_trace_and_one_of_another_size(path):
    job = job_of(path)
    made = honest_work(PACKAGE, job)
    wide = replace(PACKAGE, table=PACKAGE.table._replace(head=replace(PACKAGE.table.head, factor=2)))
    with pytest.raises(SpoiltWork, match="cannot reshape array of size 256"):
        look(job, made, wide)
    path.unlink()
    with pytest.raises(SpoiltWork, match=r"^the trace is not there$"):
        look(job, made)


def test_a_table_that_is_not_the_one_under_the_id(path):
    job = job_of(path)
    other = replace(PACKAGE, table=PackagedTable(PACKAGE.table.head, bytes(32)))
    with pytest.raises(SpoiltWork, match=r"^the table under the package's id is not that of its files$"):
        look(job, honest_work(PACKAGE, job), other)


def test_no_more_tables_are_kept_than_allowed(tmp_path):
    root = PACKAGE.table.rows_root
    for number in range(TABLES_KEPT + 2):
        copied = tmp_path / str(number)
        copied.write_bytes((PACKAGE.folder / REPLAY_NAME).read_bytes())
        assert own._table(copied, root).steps_max == 100
    assert own._table.cache_info().currsize == TABLES_KEPT
