"""Memory without error correction: whichever bit flips before work is signed, nothing false is signed.

Is: the real loop around networks, the real trace and the real look at it, with one bit of one value flipped
on the way. The networks alone are made up, so that the test can ask them again. What they say counts from
when it is in binary16.
"""

import dataclasses
import os
import random
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import trio

from node.inference.audit.exact import ReadWork, check_start, check_steps
from node.inference.audit.opened import OpenedWork
from node.inference.diffusion.checks import half_tensor
from node.inference.diffusion.replay import REPLAY_NAME, Step, read_replay, write_replay
from node.inference.jobs.job import Failed, ImageJob, WorkerError
from node.inference.jobs.job import Finished as JobFinished
from node.inference.packages.table import table_of
from node.inference.traces.trace_file import TraceFile
from node.miner.actions import Finished, StartJob
from node.miner.jobs import image_job, run_job
from node.miner.ports import Decline
from protocol.hashing import sha256
from protocol.png import require_picture
from protocol.task_input import image_input
from protocol.trace import OpeningRequest, TraceBinding, open_leaves, verify_opening
from protocol.work import ImageNumbers, Work, WorkKind
from tests.node.builders import PACKAGE as NO_PACKAGE
from tests.node.inference.builders import a_source, write_parts
from tests.node.inference.honest import DrawnNetworks, data
from tests.node.miner.engine_world import MINER, announce

pytestmark = pytest.mark.process  # not one, but torch takes seconds to import
PLACES = 1_000 if os.environ.get("CUCKOO_LONG") else 160
STEPS, SCHEDULE = 4, 6
SHAPE = (4, 4, 4)
SCENES = ("guided", "unguided", "from an image", "two steps")


