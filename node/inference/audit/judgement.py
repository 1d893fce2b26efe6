"""From an audit's job to the check, and from the check's report to the words of a verdict.

Is: which failed check is the reason, where the fault is, the sketches as bytes; in the inference process.
Is not: the check (`audit`), nor whether a verdict is signed; whoever accuses proves it first.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Final

from node.inference.audit.audit import ROWS_MAX, audit
from node.inference.audit.opened import Check, Finding, OpenedWork, Report
from node.inference.audit.thresholds import PPB, thresholds_of
from node.inference.jobs.audit_job import Audited
from protocol.audit import (
    CHECKED_STEPS_MAX,
    EXCESS_PPB_MAX,
    PLACED_REASONS,
    AuditReason,
    CheckedStep,
    FaultPlace,
    TraceTensor,
)
from protocol.sketch import drawn_places, pack_bins

if TYPE_CHECKING:
    from node.inference.diffusion.networks import Networks
    from node.inference.jobs.audit_job import AuditJob

REASON_OF: Final = {
    Check.HASH: AuditReason.TRACE_FORM,
    Check.FINITE: AuditReason.NOT_FINITE,
    Check.START: AuditReason.INITIAL_LATENT,
    Check.STEP: AuditReason.SCHEDULER_STEP,
    Check.SOURCE: AuditReason.SOURCE_LATENT,
    Check.OUTPUT: AuditReason.MODEL_OUTPUT,
    Check.PICTURE: AuditReason.IMAGE,
}
"""Names of failed checks in a verdict; in the order of the checks."""


def run_audit(networks: Networks, job: AuditJob, rows_max: int = ROWS_MAX) -> Audited:
    """Carry out an audit that `check_audit` has passed.

    :param networks: of the package that it names, in single precision.
    :param rows_max: most steps in one call of the denoiser, from 1.
    :raises PackageError: by the package's calibration nobody could be judged.
    :raises UnreadableImage: the source image, which the task brought and no miner made, cannot be read.
    """
    draw = functools.partial(drawn_places, job.dice, job.auditor)
    report = audit(networks, opened_work(job), thresholds_of(networks.package), draw, rows_max)
    return judged(job, report)


def opened_work(job: AuditJob) -> OpenedWork:
    """The work in an audit's job, as the check has it."""
    return OpenedWork(
        job=job.image,
        leaves={opened.step: opened.leaf for opened in job.leaves},
        final_hash=job.final_hash,
        source_hash=job.source_hash,
        tensors={one.step: (one.latent, one.unconditional, one.conditional) for one in job.steps},
        final_latent=job.final_latent,
        source_latent=job.source_latent,
        picture=job.picture,
    )


def judged(job: AuditJob, report: Report) -> Audited:
    """The report in a verdict's words.

    The reason is the cheapest check that failed. Where of that one only a latent's hash is known, there is
    none yet: the latent has to be opened first, for the number that is wrong, or for a zero's sign.
    """
    checks = list(REASON_OF)
    first = min(
        report.findings, key=lambda finding: (checks.index(finding.check), finding.step), default=None
    )
    is_open = first is not None and first.check in {Check.START, Check.STEP} and first.number < 0
    reason = AuditReason.NONE if first is None or is_open else REASON_OF[first.check]
    return Audited(
        job_id=job.job_id,
        reason=reason,
        checked=tuple(CheckedStep(one.step, _sketch(report, one.step)) for one in job.steps),
        worst_excess_ppb=_ppb(report.worst),
        place=(place_of(first, job.image.steps),) if first and reason in PLACED_REASONS else (),
        to_open=report.to_open[:CHECKED_STEPS_MAX] if is_open else (),
        convicts=int(report.convicts),
    )


def place_of(finding: Finding, steps: int) -> FaultPlace:
    """Where the fault of a placed reason is, as verdicts say it. :param steps: of the work."""
    step = finding.step
    if step < 0:  # of no step: one of the two tensors at the trace's ends
        step = 0 if finding.tensor is TraceTensor.SOURCE else steps
    return FaultPlace(step, finding.tensor, max(0, finding.number))


def _sketch(report: Report, step: int) -> bytes:
    """Empty of a step that could not be read."""
    return pack_bins(report.sketches[step]) if step in report.sketches else b""


def _ppb(score: float) -> int:
    """A score as verdicts say it: what is more than fits, or no number, is the largest that does."""
    if not math.isfinite(score):
        return EXCESS_PPB_MAX
    return min(EXCESS_PPB_MAX, round(score * PPB))
