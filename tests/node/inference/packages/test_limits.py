"""The one check of a request: whoever asks it, each bound is held, named and told."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.coordinator.requests import ImageRequest
from node.inference.jobs.job import JobRefused, check_job
from node.inference.packages.limits import (
    BadRequest,
    LimitExceeded,
    RequestedImage,
    check_request,
    check_work,
)
from node.inference.packages.package import ModelPackage
from protocol.errors import Refusal
from protocol.work import Work, WorkKind
from tests.node.inference.builders import TABLE, a_job, a_source, card, embedded, with_card

MODEL = ModelPackage(b"\x05" * 32, card(), Path("/nowhere"), {}, TABLE)
REQUEST = RequestedImage(
    work_kind=WorkKind.TEXT_TO_IMAGE,
    prompt="a red apple",
    negative_prompt="",
    seed=7,
    width=32,
    height=32,
    schedule_steps=10,
    run_steps=10,
    guidance_milli=4000,
    source_png=b"",
)


@pytest.mark.parametrize(
    ("changes", "field", "bound", "value", "reason"),
    [
        (
            {"prompt": "x" * 1200},
            *("prompt", 1000, 1200, "prompt has 1,200 characters, and cuckoo-icons takes 1,000 at most"),
        ),
        (
            {"negative_prompt": "x" * 1001},
            *("negative_prompt", 1000, 1001),
            "negative_prompt has 1,001 characters, and cuckoo-icons takes 1,000 at most",
        ),
        ({"guidance_milli": 20_000}, "guidance", 15.0, 20.0, "guidance is not in its range of 0 to 15"),
        (
            {"width": 33},
            *("size", ((32, 32),), (33, 32), "cuckoo-icons draws 32x32, not 33x32"),
        ),
        (
            {"run_steps": 101, "schedule_steps": 101},
            *("steps", 100, 101, "steps is not in its range of 1 to 100"),
        ),
        ({"strength_milli": 0}, "strength", 1.0, 0.0, "strength is not in its range of 0.001 to 1"),
        (
            {"work_kind": 7},
            *("model", (0, 1), 7, "cuckoo-icons does text-to-image, image-to-image, not kind 7"),
        ),
        (
            {"seed": 2**64},
            *("seed", 2**64 - 1, 2**64, "seed is not in its range of 0 to 18446744073709551615"),
        ),
    ],
)
def test_each_bound_of_the_embedded_model_is_named(changes, field, bound, value, reason):
    with pytest.raises(LimitExceeded) as caught:
        check_request(embedded(), replace(REQUEST, **changes))
    refused = caught.value
    assert (refused.field, refused.bound, refused.value, refused.reason) == (field, bound, value, reason)


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_half_an_emoji_is_refused_by_name(field):
    with pytest.raises(BadRequest) as caught:
        check_request(MODEL, replace(REQUEST, **{field: "apple \ud83c"}))
    assert caught.value.field == field
    assert caught.value.reason == f"{field} is not text: character 7 is half of a surrogate pair"


def test_bytes_are_bounded_by_themselves():
    narrow = with_card(MODEL, prompt_characters_max=10, prompt_bytes_max=20)
    check_request(narrow, replace(REQUEST, prompt="ä" * 10))
    with pytest.raises(LimitExceeded, match="prompt has 30 bytes in UTF-8, and test-model takes 20 at most"):
        check_request(narrow, replace(REQUEST, prompt="आ" * 10))


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"prompt": " \n"}, "prompt", "the prompt is empty"),
        ({"schedule_steps": 11}, "steps", "without a source image the whole schedule is run"),
        ({"source_png": a_source(33)}, "image", "the source image is not a plain PNG of the image's size"),
    ],
)
def test_what_is_wrong_without_a_bound(changes, field, reason):
    with pytest.raises(BadRequest) as caught:
        check_request(MODEL, replace(REQUEST, **changes))
    assert (caught.value.field, caught.value.reason) == (field, reason)


def test_the_public_half_is_known_before_the_input():
    check_work(MODEL, Work.image(WorkKind.IMAGE_TO_IMAGE, 64, 32, 50))
    with pytest.raises(LimitExceeded, match="steps is not in its range of 1 to 50"):
        check_work(MODEL, Work.image(WorkKind.IMAGE_TO_IMAGE, 64, 32, 51))


def test_a_kind_that_is_not_known_here_is_refused_whatever_its_details():
    future = with_card(MODEL, work_kinds=(0, 7))
    with pytest.raises(LimitExceeded, match="test-model does text-to-image, kind 7, not kind 7"):
        check_work(future, Work(7, 1, b"details of the future"))


TEXTS = st.text(max_size=8) | st.sampled_from(["x" * 1000, "x" * 1001, "\ud83c", " "])


@given(
    prompt=TEXTS,
    negative_prompt=TEXTS,
    guidance_milli=st.sampled_from([-1, 0, 20_000, 20_001, 30_000]),
    steps=st.sampled_from([0, 1, 50, 51, 1024]),
    size=st.sampled_from([(32, 32), (64, 32), (32, 64)]),
    seed=st.sampled_from([-1, 0, 2**64 - 1, 2**64]),
    source=st.sampled_from([b"", a_source(), b"GIF89a"]),
)
def test_coordinator_and_worker_never_differ(
    prompt, negative_prompt, guidance_milli, steps, size, seed, source
):
    """A task that the one takes and the other refuses is lost, after an app has waited for it."""
    shared = {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "guidance_milli": guidance_milli,
        "steps": steps,
        "width": size[0],
        "height": size[1],
        "seed": seed,
    }

    def refusal(act) -> str | None:
        try:
            act()
        except Refusal as refused:
            return refused.reason
        return None

    at_coordinator = refusal(lambda: ImageRequest(model=MODEL, previews=0, source=source, **shared))
    job = a_job(MODEL.model_id, source_png=source, **shared)
    at_worker = refusal(lambda: check_job(job, {MODEL.model_id: MODEL}))
    assert at_coordinator == at_worker


def test_a_job_is_refused_in_the_same_words():
    with pytest.raises(JobRefused) as caught:
        check_job(a_job(MODEL.model_id, guidance_milli=20_001), {MODEL.model_id: MODEL})
    assert caught.value.reason == "guidance is not in its range of 0 to 20"
