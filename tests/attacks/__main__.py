"""All attacks in their larger sizes, one after the other, and a table of what came of each.

    python -m tests.attacks [--seed 1] [--only cold_boot]

Is: figures on standard output and in `build/attacks/report.html`; status 1 when something does not hold.
Is not: a test; `pytest tests/attacks` runs the same attacks smaller.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
import time
from functools import partial
from pathlib import Path

import trio

from tests.simulation.outcome import Outcome
from tests.simulation.report import page

HERE = Path(__file__).parent
REPORT = Path("build/attacks/report.html")


def names() -> list[str]:
    """Every attack, by the name of its file."""
    return sorted(path.stem.removeprefix("test_") for path in HERE.glob("test_*.py"))


def run(name: str, seed: int) -> Outcome:
    """One attack."""
    attack = importlib.import_module(f"tests.attacks.test_{name}").attack
    outcome: Outcome = (
        trio.run(partial(attack, seed)) if inspect.iscoroutinefunction(attack) else attack(seed)
    )
    return outcome


def main(arguments: list[str]) -> int:
    """Run what is asked for. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=names(), nargs="+", default=names())
    options = parser.parse_args(arguments)
    outcomes, lines = [], []
    for name in options.only:
        started = time.perf_counter()
        outcome = run(name, options.seed)
        outcomes.append(outcome)
        sys.stdout.write(outcome.text() + "\n\n")
        sys.stdout.flush()
        delivered = next((text for title, text in outcome.figures if title.endswith("delivered")), "-")
        latency = next((text for title, text in outcome.figures if "p99" in title), "-")
        verdict = "holds" if outcome.holds else "FAILED"
        lines.append(
            f"{name:26} {delivered:24} {latency:26} {verdict:7} {time.perf_counter() - started:5.0f} s"
        )
    head = f"{'attack':26} {'delivered':24} {'p50 / p99 / last':26} {'':7} {'took':>7}"
    sys.stdout.write("\n".join([head, *lines]) + "\n")
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(page(outcomes, "Attacks"))
    sys.stdout.write(f"report: {REPORT}\n")
    return 0 if all(outcome.holds for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
