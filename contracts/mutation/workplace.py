"""Where one mutant at a time is compiled and tried.

Is: a copy of the contracts' folder, a compiler that stays warm, forge with fewer random runs and a bound on
time. Of a mutant that was made for an invariant, that very invariant has to fail.
Is not: a verdict where no test has given one: a mutant that does not compile is stillborn, and one at which
the tools fail is broken.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path
from typing import Final

from contracts.artifacts import CONTRACT_NAMES
from contracts.mutation.operators import Mutant
from contracts.toolchain import CONTRACTS_FOLDER, find_tool
from protocol.errors import LocalError

COPIED: Final = ("src", "test", "tools", "foundry.toml")
COMPILED: Final = ("cache-test", "out-test")
"""The tests, if somebody has compiled them. forge looks whether they are what it would compile."""
INVARIANTS: Final = "test/invariants/{}.invariant.t.sol"
QUICK: Final = ("--no-match-contract", "Gas|Invariants")
MUTANT_TIMEOUT_S: Final = 300
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
    # Code that is not optimized is larger than a chain would take.
    "FOUNDRY_CODE_SIZE_LIMIT": "100000",
    # They are for halmos, and would be compiled whenever a library changes.
    "FOUNDRY_SKIP": '["test/symbolic/**"]',
}
"""The environment of forge. Gas is left out: a mutant may be as right and cost less."""
LONG: Final = {"FOUNDRY_INVARIANT_RUNS": "64", "FOUNDRY_INVARIANT_DEPTH": "192"}
"""For a mutant that one invariant has to notice: most end after a few calls."""
BEFORE_ANY_CALL: Final = "failed to set up invariant testing environment: "
"""Forge's words before the message of an invariant that does not hold at the start."""
FIRST_TRIED: Final = {
    "CanonicalCbor": "Slashing.step.*",
    "CommittedTrace": "Slashing.step.*",
    "DisputeJuries": "Disputes.*",
    "EscrowDeposits": "Escrow.*",
    "Faults": "Slashing.faults.*",
    "LatentRules": "Slashing.s*.*",
    "NodeRegistry": "Staking.register.*",
    "RewardMath": "Staking.rewards.*",
    "RewardShare": "Staking.slash.*",
    "Rewards": "Staking.rewards.*",
    "Sha256Tree": "Slashing.step.*",
    "SharePool": "Staking.stake.*",
    "SignedTask": "Slashing.faults.*",
    "Slashable": "Staking.slash.*",
    "StakingStorage": "Staking.*",
    "WeightHistory": "Staking.weights.*",
    "Weights": "Staking.weights.*",
}
"""Which tests are a source's own, where their names do not begin with its name."""
_IMPORT: Final = re.compile(r' from "(\.[^"]*)";')


class Trial(Enum):
    """Which ones a mutant has to survive."""

    ALL = auto()
    QUICK = auto()
    """All but the invariants, which take most of the time of a survivor."""
    INVARIANTS = auto()
    """The one that a mutant names."""


class ToolFailed(LocalError):
    """The compiler or forge ended without a verdict, or not in time."""


def contracts_with(file: str, sources: Mapping[str, str]) -> tuple[str, ...]:
    """The contracts that are deployed whose code a file takes part in.

    :param file: below ``src``, as the names of `sources` are.
    """

    def imports(name: str, seen: set[str]) -> set[str]:
        if name not in seen:
            seen.add(name)
            for path in _IMPORT.findall(sources[name]):
                imports(posixpath.normpath(posixpath.join(posixpath.dirname(name), path)), seen)
        return seen

    return tuple(name for name in CONTRACT_NAMES if file in imports(f"{name}.sol", set()))


class Compiler:
    """A process of solcjs that stays: ten times as quick once it is warm."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["node", "tools/compiler.js"],  # noqa: S607 - the one that npm runs with
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def compile(self, names: tuple[str, ...]) -> bool:
        """Compile contracts to ``out``; false if one has an error, and then nothing is written."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(" ".join(names) + "\n")
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise ToolFailed("the compiler has ended")
        return answer == "ok\n"

    def close(self) -> None:
        """End it: it reads until there is no more."""
        self._process.communicate()


