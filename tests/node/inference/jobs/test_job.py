"""What a job may ask for, and that the refusal says why."""

from pathlib import Path

import pytest

from node.inference.jobs.job import (
    Failed,
    Finished,
    JobRefused,
    WorkerError,
    check_job,
)
from node.inference.packages.package import PROMPT_CHARACTERS_MAX, ModelPackage
from protocol.errors import LocalError, Refusal
from protocol.tensor import NO_TENSOR
from protocol.trace import TraceLeaf
from protocol.work import WorkKind
from tests.node.inference.builders import TABLE, a_job, a_source, card, with_card

MODEL_ID = b"\x05" * 32
PACKAGE = ModelPackage(MODEL_ID, card(), Path("/nowhere"), {}, TABLE)
PACKAGES = {MODEL_ID: PACKAGE}
FROM_TEXT_ALONE = with_card(PACKAGE, work_kinds=(WorkKind.TEXT_TO_IMAGE,))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"steps": 1},
        {"steps": 50},
        {"width": 64},
        {"guidance_milli": 0},
        {"guidance_milli": 20_000},
        {"seed": 2**64 - 1},
        {"prompt": "ä" * PROMPT_CHARACTERS_MAX},
        {"preview_every_steps": 3},
        {"source_png": a_source(), "steps": 12, "schedule_steps": 50},
        {"source_png": a_source(64, 32), "width": 64},
    ],
)
def test_allowed(changes):
    assert check_job(a_job(MODEL_ID, **changes), PACKAGES) is PACKAGE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_id": b"\x06" * 32}, "the model is not loaded here"),
        ({"prompt": ""}, "the prompt is empty"),
        ({"prompt": " \n\t"}, "the prompt is empty"),
        (
            {"prompt": "a" * (PROMPT_CHARACTERS_MAX + 1)},
            "prompt has 1,001 characters, and test-model takes 1,000 at most",
        ),
        (
            {"negative_prompt": "a" * (PROMPT_CHARACTERS_MAX + 1)},
            "negative_prompt has 1,001 characters, and test-model takes 1,000 at most",
        ),
        ({"steps": 0}, "steps is not in its range of 1 to 50"),
        ({"steps": 51}, "steps is not in its range of 1 to 50"),
        ({"width": 33}, "test-model draws 32x32, 64x32, not 33x32"),
        ({"width": 32, "height": 64}, "test-model draws 32x32, 64x32, not 32x64"),
        ({"guidance_milli": 20_001}, "guidance is not in its range of 0 to 20"),
        ({"guidance_milli": -1}, "guidance is not in its range of 0 to 20"),
        ({"seed": -1}, "seed is not in its range of 0 to 18446744073709551615"),
        ({"seed": 2**64}, "seed is not in its range of 0 to 18446744073709551615"),
        ({"prompt": "\ud800"}, "prompt is not text: character 1 is half of a surrogate pair"),
        ({"job_id": "a" * 129}, "the job is malformed"),
        ({"preview_every_steps": -1}, "the job is malformed"),
        ({"schedule_steps": 11}, "without a source image the whole schedule is run"),
        ({"source_png": a_source(), "schedule_steps": 9}, "steps is not in its range of 10 to 50"),
        ({"source_png": a_source(), "schedule_steps": 51}, "steps is not in its range of 10 to 50"),
        ({"source_png": a_source(33)}, "the source image is not a plain PNG of the image's size"),
        ({"source_png": b"GIF89a"}, "the source image is not a plain PNG of the image's size"),
    ],
)
def test_refused(changes, reason):
    with pytest.raises(JobRefused) as caught:
        check_job(a_job(**{"model_id": MODEL_ID, **changes}), PACKAGES)
    assert caught.value.reason == reason


def test_a_model_for_one_kind_of_work_refuses_the_other():
    with pytest.raises(JobRefused, match="text-to-image, not image-to-image"):
        check_job(a_job(MODEL_ID, source_png=a_source()), {MODEL_ID: FROM_TEXT_ALONE})


def test_what_is_computed_together():
    """Guidance may differ, as long as there is some; it is applied to each by itself."""
    job = a_job(MODEL_ID)
    for same in (
        {"prompt": "b"},
        {"seed": 8},
        {"guidance_milli": 1001},
        {"preview_every_steps": 1},
        {"source_png": a_source()},
    ):
        assert a_job(MODEL_ID, **same).shape == job.shape
    for other in (
        {"steps": 9},
        {"schedule_steps": 11},
        {"width": 64},
        {"height": 64},
        {"guidance_milli": 1000},
    ):
        assert a_job(MODEL_ID, **other).shape != job.shape
    assert a_job(bytes(32)).shape != job.shape


def test_whose_fault_it_is():
    assert issubclass(JobRefused, Refusal)
    assert issubclass(WorkerError, LocalError)


def test_events_in_friendlier_units():
    assert Finished("j", b"p", (TraceLeaf.of(b"", b"", b""),), bytes(32), NO_TENSOR, 1500).seconds == 1.5
    assert Failed("j", "cancelled", 1).retryable
    assert not Failed("j", "no", 0).retryable
