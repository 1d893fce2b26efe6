"""A task's job at the pool: what is refused for good, what only here, and what comes out."""

from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest

from node.inference.jobs.job import Failed, JobRefused, Preview, Progress, WorkerError
from node.miner.actions import Finished, StartJob
from node.miner.jobs import Made, run_job
from node.miner.ports import Decline
from protocol.hashing import sha256
from protocol.messages import DeclineKind
from protocol.task_input import image_input
from protocol.trace import TraceBinding, steps_root
from protocol.work import ImageNumbers, Work, WorkKind
from tests.node.builders import PACKAGE as NO_PACKAGE
from tests.node.inference.builders import EMBEDDED_FOLDER, a_source, embedded
from tests.node.inference.honest import honest_work
from tests.node.miner.engine_world import MINER, announce

PACKAGE = replace(NO_PACKAGE, folder=EMBEDDED_FOLDER, table=embedded().table)
STEPS = 6
NUMBERS = ImageNumbers(seed=7, guidance_milli=4_000, schedule_steps=STEPS)
WORK = Work.image(WorkKind.TEXT_TO_IMAGE, 32, 32, STEPS)


def start_of(numbers=NUMBERS, prompts=("a red apple", "blur"), source=b"", work=WORK):
    task_input = image_input(numbers, prompts, bytes(32), 5, source)
    task = announce(work=work, task_input=task_input)
    return StartJob(task, task_input, (source,) if source else ())


START = start_of()
ID = START.task.digest.hex()


class Pool:
    """Gives the events that it is made with. :ivar job: what it was asked for."""

    def __init__(self, *events):
        self.packages = {PACKAGE.model_id: PACKAGE}
        self.events, self.jobs = events, []

    @asynccontextmanager
    async def run(self, job):
        self.jobs.append(job)
        async with aclosing(self._answer(job)) as events:
            yield events

    async def _answer(self, job):
        for event in self.events:
            if isinstance(event, Exception):
                raise event
            yield event(job) if callable(event) else event


class SpoilingPool(Pool):
    """Does the jobs. :ivar spoil: is called with each job and its last event, and gives another event."""

    def __init__(self, spoil=lambda _number, _job, event: event):
        super().__init__(Progress(ID, 1, STEPS), Preview(ID, 5, STEPS, b"half"), self._done)
        self.spoil = spoil

    def _done(self, job):
        return self.spoil(len(self.jobs), job, honest_work(PACKAGE, job))


async def outcome(pool, path, told=None, start=START):
    return await run_job(pool, start, MINER.address, path, [].append if told is None else told.append)


async def test_what_comes_out(tmp_path):
    pool, told, path = SpoilingPool(), [], tmp_path / "trace"
    finished = await outcome(pool, path, told)
    (job,) = pool.jobs
    made = honest_work(PACKAGE, job)
    binding = TraceBinding(START.task.digest, MINER.address, PACKAGE.model_id, STEPS, sha256(made.png))
    trace_root = binding.root(steps_root(made.leaves), made.final_latent, made.source_latent)
    assert finished == Finished(made.png, STEPS, trace_root)
    assert finished.intact
    assert told == [Made(1), Made(5, b"half")]
    assert (job.job_id, job.prompt, job.negative_prompt) == (ID, "a red apple", "blur")
    assert (job.seed, job.guidance_milli, job.steps, job.schedule_steps) == (7, 4_000, STEPS, STEPS)
    assert (job.width, job.height, job.preview_every_steps) == (32, 32, 5)
    assert job.trace_path == str(path)


@pytest.mark.parametrize("guidance", [1_000, 4_000])
async def test_from_an_image_and_without_guidance(tmp_path, guidance):
    start = start_of(
        ImageNumbers(seed=8, guidance_milli=guidance, schedule_steps=9),
        source=a_source(),
        work=Work.image(WorkKind.IMAGE_TO_IMAGE, 32, 32, 5),
    )
    finished = await outcome(SpoilingPool(), tmp_path / "trace", start=start)
    assert isinstance(finished, Finished)


def flipped(data, place):
    place %= len(data)
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def in_the_file(place):
    def spoil(_number, job, event):
        with open(job.trace_path, "r+b") as file:  # noqa: PTH123 - a path as text
            data = file.read()
            file.seek(0)
            file.write(flipped(data, place))
        return event

    return spoil


