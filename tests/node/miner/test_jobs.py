"""A task's job at the pool: what is refused for good, what only here, and what comes out."""

from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from node.inference.jobs.job import Failed, JobRefused, Preview, Progress, WorkerError
from node.inference.jobs.job import Finished as JobFinished
from node.miner.actions import Finished, StartJob
from node.miner.jobs import Made, run_job
from node.miner.ports import Decline
from protocol.hashing import sha256
from protocol.messages import DeclineKind
from protocol.trace import TraceBinding, TraceLeaf, steps_root
from protocol.work import ImageNumbers, Work, WorkKind
from tests.node.builders import PACKAGE
from tests.node.miner.engine_world import MINER, announce

TASK = announce(work=Work.image(WorkKind.TEXT_TO_IMAGE, 64, 64, 20))
NUMBERS = ImageNumbers(seed=7, guidance_milli=4_000, schedule_steps=20)
PATH = Path("folder") / "trace"
LEAF = TraceLeaf(bytes(32), bytes(32), bytes(32))
ID = TASK.digest.hex()
FINISHED = JobFinished(ID, b"png", (LEAF,), b"\x01" * 32, b"\x02" * 32, 5)


class Pool:
    """Gives the events that it is made with. :ivar job: what it was asked for."""

    def __init__(self, *events):
        self.packages = {PACKAGE.model_id: PACKAGE}
        self.events, self.job = events, None

    @asynccontextmanager
    async def run(self, job):
        self.job = job
        async with aclosing(self._answer()) as events:
            yield events

    async def _answer(self):
        for event in self.events:
            if isinstance(event, Exception):
                raise event
            yield event


def start(**changes):
    fields = {"numbers": NUMBERS, "prompts": ("a red apple", "blur"), "sources": (), "preview_every_units": 5}
    return StartJob(TASK, **(fields | changes))


async def outcome(pool, told=None, **changes):
    return await run_job(
        pool, start(**changes), MINER.address, PATH, [].append if told is None else told.append
    )


async def test_what_comes_out():
    pool, told = Pool(Progress(ID, 1, 20), Preview(ID, 5, 20, b"half"), FINISHED), []
    binding = TraceBinding(TASK.digest, MINER.address, PACKAGE.model_id, 20, sha256(b"png"))
    trace_root = binding.root(steps_root((LEAF,)), b"\x01" * 32, b"\x02" * 32)
    assert await outcome(pool, told) == Finished(b"png", 20, trace_root)
    assert told == [Made(1), Made(5, b"half")]
    job = pool.job
    assert (job.job_id, job.prompt, job.negative_prompt) == (ID, "a red apple", "blur")
    assert (job.seed, job.guidance_milli, job.steps, job.schedule_steps) == (7, 4_000, 20, 20)
    assert (job.width, job.height, job.preview_every_steps) == (64, 64, 5)
    assert job.trace_path == str(PATH)


async def test_a_prompt_alone():
    pool = Pool(FINISHED)
    await outcome(pool, prompts=("a red apple",))
    assert pool.job.negative_prompt == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prompts": ("x" * 1_001, "")}, "prompt has 1,001 characters, and cuckoo-icons takes 1,000 at most"),
        ({"prompts": ("", "")}, "the prompt is empty"),
        ({"prompts": ()}, "the input is not that of an image"),
        ({"prompts": ("a", "b", "c")}, "the input is not that of an image"),
        ({"numbers": None}, "the input is not that of an image"),
        ({"numbers": ImageNumbers(7, 15_001, 20)}, "guidance is not in its range of 0 to 15"),
    ],
)
async def test_what_every_miner_refuses(changes, reason):
    pool = Pool()
    assert await outcome(pool, **changes) == Decline(DeclineKind.NOBODY, reason)
    assert pool.job is None


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
async def test_what_fails(event, no):
    assert await outcome(Pool(event)) == no


async def test_a_pool_that_says_nothing():
    assert await outcome(Pool()) == Decline(
        DeclineKind.NOT_HERE, "the inference process ended without a word"
    )
