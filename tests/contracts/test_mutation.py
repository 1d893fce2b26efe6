"""The faults for the contracts: what the table makes of a line; those made by hand fit the sources."""

import tomllib

import pytest

from contracts.mutation.operators import BadMutant, mutants_of, named_mutants
from contracts.toolchain import CONTRACTS_FOLDER

SOURCES = {
    path.relative_to(CONTRACTS_FOLDER / "src").as_posix(): path.read_text("utf-8")
    for path in (CONTRACTS_FOLDER / "src").rglob("*.sol")
}


def changed(line):
    return {(mutant.name, mutant.after) for mutant in mutants_of("A.sol", f"    {line}")}


def test_a_comparison_is_moved_by_one():
    assert changed("if (a < b) revert Late(a);") == {
        ("less or equal for less", "if (a <= b) revert Late(a);"),
        ("guard removed", ""),
    }


def test_rounding_is_turned_round():
    line = "x = Math.ceilDiv(a, b);"
    assert ("rounded down for up", "x = ((a) / (b));") in changed(line)
    assert ("rounded up for down", "x = Math.mulDiv(a, b, c, Math.Rounding.Ceil);") in changed(
        "x = Math.mulDiv(a, b, c);"
    )


def test_money_is_added_taken_and_forgotten():
    names = {name for name, _ in changed("balance += amount;")}
    assert names == {"overwritten for added", "taken for added", "statement removed"}


def test_comments_imports_and_events_are_left_alone():
    for line in ("// a < b", "/// @param a < b", 'import {A} from "./A.sol";', "event A(uint256 a);", "}"):
        assert changed(line) == set()


def test_every_other_line_stays():
    text = "a = b;\nif (c == d) return;\ne = f;"
    (mutant, *_) = [mutant for mutant in mutants_of("A.sol", text) if mutant.line == 2]
    assert mutant.text.split("\n")[0::2] == ["a = b;", "e = f;"]
    assert mutant.key == "A.sol: unequal for equal: if (c == d) return; -> if (c != d) return;"


def test_the_mutants_made_by_hand_fit_the_sources():
    table = tomllib.loads((CONTRACTS_FOLDER / "mutation" / "named.toml").read_text("utf-8"))
    mutants = list(named_mutants(table, SOURCES))
    assert len({mutant.name for mutant in mutants}) == len(mutants) == len(table["mutant"])
    assert all(mutant.text != SOURCES[mutant.file] for mutant in mutants)


def test_a_mutant_that_no_longer_fits_is_named():
    table = {"mutant": [{"breaks": "a law", "file": "CAI.sol", "before": "no such line", "after": ""}]}
    with pytest.raises(BadMutant, match="a law"):
        list(named_mutants(table, SOURCES))