async def test_what_a_flipped_bit_spoils_is_made_once_more(tmp_path):
    def first_time(number, job, event):
        return in_the_file(1000)(number, job, event) if number == 1 else event

    pool, told = SpoilingPool(first_time), []
    assert isinstance(await outcome(pool, tmp_path / "trace", told), Finished)
    assert len(pool.jobs) == 2
    # What was shown is not shown again.
    assert told == [Made(1), Made(5, b"half")]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (in_the_file(1000), "the trace is damaged"),
        (in_the_file(-1), "the trace is of another kind of work"),
        (in_the_file(0), "the trace is incomplete"),
        (
            lambda _number, _job, event: replace(event, png=flipped(event.png, 60)),
            "picture has a chunk with a wrong checksum",
        ),
        (
            lambda _number, _job, event: replace(event, final_latent=bytes(32)),
            "the trace is not the one that the inference process has told of",
        ),
        (
            lambda _number, job, event: honest_work(PACKAGE, replace(job, seed=6)),
            "number 0 of the latent of step 0 does not follow from what is before it",
        ),
        (
            lambda _number, job, event: honest_work(PACKAGE, replace(job, guidance_milli=3_990)),
            "number 0 of the latent of step 1 does not follow from what is before it",
        ),
        (
            lambda _number, job, event: honest_work(PACKAGE, replace(job, guidance_milli=1_000)),
            "step 0 has another number of outputs",
        ),
        (
            lambda _number, job, event: honest_work(PACKAGE, replace(job, steps=5)),
            "the trace has another number of steps",
        ),
        (
            lambda _number, job, event: honest_work(PACKAGE, replace(job, source_png=b"x")),
            "the trace is of another kind of work",
        ),
    ],
)
async def test_what_stays_spoilt_is_given_up(tmp_path, spoil, reason):
    pool = SpoilingPool(spoil)
    no = Decline(DeclineKind.NOT_HERE, f"the work was spoilt on this machine: {reason}")
    assert await outcome(pool, tmp_path / "trace") == no
    assert len(pool.jobs) == 2


async def test_a_spoilt_input_or_announcement_is_seen_before_signing(tmp_path):
    other = start_of(ImageNumbers(seed=6, guidance_milli=4_000, schedule_steps=STEPS))
    longer = announce(work=replace(WORK, units=5), task_input=START.task_input)
    for start, reason in (
        (replace(START, task_input=other.task_input), "input is not the one that was announced"),
        (
            replace(START, task=replace(START.task, encoded=longer.encoded)),
            "the announcement is not the signed one any more",
        ),
    ):
        no = Decline(DeclineKind.NOT_HERE, f"the work was spoilt on this machine: {reason}")
        assert await outcome(SpoilingPool(), tmp_path / "trace", start=start) == no


async def test_a_prompt_alone(tmp_path):
    pool = SpoilingPool()
    await outcome(pool, tmp_path / "trace", start=start_of(prompts=("a red apple",)))
    assert pool.jobs[0].negative_prompt == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prompts": ("x" * 1_001, "")}, "prompt has 1,001 characters, and cuckoo-icons takes 1,000 at most"),
        ({"prompts": ("", "")}, "the prompt is empty"),
        ({"prompts": ()}, "the input is not that of an image"),
        ({"prompts": ("a", "b", "c")}, "the input is not that of an image"),
        ({"numbers": ImageNumbers(7, 15_001, STEPS)}, "guidance is not in its range of 0 to 15"),
    ],
)
async def test_what_every_miner_refuses(tmp_path, changes, reason):
    pool = Pool()
    refused = Decline(DeclineKind.NOBODY, reason)
    assert await outcome(pool, tmp_path / "trace", start=start_of(**changes)) == refused
    assert pool.jobs == []


@pytest.mark.parametrize(
    ("event", "no"),
    [
        (
            Failed(ID, "the source image cannot be read", 0),
            Decline(DeclineKind.NOBODY, "the source image cannot be read"),
        ),
        (Failed(ID, "out of memory", 1), Decline(DeclineKind.NOT_HERE, "out of memory")),
        (JobRefused("too many jobs are waiting"), Decline(DeclineKind.NOT_HERE, "too many jobs are waiting")),
        (
            WorkerError("the inference process hung"),
            Decline(DeclineKind.NOT_HERE, "the inference process hung"),
        ),
    ],
)
async def test_what_fails(tmp_path, event, no):
    assert await outcome(Pool(event), tmp_path / "trace") == no


async def test_a_pool_that_says_nothing(tmp_path):
    assert await outcome(Pool(), tmp_path / "trace") == Decline(
        DeclineKind.NOT_HERE, "the inference process ended without a word"
    )
