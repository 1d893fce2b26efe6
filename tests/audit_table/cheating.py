"""Every cheat, audited at every step; and every lazy auditor, its sketches held against true ones."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from node.inference.audit.audit import audit
from node.inference.audit.opened import Check
from node.inference.audit.sketch import sketches_agree
from node.inference.audit.thresholds import class_a
from tests.audit_table.machine import THINGS, outputs_of
from tests.cheats.lazy_auditors import lazy_auditors
from tests.cheats.miner import draw, opened, work
from tests.node.inference.builders import a_job, a_source

STEPS = 20
BATCH = 4


@dataclass
class Row:
    """What came of one cheat.

    :ivar faked: steps, or where no step is, pictures or sources; all of them were opened.
    :ivar seen: of them found by the check that must.
    :ivar scores: of the outputs of faked steps.
    :ivar levels: largest difference of a pixel from the honest picture, of each job.
    """

    name: str
    check: str
    saves: float
    faked: int
    seen: int
    scores: list
    levels: list


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png))).astype(int)


def run_cheat(model, entry, folder, count, part):
    """So many jobs of one cheat, each beside the same job done honestly. :param part: others for each."""
    cheat, steps = entry.cheat, 12 if entry.source else STEPS
    row = Row(cheat.name, entry.seen_by.value, cheat.saves, 0, 0, [], [])
    jobs = [
        a_job(
            model.networks.package.model_id,
            job_id=str(number),
            seed=500 + part * count + number,
            prompt=f"{THINGS[(part * count + number) % len(THINGS)]} on a blue background",
            steps=steps,
            schedule_steps=STEPS,
            source_png=a_source() if entry.source else b"",
        )
        for number in range(count)
    ]
    for start in range(0, count, BATCH):
        batch = jobs[start : start + BATCH]
        honest = {job.job_id: pixels(png) for job, _, png in work(model, batch, folder)}
        for job, path, png in work(model, batch, folder, cheat):
            report = audit(model.networks, opened(job, path, png), class_a(), draw)
            # The picture and the source are of no step.
            faked = {number for number in range(steps) if cheat.fakes(number, steps)} or {-1}
            seen = {finding.step for finding in report.findings if finding.check is entry.seen_by}
            row.faked += len(faked)
            row.seen += len(seen & faked)
            row.scores += [
                score for number, score in report.scores.items() if number in faked or faked == {-1}
            ]
            row.levels.append(int(np.abs(pixels(png) - honest[job.job_id]).max()))
    return row


def run_lazy_auditors(model, folder, count, part):
    """By name how many sketches were held against a true one, and how many of them agreed."""
    networks, rule, found = model.networks, class_a().sketch, {}

    def another(*asked):
        return draw(*asked, auditor=b"another")

    for number in range(count):
        job = a_job(
            networks.package.model_id, job_id=f"lazy-{number}", seed=900 + part * count + number, steps=STEPS
        )
        (done,) = work(model, [job], folder)
        given = opened(*done)
        rows, right = outputs_of(networks, given)
        lazy = lazy_auditors(networks, lambda other, given=given: outputs_of(other, given)[1], another)
        report = audit(networks, given, class_a(), draw)
        assert all(finding.check is not Check.OUTPUT for finding in report.findings)
        for name, write in lazy.items():
            trials, agreed = found.get(name, (0, 0))
            held = sum(
                sketches_agree(write(step, rows[step], draw), report.sketches[step], rule)
                for step in sorted(right)
            )
            found[name] = trials + len(right), agreed + held
    return found
