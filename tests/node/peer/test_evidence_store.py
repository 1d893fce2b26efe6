"""Evidence on disk: one file an offence, a limit, and what `cuckoo-slash` reads back."""

import pytest

from node.commands.evidence_reports import read_evidence
from node.peer.evidence_store import EvidenceStore
from node.signing.keys import Key
from protocol.errors import InvalidMessage, LocalError, ProtocolError
from protocol.evidence import TwoStatements
from protocol.messages import ModelOffer, Offer, TaskAcceptance, WorkOffer
from protocol.signature import sign_digest
from protocol.statement import Domain, seal

KEY = Key.of(b"\x01" * 32)
DOMAIN = Domain(31337, b"\x05" * 20)


def sealed(message):
    return seal(DOMAIN, message, lambda statement: sign_digest(KEY.secret, statement.digest))


def evidence(sequence=1):
    return TwoStatements.pair(
        *(
            sealed(Offer(sequence, 1, 2, 1, (ModelOffer(bytes(32), (WorkOffer(0, (price,)),)),)))
            for price in (5, 6)
        )
    )


@pytest.fixture
def store(tmp_path):
    return EvidenceStore(tmp_path / "evidence", DOMAIN)


def test_file_holds_what_was_found(store):
    path = store.add(evidence(), {})
    domain, found, offence = read_evidence(path)
    assert (domain.chain_id, domain.verifying_contract) == (31337, b"\x05" * 20)
    assert found == evidence()
    assert offence.signer == KEY.address
    assert store.files() == [path]


def test_same_offence_again_makes_no_second_file(store):
    assert store.add(evidence(), {}) is not None
    assert store.add(evidence(), {}) is None
    assert store.add(evidence(2), {}) is not None


def test_full_folder_takes_no_more(store, monkeypatch):
    monkeypatch.setattr("node.peer.evidence_store.FILES_MAX", 2)
    assert [store.add(evidence(number), {}) is not None for number in range(4)] == [True, True, False, False]


def test_what_proves_nothing_is_not_written(store):
    one = sealed(TaskAcceptance(bytes(32), 0))
    with pytest.raises(InvalidMessage):
        store.add(TwoStatements.pair(one, one), {})
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
