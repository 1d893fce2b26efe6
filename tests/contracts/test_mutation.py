"""The faults for the contracts: what the table makes of a line; those made by hand fit the sources."""

import tomllib

import pytest

from contracts.mutation import workplace
from contracts.mutation.__main__ import all_mutants
from contracts.mutation.operators import BadMutant, Mutant, mutants_of, named_mutants
from contracts.mutation.workplace import FIRST_TRIED, ToolFailed, Trial, Workplace, contracts_with
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


def test_every_survivor_that_is_explained_is_a_mutant():
    explained = tomllib.loads((CONTRACTS_FOLDER / "mutation" / "survivors.toml").read_text("utf-8"))
    keys = {mutant.key for mutant in all_mutants(("",))}
    assert set(explained["explained"]) - keys == set()


def test_a_mutant_that_no_longer_fits_is_named():
    table = {"mutant": [{"breaks": "a law", "file": "CAI.sol", "before": "no such line", "after": ""}]}
    with pytest.raises(BadMutant, match="a law"):
        list(named_mutants(table, SOURCES))


def test_only_contracts_that_a_file_takes_part_in_are_compiled_again():
    assert contracts_with("Rewards.sol", SOURCES) == ("Staking",)
    assert contracts_with("EscrowDeposits.sol", SOURCES) == ("Escrow",)
    assert contracts_with("Epochs.sol", SOURCES) == ("EpochSeeds", "Staking")


def test_tests_that_are_tried_first_exist():
    for own in FIRST_TRIED.values():
        assert list((CONTRACTS_FOLDER / "test").glob(f"{own}t.sol")), own


class FakeCompiler:
    """Notes what it compiles."""

    compiles = True

    def __init__(self, folder):
        self.source = folder / "src" / "Escrow.sol"
        self.seen = []
        (folder / "out" / "Escrow.sol").mkdir(parents=True)
        (folder / "out" / "Escrow.sol" / "Escrow.json").write_text("{}", "utf-8")

    def compile(self, names):
        self.seen.append((names, self.source.read_text("utf-8")))
        return self.compiles


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A workplace whose forge is a script."""
    forge = tmp_path / "forge"
    monkeypatch.setattr(workplace, "Compiler", FakeCompiler)
    monkeypatch.setattr(workplace, "find_tool", lambda _name: forge)
    (tmp_path / "work").mkdir()
    place = Workplace(tmp_path / "work", Trial.ALL)

    def script(text):
        forge.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        forge.chmod(0o755)

    place.script = script
    return place


MUTANT = Mutant("Escrow.sol", 1, "a fault", "a", "b", "// mutated")


@pytest.mark.process
def test_a_mutant_is_killed_by_a_test_that_fails_and_by_nothing_else(place):
    place.script("echo '[FAIL: not paid] test_pay()'; exit 1")
    assert place.outcome(MUTANT) == "killed"
    place.script("echo 'Error: out of memory'; exit 1")
    assert place.outcome(MUTANT) == "broken"
    place.script("echo 'Suite result: ok.'")
    assert place.outcome(MUTANT) == "survived"


def test_a_mutant_that_does_not_compile_is_tried_by_no_test(place):
    place.compiler.compiles = False
    place.script("echo '[FAIL: not paid] test_pay()'; exit 1")
    assert place.outcome(MUTANT) == "stillborn"


@pytest.mark.process
def test_sources_and_code_are_as_before_after_a_mutant(place):
    place.script("echo changed > out/Escrow.sol/Escrow.json; exit 0")
    place.outcome(MUTANT)
    assert place.compiler.seen == [(("Escrow",), "// mutated")]
    assert (place.folder / "src" / "Escrow.sol").read_text("utf-8") == SOURCES["Escrow.sol"]
    assert (place.folder / "out" / "Escrow.sol" / "Escrow.json").read_text("utf-8") == "{}"


@pytest.mark.process
def test_a_mutant_for_an_invariant_is_killed_by_that_one_alone(place):
    mutant = Mutant("Escrow.sol", 1, "a fault", "a", "b", "// mutated", "Escrow: paid")
    place.script("echo '[FAIL: left] invariant_books()'; exit 1")
    assert place.outcome(mutant) == "survived"
    place.script("echo '[FAIL: paid] invariant_books()'; exit 1")
    assert place.outcome(mutant) == "killed"


@pytest.mark.process
def test_nothing_is_tried_where_tests_fail_without_a_mutant(place):
    place.script("echo '[FAIL: not paid] test_pay()'; exit 1")
    with pytest.raises(ToolFailed, match="without any mutant"):
        place.check()


@pytest.mark.process
def test_invariants_can_be_left_out(place):
    place.script("case $* in *invariants*) echo '[FAIL: paid] invariant_books()'; exit 1;; esac")
    assert place.outcome(MUTANT) == "killed"
    place.tests = Trial.QUICK
    assert place.outcome(MUTANT) == "survived"
