"""A real `pipeline.Model` whose work a cheat alters, and its trace as an auditor gets it opened."""

from dataclasses import replace
from pathlib import Path

from node.inference.audit.opened import OpenedWork
from node.inference.diffusion import pipeline
from node.inference.jobs.job import Finished
from node.inference.traces.trace_file import TraceFile, TraceWriter
from protocol.sketch import drawn_places


class CheatingWriter(TraceWriter):
    """Commits to what the cheat says."""

    cheat = None

    def add(self, *tensors):
        super().add(*self.cheat.tensors(len(self.leaves), tensors))


class CheatingModel(pipeline.Model):
    """As `pipeline.Model`; made of one that is loaded already."""

    def __init__(self, model, cheat):
        self.__dict__.update(model.__dict__)
        self.networks, self.cheat = cheat.networks(model.networks), cheat

    def run(self, jobs, emit, cancelled):
        def tell(event):
            emit(self.cheat.finished(event) if isinstance(event, Finished) else event)

        writer = pipeline.TraceWriter
        pipeline.TraceWriter = type("Writer", (CheatingWriter,), {"cheat": self.cheat})
        try:
            super().run([self.cheat.job(job) for job in jobs], tell, cancelled)
        finally:
            pipeline.TraceWriter = writer


def work(model, jobs, folder, cheat=None):
    """Run jobs as one batch. :returns: of each what was asked for, its trace's path and its PNG."""
    done = []
    jobs = [replace(job, trace_path=str(Path(folder) / f"{job.job_id}.trace")) for job in jobs]
    running = model if cheat is None else CheatingModel(model, cheat)
    running.run(jobs, done.append, lambda _: False)
    pngs = {event.job_id: event.png for event in done if isinstance(event, Finished)}
    assert set(pngs) == {job.job_id for job in jobs}, done[-1]
    return [(job, Path(job.trace_path), pngs[job.job_id]) for job in jobs]


def opened(job, path, png, numbers=None):
    """What an auditor of these steps (default: all) has in hand, the latents after them not among it."""
    with TraceFile(path) as trace:
        count = len(trace.leaves)
        asked = range(count) if numbers is None else numbers
        # The first one is proved in every opening, for S.
        proved = {n for n in (0, *asked, *(n + 1 for n in asked)) if n < count}
        return OpenedWork(
            job=job,
            leaves={number: trace.leaves[number] for number in proved},
            final_hash=trace.final_latent,
            source_hash=trace.source_latent,
            tensors={number: trace.tensors(number) for number in asked},
            final_latent=trace.final(),
            source_latent=trace.source(),
            picture=png,
        )


def draw(step, tensor, count, wanted, auditor=b"auditor"):
    """Places of a sketch, as the protocol draws them."""
    return drawn_places(bytes(32), auditor.ljust(20, b"."), step, tensor, count, wanted)
