"""What `make long` runs: each command with its time limit. Together they may take `MINUTES_MAX`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.__main__ import BENCHES

REPOSITORY = Path(__file__).parents[2]
MINUTES_MAX = 75
PYTHON = sys.executable
FUZZ_CASES = 1_000_000
MUTANT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Entry:
    """One command.

    :ivar name: by which it is chosen, and its heading.
    :ivar command: its arguments; status 0 means that all its goals are reached.
    :ivar minutes_max: after which it is killed and has failed.
    :ivar folder: where it runs.
    """

    name: str
    command: tuple[str, ...]
    minutes_max: float
    folder: Path = field(default=REPOSITORY)


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (PYTHON, "-m", name, *arguments)


WHOLE_FIGURES = tuple(
    f"tests/market/test_{name}.py"
    for name in (
        "many_requests",
        "turns",
        "hostile_coordinator",
        "failover",
        "outages",
        "models_of_miners",
        "crash",
        "reasons",
    )
)
"""Tests of a whole market that have a small form besides."""

ANY_REQUEST = "tests/market/test_any_request.py"
"""Ten thousand requests made from `/openapi.json`."""

FLIPS = "tests/node/inference/diffusion/test_flipped_bits.py"
"""A thousand bits of memory that flip while a miner works."""

BROWSER = "tests/browser"
"""The portal in a browser: each page in each look, and what strangers may try."""

ENTRIES = (
    # Speed first, while nothing has warmed the machine up.
    *(
        Entry(module.removeprefix("tests."), _module(module), minutes_max)
        for module, minutes_max in BENCHES.items()
    ),
    Entry(
        "market",
        ("env", "CUCKOO_LONG=1", *_module("pytest", "-q", "-s", "-p", "no:randomly", *WHOLE_FIGURES)),
        10,
    ),
    Entry(
        "crashes",
        (
            *("env", "CUCKOO_LONG=1", *_module("pytest", "-q", "-p", "no:randomly")),
            *("tests/node/signing/test_guard_crashes.py", "tests/node/coordinator/test_journal.py"),
        ),
        3,
    ),
    Entry(
        "faults",
        (
            *("env", "CUCKOO_LONG=1", *_module("pytest", "-q", "-p", "no:randomly")),
            *("tests/contracts/test_soft_floats.py", "tests/contracts/test_faults.py"),
        ),
        1.5,
    ),
    Entry(
        "api",
        ("env", "CUCKOO_LONG=1", *_module("pytest", "-q", "-s", "-p", "no:randomly", ANY_REQUEST, BROWSER)),
        4,
    ),
    Entry("flips", ("env", "CUCKOO_LONG=1", *_module("pytest", "-q", "-p", "no:randomly", FLIPS)), 2),
    Entry("attacks", _module("tests.attacks"), 7),
    Entry("siege", _module("tests.attacks.siege", "--small"), 5),
    Entry("simulate", _module("tests.simulation"), 7),
    Entry("fuzz", _module("tests.fuzz", "--cases", str(FUZZ_CASES), "--seed", "1"), 3),
    Entry("ray", _module("pytest", "-q", "-p", "no:randomly", "tests/node/inference/ray"), 6),
    Entry("solidity.deep", ("npm", "run", "--silent", "deep"), 4.5, REPOSITORY / "contracts"),
    Entry("mutants", _module("contracts.mutation", "--quick", "--seconds", str(MUTANT_SECONDS)), 2),
)
