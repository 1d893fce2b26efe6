"""The figures in the contracts' README are what `npm test` measures."""

import json
import re
from pathlib import Path

import pytest

from contracts.toolchain import CONTRACTS_FOLDER

README = (CONTRACTS_FOLDER / "README.md").read_text("utf-8")
CONTRACT_BYTES_MAX = 24_576
LARGE, MARKET = "Staking-500-nodes-and-stream", "market"
MEASURED = {
    "`Staking.register`": (LARGE, "register"),
    "the same, if it makes a word of the tree, as every eighth time": (
        LARGE,
        "register, first of eight leaves",
    ),
    "`Staking.vote`, the voter's first, also if it is the node's first change of an epoch": (
        LARGE,
        "first vote",
    ),
    "the same while fees flow": (LARGE, "first vote while fees flow"),
    "`Slashing.equivocation`, with voters' and unbonding stake and a commission": (
        MARKET,
        "equivocation among 500 nodes",
    ),
    "`Staking.stake` for a new key, which makes the node's slots": (LARGE, "stake for a new key"),
    "`Staking.unvote`": (LARGE, "unvote"),
    "`Staking.claim`, while fees flow": (LARGE, "claim"),
    "`Staking.setMetadata`, a node's first; a flood needs an active node and an epoch for each": (
        LARGE,
        "set metadata",
    ),
    "`Staking.addFees`, which `Escrow.collect` calls": (LARGE, "add fees"),
    "`Escrow.redeem`, also after a million tasks": (MARKET, "redeem"),
    "`Escrow.redeem`, first of a pair": (MARKET, "redeem, first of a pair"),
    "`Escrow.collect`": (MARKET, "collect"),
    "`Slashing.commitEvidence`": (MARKET, "commitEvidence"),
    "`Slashing.takePriority`": (MARKET, "takePriority"),
    "`Slashing.claimReward`": (MARKET, "claimReward"),
    "`Disputes.openDispute`, among 13 nodes": ("disputes", "openDispute"),
    "`Disputes.closeDispute`, guilty": ("disputes", "closeDispute, guilty"),
    "`Disputes.closeDispute`, no quorum: half of the bond is burned": ("disputes", "closeDispute, no quorum"),
    "`Disputes.punishAbsent`, one juror": ("disputes", "punishAbsent"),
}
"""What a row says, and where it was measured."""
FAULTS = {
    "`FALSE_STEP`, 256 numbers in a tensor": "FALSE_STEP, 256 numbers, one step",
    "`FALSE_STEP`, 65,536 numbers: 1024 x 1024 pixels": "FALSE_STEP, 65,536 numbers, one step",
    "the same, by a scheduler that looks back": "FALSE_STEP, 65,536 numbers, two steps",
    "the same, under the longest announcement": "FALSE_STEP, the same, longest announcement",
    "`FALSE_START`, 65,536 numbers, from an image": "FALSE_START, 65,536 numbers, from an image",
    "`NOT_FINITE`, 65,536 numbers": "NOT_FINITE, 65,536 numbers",
    "`STEP_COUNT`": "STEP_COUNT",
}
"""The rows about faults that the contract judges."""
GOALS = {
    (LARGE, "register"): 95_000,
    (LARGE, "register, first of eight leaves"): 95_000,
    (LARGE, "first vote"): 125_000,
    (LARGE, "first vote, first change of the node's weight"): 125_000,
    (MARKET, "equivocation among 500 nodes"): 135_000,
    (MARKET, "redeem"): 75_000,
    (MARKET, "redeem, first of a pair"): 75_000,
    ("faults", "FALSE_STEP, 256 numbers, one step"): 215_000,
    ("faults", "FALSE_STEP, 65,536 numbers, one step"): 260_000,
    ("faults", "FALSE_STEP, 65,536 numbers, two steps"): 330_000,
}


def snapshot(group: str) -> dict[str, int]:
    path: Path = CONTRACTS_FOLDER / "snapshots" / f"{group}.json"
    return {name: int(value) for name, value in json.loads(path.read_text("utf-8")).items()}


def table(head: str) -> list[list[str]]:
    """The cells of the table whose first line begins so, without its head."""
    lines = README[README.index(f"| {head}") :].split("\n\n", maxsplit=1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


def test_the_gas_in_the_readme_is_what_was_measured():
    rows = table("call, among 500 nodes")
    assert {row[0] for row in rows} == set(MEASURED)
    for call, gas, _, most in rows:
        group, name = MEASURED[call]
        assert number(gas) == round(snapshot(group)[name], -2), call
        assert number(gas) <= number(most), call


def test_the_gas_of_faults_in_the_readme_is_what_was_measured():
    rows = table("`Slashing.proveFault`")
    assert {row[0] for row in rows} == set(FAULTS)
    for fault, evidence_bytes, gas, most in rows:
        assert number(evidence_bytes) == snapshot("fault-bytes")[FAULTS[fault]], fault
        assert number(gas) == round(snapshot("faults")[FAULTS[fault]], -2), fault
        assert number(gas) <= number(most), fault


def test_the_bytes_in_the_readme_are_what_is_built():
    rows = {row[0]: number(row[1]) for row in table("contract | bytes")}
    assert rows == snapshot("bytes")
    assert max(rows.values()) <= CONTRACT_BYTES_MAX


def test_what_the_gas_is_for_adds_up():
    rows = [row for row in table("of it | register") if not row[0].startswith(("of these", "and "))]
    sums = [sum(number(row[column]) for row in rows if row[column]) for column in (1, 2, 3)]
    wanted = [(LARGE, "register"), (LARGE, "first vote"), (MARKET, "equivocation among 500 nodes")]
    assert all(abs(snapshot(g)[n] - found) <= 100 for (g, n), found in zip(wanted, sums, strict=True)), sums


@pytest.mark.parametrize(("measured", "most"), GOALS.items())
def test_the_goals_hold(measured, most):
    group, name = measured
    assert snapshot(group)[name] <= most


def test_every_snapshot_is_of_a_figure_that_a_test_bounds():
    tests = "".join(path.read_text("utf-8") for path in (CONTRACTS_FOLDER / "test").glob("Gas*.sol"))
    for path in (CONTRACTS_FOLDER / "snapshots").glob("*.json"):
        for name in json.loads(path.read_text("utf-8")):
            assert re.search(re.escape(f'"{name}"'), tests), (path.name, name)
