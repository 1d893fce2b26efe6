"""Measure all of it, part by part, and write the document.

    python -m tests.audit_table [--parts 2] [--folder build/audit-table]

Each part is 30 jobs of every honest setting, 4 of every cheat and 1 of every lazy auditor. Numbers are kept
in the folder, and what is there is not measured again. Status 1 when honest work was accused, or a cheat or a
lazy auditor passed.
"""

import argparse
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import torch

from node.inference.diffusion.pipeline import Model
from tests.audit_table.cheating import run_cheat, run_lazy_auditors
from tests.audit_table.document import document
from tests.audit_table.machine import SETTINGS
from tests.cheats.catalogue import CAUGHT, NOT_CAUGHT
from tests.node.inference.builders import REPOSITORY, embedded

OUT = Path(__file__).parent / "README.md"
FOLDER = REPOSITORY / "build" / "audit-table"
PARTS = 2
HONEST_JOBS, CHEATED_JOBS, LAZY_JOBS = 30, 4, 1
"""Of a part."""
PROCESS_TIMEOUT_S = 3600
FOUND_MIN = 0.999
HELD_MIN = 0.999


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def kept(folder, name, measure):
    """What was measured under this name, measured now if it was not."""
    path = folder / f"{name}.json"
    if not path.exists():
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(measure()))
        partial.replace(path)
        say(f"measured: {name}")
    return json.loads(path.read_text())


def run(verb, number, *words):
    """One process of a setting. The last line of its output is its answer."""
    setting = SETTINGS[number]
    variables = setting.variables if verb == "work" else {}
    threads = str(setting.threads if verb == "work" else 1)
    done = subprocess.run(
        [sys.executable, "-m", "tests.audit_table.machine", verb, str(number), *map(str, words)],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "passive"} | variables,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=PROCESS_TIMEOUT_S,
    )
    return json.loads(done.stdout.splitlines()[-1])


def honest_work(number, part):
    """A setting's process, and its audit by another."""
    count = max(1, round(HONEST_JOBS * SETTINGS[number].share))
    with tempfile.TemporaryDirectory() as folder:
        machine, found = (run(verb, number, folder, count, part) for verb in ("work", "judge"))
    return machine | found


def cheat(model, entry, part):
    with tempfile.TemporaryDirectory() as folder:
        return asdict(run_cheat(model, entry, folder, CHEATED_JOBS, part))


def lazy(model, part):
    with tempfile.TemporaryDirectory() as folder:
        return run_lazy_auditors(model, folder, LAZY_JOBS, part)


def joined(parts):
    """One row of several: counts and lists put together, all else as in the first."""
    row = dict(parts[0])
    for name, value in row.items():
        if isinstance(value, int | list):
            row[name] = sum((part[name] for part in parts), type(value)())
    return row


def all_honest(folder, parts, settings):
    """A row of each setting."""
    found = {number: [] for number in settings}
    for part in range(parts):
        for number, rows in found.items():
            measured = functools.partial(honest_work, number, part)
            rows.append(kept(folder, f"honest-{number}-{part}", measured))
    return [{"name": SETTINGS[number].name} | joined(rows) for number, rows in found.items()]


def all_cheats(folder, parts):
    """A row of each cheat that must be found, of each that need not, and what lazy auditors came to."""
    model, found, held = Model(embedded()), {}, []
    for part in range(parts):
        for entry in (*CAUGHT, *NOT_CAUGHT):
            name = re.sub(r"[^a-z0-9]+", "-", entry.cheat.name.lower())
            measured = functools.partial(cheat, model, entry, part)
            found.setdefault(entry, []).append(kept(folder, f"cheat-{name}-{part}", measured))
        held.append(kept(folder, f"lazy-{part}", functools.partial(lazy, model, part)))
    caught, passed = ([joined(found[entry]) for entry in entries] for entries in (CAUGHT, NOT_CAUGHT))
    lazy_rows = {name: [sum(row[name][place] for row in held) for place in (0, 1)] for name in held[0]}
    return caught, passed, lazy_rows


def measure(folder, parts, settings):
    """Honest machines work in processes beside the cheats in this one."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(1) as pool:
        honest = pool.submit(all_honest, folder, parts, settings)
        cheats, passed, lazy_auditors = all_cheats(folder, parts)
        return {
            "honest": honest.result(),
            "cheats": cheats,
            "passed": passed,
            "lazy": lazy_auditors,
            "place": f"Torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}.",
        }


def main(words=None):
    parser = argparse.ArgumentParser(prog="python -m tests.audit_table", description=__doc__.splitlines()[0])
    parser.add_argument("--parts", type=int, default=PARTS)
    every = range(len(SETTINGS))
    parser.add_argument(
        "--settings", type=int, nargs="+", default=every, help="numbers of some honest settings"
    )
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the numbers are kept")
    options = parser.parse_args(words)
    measured = measure(options.folder, options.parts, options.settings)
    options.out.write_text(document(**measured), encoding="utf-8")
    say(f"written: {options.out}")
    honest, cheats = measured["honest"], measured["cheats"]
    held, sketches = (sum(row[name] for row in honest) for name in ("held", "sketches"))
    reached = {
        "no honest step accused": not any(row["findings"] for row in honest),
        "every cheat found": all(row["seen"] >= FOUND_MIN * row["faked"] for row in cheats),
        "honest sketches hold": held >= HELD_MIN * sketches,
        "no lazy auditor's sketch holds": not any(agreed for _, agreed in measured["lazy"].values()),
    }
    for goal, met in reached.items():
        say(f"{goal}: {'reached' if met else 'MISSED'}")
    return 0 if all(reached.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
