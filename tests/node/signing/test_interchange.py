"""The guard's history as a document: what it says, and that anything else is refused whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.signing.interchange import BadHistory, Record, from_document, to_document
from protocol.messages import Kind
from tests.protocol.strategies import json_values, lawful, mutated_documents

RECORDS = [
    Record(b"\x01" * 20, Kind.OFFER, bytes(32), b"a"),
    Record(b"\x01" * 20, Kind.AUDIT_VERDICT, b"\x02" * 32, b"bc"),
    Record(b"\x03" * 20, Kind.OFFER, bytes(32), b"b"),
]
DOCUMENT = to_document(RECORDS)
records = st.builds(
    Record,
    st.binary(min_size=20, max_size=20),
    st.sampled_from([kind for kind in Kind if kind.slashable]),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=1, max_size=40),
)


@lawful
@given(st.lists(records, unique_by=lambda record: (record.signer, record.kind, record.slot)))
def test_what_is_written_is_read(written):
    assert sorted(from_document(to_document(written)), key=repr) == sorted(written, key=repr)


def test_its_shape():
    assert DOCUMENT["metadata"] == {"interchange_format": "cuckoo-guard", "interchange_format_version": "1"}
    assert [entry["signer"] for entry in DOCUMENT["data"]] == ["0x" + "01" * 20, "0x" + "03" * 20]
    assert DOCUMENT["data"][0]["signed_statements"][0] == {
        "kind": "1",
        "slot": "0x" + "00" * 32,
        "body": "0x61",
    }


def with_statement(**changes):
    statement = DOCUMENT["data"][0]["signed_statements"][0] | changes
    return DOCUMENT | {"data": [{"signer": "0x" + "01" * 20, "signed_statements": [statement]}]}


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"metadata": {}, "data": []},
        DOCUMENT | {"metadata": DOCUMENT["metadata"] | {"interchange_format_version": "2"}},
        DOCUMENT | {"data": [{}]},
        DOCUMENT | {"data": None},
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
    two = [RECORDS[0], Record(b"\x01" * 20, Kind.OFFER, bytes(32), b"other")]
    with pytest.raises(BadHistory, match="the history itself equivocates"):
        from_document(to_document(two))


@lawful
@given(json_values | mutated_documents(DOCUMENT))
def test_any_json_is_a_history_or_one_error(document):
    try:
        read = from_document(document)
    except BadHistory:
        return
    assert all(isinstance(record, Record) for record in read)
