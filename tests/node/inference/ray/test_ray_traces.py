"""Traces that come in parts from another host: written whole where the node wants them, or not at all."""

import pytest

from node.inference.jobs.frames import TracePart
from node.inference.jobs.job import Failed, Finished
from node.inference.ray.ray_traces import WANTED, IncomingTraces
from node.inference.traces.trace_file import TraceFile, TraceWriter
from tests.node.inference.builders import a_job

MODEL_ID = b"\x01" * 32


@pytest.fixture
def made(tmp_path):
    """A trace as a worker on another host writes it: its bytes and the job's last event."""
    writer = TraceWriter(tmp_path / "there", 2)
    for step in (b"1", b"2"):
        writer.add(step * 8, step * 8, step * 8)
    final = writer.finish(b"f" * 8)
    return (tmp_path / "there").read_bytes(), Finished(
        "job-1", b"png", tuple(writer.leaves), final, writer.source_latent, 1
    )


def receive(tmp_path, data, event, part_bytes=64):
    traces = IncomingTraces()
    job = traces.expect(a_job(MODEL_ID, trace_path=str(tmp_path / "here")))
    assert job.trace_path == WANTED
    for at in range(0, len(data), part_bytes):
        traces.take(TracePart("job-1", data[at : at + part_bytes]))
    return traces.end(event)


def left(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("here"))


def test_whole(tmp_path, made):
    data, finished = made
    assert receive(tmp_path, data, finished) == finished
    with TraceFile(tmp_path / "here") as trace:
        assert tuple(trace.leaves) == finished.leaves
    assert left(tmp_path) == ["here"]


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: data[:-1] + b"?", lambda data: b""])
def test_what_is_not_whole_or_of_another_image_fails_the_job_for_now(tmp_path, made, spoil):
    data, finished = made
    event = receive(tmp_path, spoil(data), finished)
    assert isinstance(event, Failed)
    assert event.retryable
    assert "trace" in event.reason
    assert left(tmp_path) == []


def test_a_place_that_cannot_be_written_fails_the_job_for_now(tmp_path, made):
    data, finished = made
    (tmp_path / "here").mkdir()
    event = receive(tmp_path, data, finished)
    assert isinstance(event, Failed)
    assert left(tmp_path) == ["here"]


def test_a_failed_job_leaves_nothing(tmp_path, made):
    failed = Failed("job-1", "cancelled", 1)
    assert receive(tmp_path, made[0], failed) == failed
    assert left(tmp_path) == []


def test_a_job_without_a_trace_has_none(tmp_path, made):
    traces = IncomingTraces()
    job = a_job(MODEL_ID)
    assert traces.expect(job) == job
    traces.take(TracePart("job-1", made[0]))
    assert traces.end(made[1]) == made[1]
    assert left(tmp_path) == []
