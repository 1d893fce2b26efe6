"""The test of a machine's speed: what it asks of a worker, and that a model that fails is not offered."""

import pytest

from node.commands import miner as miner_cli
from node.inference.jobs.job import WorkerError
from node.inference.packages.package import PROMPT_CHARACTERS_MAX
from node.inference.pool import process
from node.inference.pool.pool import open_pool
from node.inference.pool.process import LocalWorkers
from node.inference.speed import Speed, measure, sample_job, try_speed
from node.settings import InferenceSettings
from tests.node.inference.builders import embedded, with_card

PACKAGE = embedded()
pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def _fake_worker(monkeypatch):
    monkeypatch.setattr(process, "WORKER_MODULE", "tests.node.inference.fake_worker")


async def test_one_image_and_a_closer_look():
    async with open_pool([PACKAGE]) as pool:
        assert await try_speed(pool, PACKAGE) == 1
        speed = await measure(pool, PACKAGE, batch=4)
        assert (speed.image_ms, speed.batch) == (1, 4)
        # The worker's own model sleeps some milliseconds a step, whatever it says of itself.
        assert speed.batch_ms >= PACKAGE.card.default_steps * 10
        assert pool.statistics().jobs_finished == 2 + 2 + 2 + 3 * 4


def test_the_gain_of_batches():
    assert Speed(image_ms=100, batch=8, batch_ms=400).gain == 2


def test_the_sample_is_an_ordinary_job():
    job = sample_job(PACKAGE, "name")
    assert (job.steps, job.width, job.height) == (PACKAGE.card.default_steps, PACKAGE.width, PACKAGE.height)
    assert sample_job(PACKAGE, "name", steps=1).steps == 1
    assert 0 < len(job.prompt) < PROMPT_CHARACTERS_MAX


async def test_a_model_that_fails_its_test_is_not_offered():
    steps = PACKAGE.card.steps_max + 1
    careless = with_card(PACKAGE, default_steps=steps, steps_max=steps)
    async with open_pool([careless]) as pool:
        with pytest.raises(WorkerError, match="failed its test"):
            await try_speed(pool, careless)


def test_the_command_prints_a_line_for_each_model(capsys):
    miner_cli.bench()
    captured = capsys.readouterr()
    measured, told = captured.out.splitlines(), captured.err.splitlines()
    assert len(measured) == 2
    assert measured[0].startswith("models loaded in")
    assert "cuckoo-icons: 32x32, 20 steps: 1 ms an image, 60000 images a minute; 8 together:" in measured[1]
    assert "loading models: 0 of 1 inference processes ready after 0 s" in told
    assert told[-1] == "cuckoo-icons: 8 images together, round 3 of 3"


def test_the_command_measures_those_that_start(capsys, monkeypatch):
    """One of two devices is not there: the other is measured, and it is said."""
    start = LocalWorkers.start

    async def start_one(backend, packages, slot):
        if slot:
            raise OSError
        return await start(backend, packages, slot)

    monkeypatch.setattr(LocalWorkers, "start", start_one)
    miner_cli.bench(InferenceSettings(device=("cpu", "cuda:7")))
    captured = capsys.readouterr()
    assert "8 together" in captured.out
    assert "measuring the 1 that are ready" in captured.err
