"""``python -m contracts.mutation``: runs the contracts' tests against each mutant and names the survivors.

Is: the mutants chosen, the workers that try them in a temporary directory, the count. Ends with 1 if a mutant
survives that ``survivors.toml`` does not explain, or if one could not be tried to an end.
Is not: random. A shorter run takes every n-th mutant, so that two runs are alike.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from contracts.mutation.operators import Mutant, mutants_of, named_mutants
from contracts.mutation.workplace import Trial, Workplace
from contracts.toolchain import CONTRACTS_FOLDER

HERE: Final = Path(__file__).resolve().parent
UNTOUCHED: Final = ("interfaces/", "CAI.sol", "DevelopmentCAI.sol")
"""Nothing to decide in the interfaces; the tokens are OpenZeppelin's."""
PROGRESS_MUTANTS: Final = 20


class Campaign:
    """All mutants of one run, tried by a few workers until the time is over."""

    def __init__(
        self, mutants: list[Mutant], explained: Mapping[str, str], end_s: float, tests: Trial
    ) -> None:
        self.mutants = mutants
        self.explained = explained
        self.end_s = end_s
        self.tests = tests
        self.counts = {"killed": 0, "survived": 0, "stillborn": 0, "broken": 0, "not tried": 0}
        self.unexplained: list[Mutant] = []
        self._lock = threading.Lock()
        self._next: Iterator[Mutant] = iter(mutants)

    def work(self, folder: Path) -> None:
        """One worker: takes mutants until there is none or no time."""
        place = Workplace(folder, self.tests)
        try:
            place.check()
            while True:
                with self._lock:
                    mutant = next(self._next, None)
                if mutant is None:
                    return
                outcome = place.outcome(mutant) if time.monotonic() < self.end_s else "not tried"
                with self._lock:
                    self._note(mutant, outcome)
        finally:
            place.compiler.close()

    def _note(self, mutant: Mutant, outcome: str) -> None:
        self.counts[outcome] += 1
        tried = sum(self.counts.values())
        if tried % PROGRESS_MUTANTS == 0:
            sys.stdout.write(f"{tried} of {len(self.mutants)}, {mutant.file}\n")
        word = {"survived": "SURVIVED", "broken": "BROKEN"}.get(outcome)
        if outcome == "survived" and mutant.key in self.explained:
            word = "explained"
        elif word is not None:
            self.unexplained.append(mutant)
        if word is not None:
            sys.stdout.write(f"{word} line {mutant.line} {mutant.key}\n")
        sys.stdout.flush()


def all_mutants(only: tuple[str, ...]) -> list[Mutant]:
    """Those made by hand, then the table's, of files whose names begin with one of `only`, in its order."""
    root = CONTRACTS_FOLDER / "src"
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.sol"))
    sources = {name: (root / name).read_text("utf-8") for name in names if not name.startswith(UNTOUCHED)}
    table = tomllib.loads((HERE / "named.toml").read_text("utf-8"))
    mutants = list(named_mutants(table, sources))
    for name, text in sources.items():
        mutants += mutants_of(name, text)
    chosen = [mutant for mutant in mutants if Path(mutant.file).name.startswith(only)]
    return sorted(chosen, key=lambda mutant: (not mutant.by_hand, _place(mutant, only)))


def _place(mutant: Mutant, only: tuple[str, ...]) -> int:
    return next(place for place, start in enumerate(only) if Path(mutant.file).name.startswith(start))


def main() -> int:
    """Try them; 1 if there is an unexplained survivor or a broken try."""
    parser = argparse.ArgumentParser(prog="python -m contracts.mutation", description=__doc__)
    parser.add_argument("--seconds", type=int, default=3600, help="begin no mutant after so many (3600)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="of the table's, try only every n-th")
    parser.add_argument("--offset", type=int, default=0, help="and begin with this one")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--table-only", action="store_true", help="leave out those made by hand")
    parser.add_argument("--quick", action="store_true", help="try none with an invariant: more survive")
    which.add_argument("--invariants", action="store_true", help="only those made for an invariant")
    parser.add_argument(
        "--only", default="", help="files whose names begin so, with commas between, in this order"
    )
    arguments = parser.parse_args()

    mutants = all_mutants(tuple(arguments.only.split(",")))
    by_hand = [mutant for mutant in mutants if mutant.by_hand]
    chosen = mutants[len(by_hand) + arguments.offset :: arguments.every]
    if arguments.invariants:
        chosen = [mutant for mutant in by_hand if mutant.fails]
    elif not arguments.table_only:
        chosen = by_hand + chosen
    explained = tomllib.loads((HERE / "survivors.toml").read_text("utf-8"))["explained"]
    sys.stdout.write(f"{len(chosen)} of {len(mutants)} mutants, {len(by_hand)} of them made by hand\n")
    sys.stdout.flush()
    tests = Trial.QUICK if arguments.quick else Trial.INVARIANTS if arguments.invariants else Trial.ALL
    campaign = Campaign(chosen, explained, time.monotonic() + arguments.seconds, tests)
    with (
        tempfile.TemporaryDirectory(prefix="cuckoo-mutants-") as folder,
        ThreadPoolExecutor(arguments.workers) as pool,
    ):
        for worker in range(arguments.workers):
            (Path(folder) / str(worker)).mkdir()
        runs = [pool.submit(campaign.work, Path(folder) / str(worker)) for worker in range(arguments.workers)]
        for run in runs:
            run.result()
    sys.stdout.write(", ".join(f"{count} {outcome}" for outcome, count in campaign.counts.items()) + "\n")
    return 1 if campaign.unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
