"""node/inference/jobs/announced.py: the job is the announced one, number by number, or there is none."""

import pytest

from node.inference.jobs.announced import announced_job
from node.inference.jobs.job import ImageJob, JobRefused
from protocol.errors import InvalidMessage
from protocol.task_input import image_input
from protocol.work import ImageNumbers
from tests.node.exchange.answers import STEPS, input_of, task_of
from tests.node.inference.builders import a_source, embedded

NUMBERS = ImageNumbers(seed=7, guidance_milli=4_000, schedule_steps=STEPS)


def test_every_number_comes_from_the_announcement_or_its_input():
    task = task_of(input_of())
    assert announced_job(task, input_of(), (), "trace") == ImageJob(
        job_id=task.digest.hex(),
        model_id=embedded().model_id,
        prompt="a red apple",
        negative_prompt="",
        seed=7,
        steps=STEPS,
        guidance_milli=4_000,
        width=32,
        height=32,
        preview_every_steps=0,
        schedule_steps=STEPS,
        source_png=b"",
        trace_path="trace",
    )


def test_a_source_comes_with_it_and_makes_the_schedule_longer():
    task_input = input_of(source=True)
    job = announced_job(task_of(task_input, source=True), task_input, (a_source(),))
    assert (job.source_png, job.steps, job.schedule_steps) == (a_source(), STEPS, 6)


def test_one_prompt_is_enough_and_three_are_no_image():
    one = image_input(NUMBERS, ("a cat",), bytes(32), 0)
    job = announced_job(task_of(one), one, ())
    assert (job.prompt, job.negative_prompt) == ("a cat", "")
    for prompts in ((), ("a", "b", "c")):
        other = image_input(NUMBERS, prompts, bytes(32), 0)
        with pytest.raises(JobRefused) as refused:
            announced_job(task_of(other), other, ())
        assert str(refused.value) == "the input is not that of an image"


def test_attack_another_input_or_source_than_the_announced_one():
    with pytest.raises(InvalidMessage) as other:
        announced_job(task_of(input_of()), input_of(guidance_milli=3_990), ())
    assert str(other.value) == "input is not the one that was announced"
    task_input = input_of(source=True)
    with pytest.raises(InvalidMessage):
        announced_job(task_of(task_input, source=True), task_input, (a_source()[:-1],))
