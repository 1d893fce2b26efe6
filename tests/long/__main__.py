"""Run the whole figures, and write what came of them.

    python -m tests.long [--only NAME …] [--list]

A whole run writes `tests/long/RESULTS.md`; with `--only` the report is `build/long/RESULTS.md`. What each
command prints is in `build/long/NAME.txt`. Status 1 when one of them failed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.long.entries import ENTRIES, MINUTES_MAX, REPOSITORY
from tests.long.results import document, place_of
from tests.long.runner import run_all

RESULTS = Path(__file__).parent / "RESULTS.md"
OUTPUTS = REPOSITORY / "build" / "long"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run what is asked for. Returns the exit status."""
    names = [entry.name for entry in ENTRIES]
    parser = argparse.ArgumentParser(prog="python -m tests.long", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--list", action="store_true", help="show the commands, and run none")
    options = parser.parse_args(arguments)
    chosen = [entry for entry in ENTRIES if options.only is None or entry.name in options.only]
    if options.list:
        for entry in chosen:
            say(f"{entry.name:18} {entry.minutes_max:4g} min  {' '.join(entry.command[1:])}")
        return 0
    minutes = sum(entry.minutes_max for entry in chosen)
    say(f"At most {minutes:g} of {MINUTES_MAX} minutes. Leave the machine alone meanwhile.")
    # Read before the run: what it says is of the files that are run.
    place = place_of(REPOSITORY)
    outcomes = run_all(chosen, OUTPUTS, say)
    results = RESULTS if options.only is None else OUTPUTS / RESULTS.name
    results.write_text(document(outcomes, place, REPOSITORY), encoding="utf-8")
    say(f"written: {results.relative_to(REPOSITORY)}")
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
