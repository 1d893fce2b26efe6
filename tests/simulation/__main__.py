"""Simulate, and leave a report.

    python -m tests.simulation [--scenario propagation] [--nodes 1000] [--minutes 1] [--seed 1]

Is: the scenarios by name, a summary on standard output, and `build/simulation/report.html`.
Is not: a test; `pytest tests/simulation` runs the same scenarios smaller. Status 1 when something fails.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from tests.simulation import failing, flooding, trading
from tests.simulation.outcome import Outcome
from tests.simulation.report import page

SCENARIOS: dict[str, Callable[..., Outcome]] = {
    "propagation": flooding.propagation,
    "scale": flooding.scale,
    "partition": trading.partition,
    "faults": trading.faults,
    "offences": trading.offences,
    "dead-miners": failing.dead_miners,
    "killed-coordinators": failing.killed_coordinators,
    "busy-miners": failing.busy_miners,
}
FOLDER = Path("build/simulation")


def main(arguments: list[str]) -> int:
    """Run what is asked for. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", choices=[*SCENARIOS, "all"], default="all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nodes", type=int, help="how many; each scenario has a number of its own")
    parser.add_argument("--minutes", type=float, help="of simulated load")
    parser.add_argument("--sizes", type=int, nargs="+", help="network sizes of the scenario scale")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the report")
    options = parser.parse_args(arguments)
    wanted = {"nodes": options.nodes, "minutes": options.minutes, "sizes": options.sizes}
    outcomes = []
    for name in SCENARIOS if options.scenario == "all" else [options.scenario]:
        scenario = SCENARIOS[name]
        known = inspect.signature(scenario).parameters
        given = {key: value for key, value in wanted.items() if value is not None and key in known}
        outcomes.append(scenario(options.seed, **given))
        sys.stdout.write(outcomes[-1].text() + "\n\n")
        sys.stdout.flush()
    options.out.mkdir(parents=True, exist_ok=True)
    report = options.out / "report.html"
    report.write_text(page(outcomes))
    sys.stdout.write(f"report: {report}\n")
    return 0 if all(outcome.holds for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