def flipped(value, bit):
    """A value with one bit of it turned over: of an array, bytes, a number, or one field of a struct."""
    match value:
        case bytes():
            at = bit // 8 % len(value)
            return value[:at] + bytes([value[at] ^ 1 << bit % 8]) + value[at + 1 :]
        case int():
            return value ^ 1 << bit % 13
        case np.ndarray() | np.generic():
            return np.frombuffer(flipped(value.tobytes(), bit), dtype=value.dtype).reshape(value.shape)[()]
        case tuple():
            at = bit % len(value)
            return (*value[:at], flipped(value[at], bit // len(value)), *value[at + 1 :])
    names = {
        ImageJob: ("seed", "guidance_milli", "steps", "schedule_steps", "width"),
        JobFinished: ("png", "leaves", "final_latent", "source_latent"),
    }.get(type(value), tuple(field.name for field in dataclasses.fields(value)))
    name = names[bit % len(names)]
    return dataclasses.replace(value, **{name: flipped(getattr(value, name), bit // len(names))})


class Flip:
    """Turns over one bit the nth time that a value of this name passes; of no name, counts what passes."""

    def __init__(self, name="", nth=0, bit=0):
        self.name, self.nth, self.bit, self.done, self.passed = name, nth, bit, False, {}

    def __call__(self, name, value):
        seen = self.passed[name] = self.passed.get(name, 0) + 1
        if value is None or name != self.name or self.done or seen <= self.nth:
            return value
        self.done = True
        return flipped(value, self.bit)


class FlippingPool:
    """Runs jobs in this process by `pipeline.Model`; values of its loop pass through `flip`."""

    def __init__(self, package, flip, monkeypatch):
        from node.inference.diffusion import pipeline

        self.packages = {package.model_id: package}
        self.flip, networks = flip, DrawnNetworks(package)
        self.model = pipeline.Model.__new__(pipeline.Model)
        self.model.networks, noise = networks, networks.noise
        networks.noise = lambda job: flip("noise", noise(job))
        steps = networks.replay.steps
        networks.replay = type("Table", (), {"steps": lambda _, *counts: flip("table", steps(*counts))})()
        for name in ("guide", "advance", "noised", "latent_bytes"):
            monkeypatch.setattr(pipeline, name, self.passing(name, getattr(pipeline, name)))

    def passing(self, name, function):
        """A function whose arguments and result may be spoilt, as what lies in memory may."""

        def call(*arguments):
            given = [
                self.flip(f"{name} {place}", argument)
                if isinstance(argument, np.ndarray | Step | int)
                else tuple(self.flip(f"{name} {place}", part) for part in argument or ()) or None
                for place, argument in enumerate(arguments)
            ]
            return self.flip(name, function(*given))

        # The arguments of the conversion are those of the others; its result alone is its own.
        return (lambda tensor: self.flip(name, function(tensor))) if name == "latent_bytes" else call

    @asynccontextmanager
    async def run(self, job):
        events = []
        try:
            self.model.run([self.flip("job", job)], events.append, lambda _: False)
        except Exception as error:
            raise WorkerError("the inference process died") from error
        path = Path(job.trace_path)
        if path.exists():
            path.write_bytes(self.flip("file", path.read_bytes()))
        async with aclosing(self.told(events)) as told:
            yield told

    async def told(self, events):
        """The last events, as the node gets them."""
        for event in events:
            if isinstance(event, JobFinished | Failed):
                yield self.flip("event", event) if isinstance(event, JobFinished) else event


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Without weights; `two` has a table that looks back."""
    packages = {}
    for name in ("one", "two"):
        folder = tmp_path_factory.mktemp(name)
        write_parts(folder)
        if name == "two":
            replay = read_replay(folder / REPLAY_NAME)
            table = replay.table.copy()
            table[:, 3:5] = 0.25, -0.125
            write_replay(folder / REPLAY_NAME, dataclasses.replace(replay, table=table))
        packages[name] = dataclasses.replace(NO_PACKAGE, folder=folder, table=table_of(folder))
    return packages


def start_of(scene):
    source = a_source() if scene == "from an image" else b""
    kind = WorkKind.IMAGE_TO_IMAGE if source else WorkKind.TEXT_TO_IMAGE
    numbers = ImageNumbers(2026, 1_000 if scene == "unguided" else 4_000, SCHEDULE if source else STEPS)
    task_input = image_input(numbers, ("a red apple", ""), bytes(32), 0, source)
    task = announce(work=Work.image(kind, 32, 32, STEPS), task_input=task_input)
    return StartJob(task, task_input, (source,) if source else ())


def judge(package, start, finished, path):
    """As the rules would, if every step was opened and the networks were asked again, to the last bit."""
    message = start.task.message
    job, networks = image_job(start, path), DrawnNetworks(package)
    binding = TraceBinding(
        start.task.digest, MINER.address, message.model_id, message.work.units, sha256(finished.output)
    )
    with TraceFile(path) as trace:
        request = OpeningRequest(start.task.digest, tuple(range(STEPS)), 1, 1)
        ends = trace.final_latent, trace.source_latent
        opening = open_leaves(start.task.digest, trace.leaves, ends[0], request.steps, ends[1])
        work = OpenedWork(
            job=job,
            leaves=verify_opening(binding, finished.trace_root, request, opening),
            final_hash=ends[0],
            source_hash=ends[1],
            tensors={number: trace.tensors(number) for number in range(STEPS)},
            final_latent=trace.final(),
            source_latent=trace.source(),
            picture=finished.output,
        )
    read, steps = ReadWork(work, SHAPE), networks.replay.steps(job.schedule_steps, job.steps)
    assert [*read.findings, *check_start(work, read, steps[0], SHAPE), *check_steps(work, read, steps)] == []
    for tensors in work.tensors.values():
        latent = half_tensor(tensors[0], SHAPE)
        expected = networks.predict([latent], None, True if job.guided else None, None)
        assert [data(part) for part in expected[0]] == list(tensors[1:])
    if job.source_png:
        assert work.source_latent == data(networks.encode_sources([job])[0])
    require_picture(finished.output, job.width, job.height)
    assert finished.output == a_source(job.width, job.height)
    assert finished.units_done == message.work.units


def outcome_of(package, scene, flip, folder):
    start, path = start_of(scene), folder / "trace"
    with pytest.MonkeyPatch.context() as monkeypatch:
        pool = FlippingPool(package, flip, monkeypatch)
        outcome = trio.run(run_job, pool, start, MINER.address, path, lambda _: None)
    if isinstance(outcome, Finished):
        judge(package, start, outcome, path)
    return outcome


def of_scene(package, scene):
    return package["two" if scene == "two steps" else "one"]


def test_attack_one_flipped_bit_anywhere_between_computing_and_signing(package, tmp_path):
    passed = {}
    for scene in SCENES:
        counter = Flip()
        assert isinstance(outcome_of(of_scene(package, scene), scene, counter, tmp_path), Finished)
        passed[scene] = counter.passed
    draw, outcomes = random.Random(1), []
    for place in range(PLACES):
        scene = SCENES[place % len(SCENES)]
        name = draw.choice(sorted(passed[scene]))
        flip = Flip(name, draw.randrange(passed[scene][name]), draw.randrange(1 << 30))
        outcome = outcome_of(of_scene(package, scene), scene, flip, tmp_path)
        outcomes.append((flip.done, type(outcome)))
    kinds = [kind for done, kind in outcomes if done]
    # A bit flips once, so most work comes out right the second time; the rest is given up.
    assert len(kinds) > 0.8 * PLACES
    assert kinds.count(Finished) > 0.5 * PLACES
    assert set(kinds) == {Finished, Decline}