class Workplace:
    """A copy of the contracts in which one mutant at a time is tried."""

    def __init__(self, folder: Path, tests: Trial) -> None:
        self.folder = folder
        self.tests = tests
        for name in COPIED + tuple(name for name in COMPILED if (CONTRACTS_FOLDER / name).exists()):
            source = CONTRACTS_FOLDER / name
            if source.is_dir():
                shutil.copytree(source, folder / name)
            else:
                shutil.copy(source, folder / name)
        (folder / "node_modules").symlink_to(CONTRACTS_FOLDER / "node_modules")
        root = folder / "src"
        self.sources = {
            path.relative_to(root).as_posix(): path.read_text("utf-8") for path in root.rglob("*.sol")
        }
        self.compiler = Compiler(folder)

    def check(self) -> None:
        """Compile everything, and see that the tests pass without any mutant.

        :raises ToolFailed: they do not.
        """
        if not self.compiler.compile(CONTRACT_NAMES):
            raise ToolFailed("the sources do not compile")
        invariants = self.tests is Trial.QUICK or self._passes("--match-path", INVARIANTS.format("*"))
        if not (invariants and (self.tests is Trial.INVARIANTS or self._passes(*QUICK))):
            raise ToolFailed(f"the tests do not pass without any mutant:\n{self.output.read_text('utf-8')}")

    def outcome(self, mutant: Mutant) -> str:
        """``killed`` if a test fails, ``survived``, ``stillborn`` if it does not compile, or ``broken``."""
        names = contracts_with(mutant.file, self.sources)
        changed = [self.folder / "src" / mutant.file]
        changed += [self.folder / "out" / f"{name}.sol" / f"{name}.json" for name in names]
        originals = [path.read_bytes() for path in changed]
        changed[0].write_text(mutant.text, "utf-8")
        try:
            return self._try(mutant, names)
        except ToolFailed as error:
            sys.stdout.write(f"{error}\n")
            return "broken"
        finally:
            for path, original in zip(changed, originals, strict=True):
                path.write_bytes(original)

    def _try(self, mutant: Mutant, names: tuple[str, ...]) -> str:
        if not self.compiler.compile(names):
            return "stillborn"
        stem = Path(mutant.file).stem
        own = FIRST_TRIED.get(stem, f"{stem}.*")
        survives = self._holds(mutant.fails) if mutant.fails else self._survives(own, names)
        return "survived" if survives else "killed"

    def _survives(self, own: str, names: tuple[str, ...]) -> bool:
        """The source's own tests first, then the other quick ones: few mutants live to see an invariant."""
        path = f"test/{own}t.sol"
        if not (self._passes("--match-path", path) and self._passes("--no-match-path", path, *QUICK)):
            return False
        if self.tests is Trial.QUICK:
            return True
        invariants = [INVARIANTS.format(name) for name in names]
        return all(self._passes("--match-path", file) for file in invariants if (self.folder / file).exists())

    def _holds(self, invariant: str) -> bool:
        """Whether one invariant does not fail, or another one before it."""
        contract, _, message = invariant.partition(": ")
        self._passes("--match-path", INVARIANTS.format(contract), strength=STRENGTH | LONG)
        said = self.output.read_text("utf-8", "replace")
        if f"FAIL: {message}" in said or f"FAIL: {BEFORE_ANY_CALL}{message}" in said:
            return False
        sys.stdout.writelines(f"instead: {line}\n" for line in said.splitlines() if "FAIL: " in line)
        return True

    @property
    def output(self) -> Path:
        """Forge's last output."""
        return self.folder / "output.txt"

    def _passes(self, *which: str, strength: Mapping[str, str] = STRENGTH) -> bool:
        """Whether some tests pass.

        :raises ToolFailed: forge ends with an error though no test has failed, or not in time.
        """
        # A test that failed under the mutant before would be tried first, and looked at only at its end.
        for kept in self.folder.glob("cache*/*"):
            if kept.is_dir():
                shutil.rmtree(kept)
        with self.output.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own tool from the lock file
                [str(find_tool("forge")), "test", "--fail-fast", *which],
                cwd=self.folder,
                env={**os.environ, **strength},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            status = process.wait(MUTANT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the compiler that it started
            process.wait()
            raise ToolFailed(f"the tests take more than {MUTANT_TIMEOUT_S} s") from None
        said = self.output.read_text("utf-8", "replace")
        if status != 0 and "[FAIL" not in said:
            raise ToolFailed(f"forge ended with {status}: {said[-500:]}")
        return status == 0
