"""The guard's history as a document: what it says, and that anything else is refused whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.signing.interchange import (
    NUMBER_MAX,
    TIME_MS_MAX,
    BadHistory,
    Record,
    SignerHistory,
    from_document,
    to_document,
)
from protocol.guard import NUMBERED_KINDS
from protocol.messages import Kind
from tests.protocol.strategies import json_values, lawful, mutated_documents

HISTORIES = [
    SignerHistory(
        b"\x01" * 20,
        1_700_000_000_000,
        None,
        5,
        {Kind.OFFER: 7},
        (
            Record(Kind.OFFER, bytes(32), b"a"),
            Record(Kind.AUDIT_VERDICT, b"\x02" * 32, b"bc", 3, 4),
        ),
    ),
    SignerHistory(b"\x03" * 20, records=(Record(Kind.OFFER, bytes(32), b"b"),)),
]
DOCUMENT = to_document(HISTORIES)
times = st.integers(0, TIME_MS_MAX)
records = st.builds(
    Record,
    st.sampled_from([kind for kind in Kind if kind.slashable]),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=1, max_size=40),
    times,
    times,
)
histories = st.builds(
    SignerHistory,
    st.binary(min_size=20, max_size=20),
    times,
    st.none() | times,
    times,
    st.dictionaries(st.sampled_from(sorted(NUMBERED_KINDS)), st.integers(0, NUMBER_MAX)),
    st.lists(records, unique_by=lambda record: (record.kind, record.slot), max_size=5).map(tuple),
)


@lawful
@given(st.lists(histories, unique_by=lambda history: history.signer, max_size=4))
def test_what_is_written_is_read(written):
    assert from_document(to_document(written)) == written


def test_its_shape():
    assert DOCUMENT["metadata"] == {"interchange_format": "cuckoo-guard", "interchange_format_version": "2"}
    assert [entry["signer"] for entry in DOCUMENT["data"]] == ["0x" + "01" * 20, "0x" + "03" * 20]
    first = DOCUMENT["data"][0]
    assert first | {"signed_statements": None} == {
        "signer": "0x" + "01" * 20,
        "made_at_ms": "1700000000000",
        "first_epoch": None,
        "horizon_ms": "5",
        "watermarks": {"1": "7"},
        "signed_statements": None,
    }
    assert first["signed_statements"][1] == {
        "kind": "5",
        "slot": "0x" + "02" * 32,
        "body": "0x6263",
        "announced_at_ms": "3",
        "deadline_ms": "4",
    }


def with_signer(**changes):
    return DOCUMENT | {"data": [DOCUMENT["data"][0] | changes]}


def with_statement(**changes):
    return with_signer(signed_statements=[DOCUMENT["data"][0]["signed_statements"][0] | changes])


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"metadata": {}, "data": []},
        DOCUMENT | {"metadata": DOCUMENT["metadata"] | {"interchange_format_version": "1"}},
        DOCUMENT | {"data": [{}]},
        DOCUMENT | {"data": None},
        with_signer(signer="0x01"),
        with_signer(made_at_ms=1),
        with_signer(made_at_ms="-1"),
        with_signer(horizon_ms=str(1 << 63)),
        with_signer(first_epoch=""),
        with_signer(watermarks=None),
        with_signer(watermarks={"3": "1"}),
        with_signer(watermarks={"1": str(1 << 128)}),
        with_statement(deadline_ms="1.5"),
        with_statement(kind="64"),
        with_statement(kind="9"),
        with_statement(kind="-1"),
        with_statement(kind=1),
        with_statement(slot="0x00"),
        with_statement(slot="00" * 32),
        with_statement(body="0x"),
        with_statement(body="0x6 1"),
        with_statement(body=None),
    ],
)
def test_what_is_no_history(document):
    with pytest.raises(BadHistory, match="not a guard's history"):
        from_document(document)


def test_a_history_with_two_bodies_in_one_slot():
    slot = b"\x01" * 32
    two = (Record(Kind.OFFER, slot, b"one"), Record(Kind.OFFER, slot, b"other"))
    with pytest.raises(BadHistory) as refused:
        from_document(to_document([SignerHistory(bytes(20), records=two)]))
    assert str(refused.value) == f"the history itself equivocates, in slot {slot.hex()}"


def test_a_history_of_one_signer_twice():
    with pytest.raises(BadHistory) as refused:
        from_document(to_document([HISTORIES[0], HISTORIES[0]]))
    assert str(refused.value) == "the history names a signer twice"


@lawful
@given(json_values | mutated_documents(DOCUMENT))
def test_any_json_is_a_history_or_one_error(document):
    try:
        read = from_document(document)
    except BadHistory:
        return
    assert all(isinstance(history, SignerHistory) for history in read)
