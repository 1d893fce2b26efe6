"""``python -m contracts.mutation``: runs the contracts' tests against each mutant and names the survivors.

Is: copies of the folder in a temporary directory, one for each worker, the tests with fewer random runs, a
bound on time. Of a mutant that was made for an invariant, that very invariant has to fail. Ends with 1 if a
mutant survives that ``survivors.toml`` does not explain.
Is not: random. A shorter run takes every n-th mutant, so that two runs are alike.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
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
from contracts.toolchain import CONTRACTS_FOLDER, find_tool
from protocol.errors import LocalError

HERE: Final = Path(__file__).resolve().parent
COPIED: Final = ("src", "test", "tools", "foundry.toml", "snapshots")
UNTOUCHED: Final = ("interfaces/", "CAI.sol", "DevelopmentCAI.sol")
"""Nothing to decide in the interfaces; the tokens are OpenZeppelin's."""
INVARIANTS: Final = "test/invariants/*.invariant.t.sol"
MUTANT_TIMEOUT_S: Final = 300
PROGRESS_MUTANTS: Final = 20
STRENGTH: Final = {
    "FOUNDRY_PROFILE": "test",
    "FOUNDRY_FUZZ_RUNS": "64",
    "FOUNDRY_INVARIANT_RUNS": "16",
    "FOUNDRY_INVARIANT_DEPTH": "48",
    # A mutant may make a variable unused.
    "FOUNDRY_DENY": "never",
    "RAYON_NUM_THREADS": "1",
    # Nobody reads the shortest sequence of calls.
    "FOUNDRY_INVARIANT_SHRINK_RUN_LIMIT": "0",
}
"""The environment of forge. Gas is left out: a mutant may be as right and cost less. Tests load what they
deploy, so a mutant of a source is compiled without them."""
BUILD: Final = {
    "FOUNDRY_PROFILE": "default",
    # A third of the time. Without via_ir, Staking has its size only if all is optimized for it.
    "FOUNDRY_VIA_IR": "false",
    "FOUNDRY_OPTIMIZER_RUNS": "1",
}
"""What is different when the sources are compiled."""
BEFORE_ANY_CALL: Final = "failed to set up invariant testing environment: "
"""What forge says before the message of an invariant that does not hold at the start."""
LONG: Final = {"FOUNDRY_INVARIANT_RUNS": "64", "FOUNDRY_INVARIANT_DEPTH": "192"}
"""For a mutant that one invariant has to notice: most end after a few calls."""


class TestsFail(LocalError):
    """The tests do not pass without any mutant."""


class Workplace:
    """A copy of the contracts in which one mutant at a time is tried."""

    def __init__(self, folder: Path, invariants_only: bool) -> None:
        self.folder = folder
        self.invariants_only = invariants_only
        for name in COPIED:
            source = CONTRACTS_FOLDER / name
            if source.is_dir():
                shutil.copytree(source, folder / name)
            elif source.exists():
                shutil.copy(source, folder / name)
        (folder / "node_modules").symlink_to(CONTRACTS_FOLDER / "node_modules")

    def outcome(self, mutant: Mutant | None) -> str:
        """``killed``, ``survived``, or ``stillborn`` if it does not compile; a timeout kills."""
        if mutant is None:
            self._run("build", "src", strength=STRENGTH | BUILD)
            passes = self._run("test", "--match-path", INVARIANTS) if self.invariants_only else self._tests()
            return "survived" if passes else "killed"
        path = self.folder / "src" / mutant.file
        original = path.read_text("utf-8")
        path.write_text(mutant.text, "utf-8")
        try:
            if not self._run("build", "src", strength=STRENGTH | BUILD):
                return "stillborn"
            survives = self._holds(mutant.fails) if mutant.fails else self._tests()
            return "survived" if survives else "killed"
        finally:
            path.write_text(original, "utf-8")

    def _tests(self) -> bool:
        """The quick ones first: most mutants do not live to see an invariant."""
        quick = ("test", "--fail-fast", "--no-match-contract", "Gas|Invariants")
        slow = ("test", "--fail-fast", "--match-path", INVARIANTS)
        return self._run(*quick) and self._run(*slow)

    def _holds(self, invariant: str) -> bool:
        """Whether one invariant does not fail, or another one before it."""
        contract, _, message = invariant.partition(": ")
        path = INVARIANTS.replace("*", contract)
        self._run("test", "--match-path", path, strength=STRENGTH | LONG)
        said = self.output.read_text("utf-8", "replace")
        if f"FAIL: {message}" in said or f"FAIL: {BEFORE_ANY_CALL}{message}" in said:
            return False
        sys.stdout.writelines(f"instead: {line}\n" for line in said.splitlines() if "FAIL: " in line)
        return True

    @property
    def output(self) -> Path:
        """What forge has said last."""
        return self.folder / "output.txt"

    def _run(self, *arguments: str, strength: Mapping[str, str] = STRENGTH) -> bool:
        # What failed under the mutant before would be tried first, and looked at only at its end.
        for kept in self.folder.glob("cache*/*"):
            if kept.is_dir():
                shutil.rmtree(kept)
        with self.output.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own tool from the lock file
                [str(find_tool("forge")), *arguments],
                cwd=self.folder,
                env={**os.environ, **strength},
                stdout=output,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            return process.wait(MUTANT_TIMEOUT_S) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the compiler that it started
            process.wait()
            return False


