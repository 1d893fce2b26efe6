"""Honest work without networks: what they would say is drawn, all that follows from it is computed."""

import functools

import numpy as np

from node.inference.diffusion.prng import initial_latent
from node.inference.diffusion.replay import REPLAY_NAME, advance, guide, noised, read_replay
from node.inference.jobs.job import Finished
from node.inference.traces.trace_file import TraceWriter
from tests.node.inference.builders import a_source

picture = functools.cache(a_source)


def data(tensor):
    """A tensor's bytes, none of no tensor."""
    return b"" if tensor is None else tensor.astype("<f2").tobytes()


class DrawnNetworks:
    """Stands where `networks.Networks` does; everything is a function of what is given."""

    def __init__(self, package):
        self.package, self.memory_bytes = package, 1
        self.replay = read_replay(package.folder / REPLAY_NAME)

    def shape(self, job):
        """Of a latent of a job."""
        head = self.package.table.head
        return head.channels, job.height // head.factor, job.width // head.factor

    def noise(self, job):
        """As the real ones."""
        return initial_latent(job.seed, self.shape(job))

    def output(self, latent, place):
        """With the prompt (1) or without (0)."""
        seed = np.frombuffer(data(latent) + bytes([place]), dtype=np.uint8)
        return np.random.default_rng(seed).standard_normal(latent.shape).astype(np.float16)

    def predict(self, latents, _step, negatives, _prompts):
        """As the real ones."""
        guided = negatives is not None
        return [(self.output(one, 0) if guided else None, self.output(one, 1)) for one in latents]

    def encode_prompts(self, jobs):
        """As the real ones."""
        import torch

        prompts = torch.zeros(len(jobs), 1)
        return prompts, prompts if jobs[0].guided else None

    def encode_sources(self, jobs):
        """As the real ones."""
        draws = [np.random.default_rng(np.frombuffer(job.source_png, dtype=np.uint8)) for job in jobs]
        shapes = map(self.shape, jobs)
        return [
            draw.standard_normal(shape).astype(np.float16) for draw, shape in zip(draws, shapes, strict=True)
        ]

    def decode(self, latents):
        """A picture for each, of the size that follows from its latent."""
        factor = self.package.table.head.factor
        return [picture(latent.shape[2] * factor, latent.shape[1] * factor) for latent in latents]


def honest_work(package, job):
    """Do a job, with its trace, and return its last event. No torch."""
    networks = DrawnNetworks(package)
    noise = networks.noise(job)
    source = networks.encode_sources([job])[0] if job.source_png else None
    steps = networks.replay.steps(job.schedule_steps, job.steps)
    writer = TraceWriter(job.trace_path, job.steps, data(source))
    latent = noise.astype(np.float16) if source is None else noised(steps[0], source, noise)
    before = None
    for step in steps:
        ((unconditional, conditional),) = networks.predict([latent], step, job.guided or None, None)
        writer.add(data(latent), data(unconditional), data(conditional))
        output = guide(unconditional, conditional, job.guidance_milli)
        latent, before = advance(step, latent, output, before), (latent, output)
    final = writer.finish(data(latent))
    png = picture(job.width, job.height)
    return Finished(job.job_id, png, tuple(writer.leaves), final, writer.source_latent, 5)
