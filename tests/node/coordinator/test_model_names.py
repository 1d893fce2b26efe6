"""The table of names: who may change a row, its bound, and that it is kept."""

import sqlite3
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.coordinator import model_names as subject
from node.coordinator.model_names import (
    NAMES_FILE,
    BadName,
    Binding,
    Claim,
    ModelNames,
    NamesUnavailable,
    open_model_names,
)

ONE, OTHER = b"\x01" * 32, b"\x02" * 32


def test_the_first_has_the_name():
    names = ModelNames.in_memory()
    assert names.bind("a", ONE, Claim.LISTED) == ONE
    assert names.bind("a", OTHER, Claim.USED) == ONE
    assert names.get("a") == Binding("a", ONE, Claim.LISTED)
    assert names.get("b") is None


def test_use_makes_a_claim_better():
    names = ModelNames.in_memory()
    names.bind("a", ONE, Claim.LISTED)
    names.bind("a", ONE, Claim.USED)
    names.bind("a", ONE, Claim.LISTED)
    assert names.get("a") == Binding("a", ONE, Claim.USED)


@given(st.lists(st.tuples(st.sampled_from(Claim), st.sampled_from([ONE, OTHER])), min_size=1))
def test_only_a_claim_as_good_moves_a_name(claims):
    names = ModelNames.in_memory()
    for claim, model_id in claims:
        before = names.get("a")
        now = names.bind("a", model_id, claim)
        if before is not None and now != before.model_id:
            assert claim >= Claim.FOLDER
            assert claim >= before.claim
        after = names.get("a")
        assert after is not None
        assert after.model_id == now
        assert before is None or after.claim >= before.claim


@pytest.mark.parametrize("name", ["", "UPPER", "a@12345678", "half \ud83c", "a" * 65])
def test_what_no_card_is_called(name):
    names = ModelNames.in_memory()
    assert names.get(name) is None
    with pytest.raises(BadName):
        names.bind(name, ONE, Claim.OPERATOR)


def test_what_is_forgotten_can_be_taken():
    names = ModelNames.in_memory()
    names.bind("a", ONE, Claim.OPERATOR)
    assert names.forget("a")
    assert not names.forget("a")
    assert names.bind("a", OTHER, Claim.LISTED) == OTHER


def test_attack_more_names_than_are_kept(monkeypatch):
    """The oldest that was only listed goes; names in use never do."""
    monkeypatch.setattr(subject, "NAMES_MAX", 3)
    names = ModelNames.in_memory()
    names.bind("used", ONE, Claim.USED)
    for number in range(10):
        names.bind(f"flood-{number}", OTHER, Claim.LISTED)
    assert [binding.name for binding in names.all()] == ["flood-8", "flood-9", "used"]
    names.bind("flood-8", OTHER, Claim.USED)
    names.bind("flood-9", OTHER, Claim.USED)
    assert names.bind("late", ONE, Claim.OPERATOR) is None
    assert len(names.all()) == 3


def test_kept_private_and_shared_between_processes(tmp_path):
    folder = tmp_path / "coordinator"
    with open_model_names(folder) as names, open_model_names(folder) as others:
        names.bind("a", ONE, Claim.LISTED)
        others.bind("a", OTHER, Claim.OPERATOR)
        assert names.get("a") == Binding("a", OTHER, Claim.OPERATOR)
    assert stat.S_IMODE((folder / NAMES_FILE).stat().st_mode) == 0o600
    with open_model_names(folder) as names:
        assert names.all() == [Binding("a", OTHER, Claim.OPERATOR)]


@pytest.mark.parametrize("content", [b"no database at all, and long enough to be one" * 10, None])
def test_a_file_that_is_something_else(tmp_path, content):
    if content is None:
        (tmp_path / NAMES_FILE).mkdir()
    else:
        (tmp_path / NAMES_FILE).write_bytes(content)
    with pytest.raises(NamesUnavailable, match="the file of model names"), open_model_names(tmp_path):
        pass


def test_a_write_that_fails_is_told():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with pytest.raises(NamesUnavailable, match="no such table"):
        ModelNames(connection).bind("a", ONE, Claim.LISTED)
