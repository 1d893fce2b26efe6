"""What an audit costs, as a share of the work that it audits: paired in one process, on one thread.

    python -m tests.bench.audit

Is: processor time of whole jobs (text model, steps, decoding, PNG, trace) and of audits of k of their steps
(the same job's opening, all checks, the decoder and the sketches), in turns; the median of the ratios beside
its goal. Is not: wall time, which a busy machine stretches, nor the transfer of an opening; its bytes are
printed.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from node.inference.audit.audit import audit
from node.inference.audit.thresholds import class_a
from node.inference.diffusion import pipeline
from node.inference.packages.package import load
from node.settings import embedded_folders
from tests.bench.protocol import report, say
from tests.cheats.miner import draw, opened, work
from tests.node.inference.builders import a_job

ROUNDS = 9
SHARE_MAX = {20: 0.10, 50: 0.05}
"""By steps of the job: most that an audit of `CHECKED` of them may cost."""
CHECKED = 3
ALSO = (1, 8)


def seconds(call):
    started = time.process_time()
    result = call()
    return time.process_time() - started, result


def shares(model, folder, steps, seed):
    """Of one job: its seconds, and those of an audit of so many of its steps by that number."""
    job = a_job(model.networks.package.model_id, job_id=f"{steps}-{seed}", seed=seed, steps=steps)
    worked, (done,) = seconds(lambda: work(model, [job], folder))
    audited = {}
    for count in (CHECKED, *ALSO):
        numbers = [(7 * seed + place * steps // count) % steps for place in range(count)]
        given = opened(*done, sorted(numbers))
        audited[count], found = seconds(lambda given=given: audit(model.networks, given, class_a(), draw))
        assert found.honest, found.findings
    tensors = [part for row in opened(*done, range(CHECKED)).tensors.values() for part in row]
    return worked, audited, sum(map(len, tensors)) + len(tensors[0])


def main() -> int:
    """Measure all of it. :returns: 1 when a goal was missed."""
    import torch

    torch.set_num_threads(1)
    model, reached = pipeline.Model(load(embedded_folders()[0])), []
    with tempfile.TemporaryDirectory() as folder:
        shares(model, Path(folder), 20, 0)
        for steps, most in SHARE_MAX.items():
            rows = [shares(model, Path(folder), steps, seed) for seed in range(1, ROUNDS + 1)]
            found = {count: statistics.median(row[1][count] / row[0] for row in rows) for count in rows[0][1]}
            job_s = statistics.median(row[0] for row in rows)
            opened_bytes = rows[0][2]
            say(f"a job of {steps} steps: {job_s * 1e3:.0f} ms; {CHECKED} steps opened: {opened_bytes:,} B")
            for count in sorted(found):
                if count != CHECKED:
                    say(f"  audit of {count} of {steps} steps: {found[count]:.1%}")
            share = found[CHECKED]
            reached.append(
                report(f"audit of {CHECKED} of {steps}", f"{share:.1%}", f"<= {most:.0%}", share <= most)
            )
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
