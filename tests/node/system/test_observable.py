"""Snapshots by name: as values that hold still, and as JSON."""

import json
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.system.observable import Observable, to_document


class Colour(Enum):
    RED = "red"


@dataclass(slots=True)
class Counts:
    heard: int = 0


@dataclass(frozen=True)
class Inner:
    paid_wei: int
    address: bytes


@dataclass(frozen=True)
class Outer:
    inner: Inner
    accounts: dict[bytes, Inner] = field(default_factory=dict)
    names: tuple[str, ...] = ("a", "b")
    colour: Colour = Colour.RED
    folder: Path = Path("x")
    share: float = 0.5
    ready: bool = True
    reason: str | None = None


def test_values_and_document():
    observable = Observable()
    outer = Outer(Inner(1 << 70, b"\xab"), {b"\x01": Inner(2, b"")})
    observable.register("outer", lambda: outer)
    assert observable.snapshot() == {"outer": outer}
    assert observable.document() == {
        "outer": {
            "inner": {"paid_wei": "1180591620717411303424", "address": "0xab"},
            "accounts": {"0x01": {"paid_wei": "2", "address": "0x"}},
            "names": ["a", "b"],
            "colour": "red",
            "folder": "x",
            "share": 0.5,
            "ready": True,
            "reason": None,
        }
    }


def test_one_by_its_name__holds_still_too():
    observable, counts = Observable(), Counts(1)
    observable.register("counts", lambda: counts)
    found = observable.find("counts")
    counts.heard = 2
    assert found == Counts(1)
    assert observable.find("other") is None


def test_what_counts_on__holds_still_in_a_snapshot():
    observable, counts = Observable(), Counts()
    observable.register("calls", lambda: counts)
    before = observable.snapshot()
    counts.heard += 1
    assert before == {"calls": Counts(0)}
    assert observable.snapshot() == {"calls": Counts(1)}


def test_a_name_is_given_once():
    observable = Observable()
    observable.register("calls", Counts)
    with pytest.raises(ValueError, match=r"^there is a snapshot named calls already$"):
        observable.register("calls", Counts)


def test_what_has_no_form_in_json__is_our_bug():
    with pytest.raises(TypeError, match=r"^a snapshot holds a object, which has no form in JSON$"):
        to_document({"x": [object()]})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.binary(), inner),
        max_leaves=20,
    )
)
def test_a_document_is_json(value):
    document = to_document(value)
    assert json.loads(json.dumps(document)) == document