class Campaign:
    """All mutants of one run, tried by a few workers until the time is over."""

    def __init__(
        self, mutants: list[Mutant], explained: Mapping[str, str], end_s: float, invariants_only: bool
    ) -> None:
        self.mutants = mutants
        self.explained = explained
        self.end_s = end_s
        self.invariants_only = invariants_only
        self.counts = {"killed": 0, "survived": 0, "stillborn": 0, "not tried": 0}
        self.unexplained: list[Mutant] = []
        self._lock = threading.Lock()
        self._next: Iterator[Mutant] = iter(mutants)

    def work(self, folder: Path) -> None:
        """One worker: takes mutants until there is none or no time."""
        place = Workplace(folder, self.invariants_only)
        if place.outcome(None) != "survived":
            raise TestsFail("the tests do not pass without any mutant")
        while True:
            with self._lock:
                mutant = next(self._next, None)
            if mutant is None:
                return
            outcome = place.outcome(mutant) if time.monotonic() < self.end_s else "not tried"
            with self._lock:
                self._note(mutant, outcome)

    def _note(self, mutant: Mutant, outcome: str) -> None:
        self.counts[outcome] += 1
        tried = sum(self.counts.values())
        if tried % PROGRESS_MUTANTS == 0:
            sys.stdout.write(f"{tried} of {len(self.mutants)}\n")
        if outcome != "survived":
            sys.stdout.flush()
            return
        reason = self.explained.get(mutant.key)
        if reason is None:
            self.unexplained.append(mutant)
        word = "SURVIVED" if reason is None else "explained"
        sys.stdout.write(f"{word} line {mutant.line} {mutant.key}\n")
        sys.stdout.flush()


def all_mutants(only: tuple[str, ...]) -> list[Mutant]:
    """Those made by hand, then those of the table, of all files whose names begin with one of `only`."""
    root = CONTRACTS_FOLDER / "src"
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.sol"))
    sources = {name: (root / name).read_text("utf-8") for name in names if not name.startswith(UNTOUCHED)}
    table = tomllib.loads((HERE / "named.toml").read_text("utf-8"))
    mutants = list(named_mutants(table, sources))
    for name, text in sources.items():
        mutants += mutants_of(name, text)
    return [mutant for mutant in mutants if Path(mutant.file).name.startswith(only)]


def main() -> int:
    """Try them; 1 if there is an unexplained survivor."""
    parser = argparse.ArgumentParser(prog="python -m contracts.mutation", description=__doc__)
    parser.add_argument("--seconds", type=int, default=3600, help="begin no mutant after so many (3600)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="of the table's, try only every n-th")
    parser.add_argument("--offset", type=int, default=0, help="and begin with this one")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--table-only", action="store_true", help="leave out those made by hand")
    which.add_argument("--invariants", action="store_true", help="only those made for an invariant")
    parser.add_argument("--only", default="", help="files whose names begin so, with commas between")
    arguments = parser.parse_args()

    mutants = all_mutants(tuple(arguments.only.split(",")))
    by_hand = [mutant for mutant in mutants if mutant.name.startswith("by hand")]
    chosen = mutants[len(by_hand) + arguments.offset :: arguments.every]
    if arguments.invariants:
        chosen = [mutant for mutant in by_hand if mutant.fails]
    elif not arguments.table_only:
        chosen = by_hand + chosen
    explained = tomllib.loads((HERE / "survivors.toml").read_text("utf-8"))["explained"]
    sys.stdout.write(f"{len(chosen)} of {len(mutants)} mutants, {len(by_hand)} of them made by hand\n")
    sys.stdout.flush()
    campaign = Campaign(chosen, explained, time.monotonic() + arguments.seconds, arguments.invariants)
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
