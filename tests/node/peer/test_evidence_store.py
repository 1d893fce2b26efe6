"""Evidence on disk: one file for each fault of a signer, two limits, and what `cuckoo-slash` reads back."""

import pytest

from node.commands.evidence_reports import read_evidence
from node.peer import evidence_store
from node.peer.evidence_store import EvidenceStore, FolderState
from protocol.errors import LocalError, ProtocolError
from protocol.evidence import STATEMENT_BYTES_MAX, TwoStatements, verify_evidence
from protocol.evidence.false_verdict import REFUTED_BYTES_MAX
from protocol.evidence_document import to_document
from tests.protocol import builders
from tests.protocol.builders import DOMAIN, FIRST_RANKED, MINERS, SECOND_RANKED, sealed
from tests.protocol.traces import false_verdict, trace_evidence

EPOCHS = builders.view().epochs


def doubled(miner, units_done=1):
    """A slashable offence of a miner."""
    return TwoStatements.pair(
        sealed(miner, builders.commitment()), sealed(miner, builders.commitment(units_done=units_done))
    )


def add(store, evidence):
    return store.add(evidence, verify_evidence(DOMAIN, evidence, EPOCHS), EPOCHS)


@pytest.fixture
def store(tmp_path):
    return EvidenceStore(tmp_path / "evidence", DOMAIN)


def test_a_file_holds_what_was_found(store):
    path = add(store, doubled(FIRST_RANKED))
    assert path.name == f"equivocation-{FIRST_RANKED.address.hex()}.json"
    domain, found, offence = read_evidence(path)
    assert (domain, found, offence.signer) == (DOMAIN, doubled(FIRST_RANKED), FIRST_RANKED.address)
    assert store.files() == [path]


def test_a_second_offence_of_the_same_sort_makes_no_second_file(store):
    assert add(store, doubled(FIRST_RANKED)) is not None
    assert add(store, doubled(FIRST_RANKED, units_done=2)) is None
    assert add(store, doubled(SECOND_RANKED)) is not None
    assert add(store, builders.false_part()) is not None
    assert (store.state().files, store.state().slashable, store.state().turned_away) == (3, 2, 0)


def test_the_next_run_knows_what_is_there_and_leaves_other_files_alone(store, tmp_path):
    paths = [add(store, piece) for piece in builders.all_evidence()]
    other = tmp_path / "evidence" / "notes.json"
    other.write_text("mine")
    again = EvidenceStore(tmp_path / "evidence", DOMAIN)
    assert again.files() == sorted(paths)
    assert again.state() == store.state()
    assert all(add(again, piece) is None for piece in builders.all_evidence())
    assert other.read_text() == "mine"


def test_a_full_folder_takes_what_can_be_slashed_in_the_place_of_the_oldest_that_cannot(store, monkeypatch):
    monkeypatch.setattr(evidence_store, "FILES_MAX", 2)
    kept = [add(store, piece) for piece in (builders.false_part(), builders.wrong_ranking())]
    first, second, third = (add(store, doubled(MINERS[name])) for name in ("ann", "bob", "cid"))
    assert (first.exists(), second.exists(), third) == (True, True, None)
    assert not any(path.exists() for path in kept)
    size = first.stat().st_size + second.stat().st_size
    assert add(store, builders.false_part()) is None
    assert store.state() == FolderState(2, 2, size, evicted=2, turned_away=2)


@pytest.mark.parametrize("evidence", [builders.broken_sequence(), *trace_evidence(), false_verdict()])
def test_every_fault_that_the_contract_judges_takes_the_place_of_one_that_it_does_not(
    store, monkeypatch, evidence
):
    monkeypatch.setattr(evidence_store, "FILES_MAX", 1)
    kept = add(store, builders.false_part())
    assert store.files() == [kept]
    judged = add(store, evidence)
    assert store.files() == [judged]
    assert add(store, builders.wrong_ranking()) is None
    assert store.state().slashable == 1


def test_the_folder_has_a_length_too(store, monkeypatch):
    longest = add(store, builders.false_part())
    monkeypatch.setattr(evidence_store, "FOLDER_BYTES_MAX", longest.stat().st_size + 10)
    assert add(store, builders.wrong_ranking()) is None
    slashable = add(store, doubled(FIRST_RANKED))
    assert store.files() == [slashable]
    assert store.state().size_bytes == slashable.stat().st_size


def test_what_the_contract_can_judge_always_fits():
    """The limits agree: as many of the longest as there may be files; evidence about a trace is shorter."""
    statement = b"\x00" * STATEMENT_BYTES_MAX
    longest = to_document(DOMAIN, doubled(FIRST_RANKED), EPOCHS)
    longest |= {name: "0x" + statement.hex() for name in ("first_statement", "second_statement")}
    assert REFUTED_BYTES_MAX < STATEMENT_BYTES_MAX
    assert evidence_store.FILES_MAX * len(evidence_store.to_bytes(longest)) <= evidence_store.FOLDER_BYTES_MAX


def test_a_document_that_nobody_would_read_is_not_written(store, monkeypatch):
    monkeypatch.setattr(evidence_store, "DOCUMENT_BYTES_MAX", 100)
    assert add(store, doubled(FIRST_RANKED)) is None
    assert store.state() == FolderState(0, 0, 0, evicted=0, turned_away=1)


def test_what_proves_nothing_is_not_written(store):
    real = doubled(FIRST_RANKED)
    with pytest.raises(ProtocolError):
        store.add(TwoStatements.pair(real.first, real.first), verify_evidence(DOMAIN, real, {}), {})
    assert store.files() == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_file_that_is_no_evidence(tmp_path, content):
    path = tmp_path / "evidence.json"
    path.write_bytes(content)
    with pytest.raises(ProtocolError):
        read_evidence(path)


def test_file_too_long_or_missing(tmp_path):
    path = tmp_path / "evidence.json"
    with pytest.raises(LocalError):
        read_evidence(path)
    path.write_bytes(b" " * 2_000_000)
    with pytest.raises(ProtocolError, match="longer"):
        read_evidence(path)
