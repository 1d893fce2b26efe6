"""An audit as a job: what is refused before anything is spent on it, and that the largest fits a frame."""

from dataclasses import replace

import pytest

from node.inference.jobs.audit_job import Audited, OpenedStep, check_audit
from node.inference.jobs.frames import LENGTH_BYTES, decode_frame, encode_frame
from node.inference.jobs.job import PNG_BYTES_MAX, JobRefused
from protocol.audit import CHECKED_STEPS_MAX, SKETCH_BYTES, CheckedStep, FaultPlace
from protocol.messages import SOURCE_BYTES_MAX
from protocol.tensor import TENSOR_BYTES_MAX
from tests.node.inference.builders import an_audit, embedded

PACKAGE = embedded()
PACKAGES = {PACKAGE.model_id: PACKAGE}


def test_an_audit_of_what_is_here_is_run_under_the_works_own_name():
    job = an_audit(0, 9, model_id=PACKAGE.model_id)
    assert check_audit(job, PACKAGES) is PACKAGE
    assert (job.job_id, job.model_id) == ("job-1", PACKAGE.model_id)


@pytest.mark.parametrize(
    ("steps", "leaves"),
    [((3, 1), ()), ((1, 1), ()), ((10,), ()), ((3,), (0, 2)), ((1,), (1, 0)), ((1,), (0, 1, 10))],
)
def test_steps_that_the_work_does_not_have_are_refused(steps, leaves):
    with pytest.raises(JobRefused, match=r"^the audit is of steps that the work does not have$"):
        check_audit(an_audit(*steps, model_id=PACKAGE.model_id, leaves=leaves), PACKAGES)


def test_work_that_could_not_be_done_here_is_not_audited_here():
    with pytest.raises(JobRefused, match=r"^the model is not loaded here$"):
        check_audit(an_audit(1), PACKAGES)
    job = an_audit(1, model_id=PACKAGE.model_id)
    with pytest.raises(JobRefused):
        check_audit(replace(job, image=replace(job.image, width=31)), PACKAGES)
    with pytest.raises(JobRefused, match=r"^the audit is malformed$"):
        check_audit(replace(job, picture=bytes(PNG_BYTES_MAX + 1)), PACKAGES)


def test_the_largest_audit_fits_a_frame():
    tensor = bytes(TENSOR_BYTES_MAX)
    steps = tuple(OpenedStep(step, tensor, tensor, tensor) for step in range(CHECKED_STEPS_MAX))
    job = an_audit(*range(CHECKED_STEPS_MAX), final_latent=tensor, source_latent=tensor, steps=steps)
    job = replace(
        job, image=replace(job.image, source_png=bytes(SOURCE_BYTES_MAX)), picture=bytes(PNG_BYTES_MAX)
    )
    assert decode_frame(encode_frame(job)[LENGTH_BYTES:]) == job


def test_an_outcome_goes_through_a_frame():
    checked = (CheckedStep(1, bytes(SKETCH_BYTES)), CheckedStep(2, b""))
    found = Audited("job-1", 5, checked, 7, (FaultPlace(1, 0, 3),), (), 1)
    assert decode_frame(encode_frame(found)[LENGTH_BYTES:]) == found
