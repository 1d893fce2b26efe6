"""node/peer/address_book.py: the book on disk, and whatever may have become of it there."""

import json

import pytest
import structlog.testing
from multiaddr import Multiaddr

from node.peer import address_book
from node.peer.address_book import keep_saving, load_book, save_book
from p2p.identity import peer_id_from_secret
from p2p.record_store import PeerRecords
from p2p.records import seal_record
from tests.p2p.nodes import secret


def full_book():
    records = PeerRecords(secret(0))
    for number in (1, 2):
        record = seal_record(secret(number), 1, [Multiaddr("/ip4/8.8.8.8/tcp/1")])
        records.accept(record.envelope, heard_from_ip="1.1.1.1")
    records.note_met(peer_id_from_secret(secret(1)))
    return records


@pytest.fixture
def path(tmp_path):
    return tmp_path / "peers.json"


def test_a_book__comes_back_as_it_was(path):
    records = full_book()
    save_book(path, records)
    again = PeerRecords(secret(0))
    load_book(path, again)
    assert again.entries() == records.entries()
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_file__is_an_empty_book_without_a_warning(path):
    records = PeerRecords(secret(0))
    with structlog.testing.capture_logs() as logs:
        load_book(path, records)
    assert len(records) == 0
    assert logs == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"version": 2, "records": []}',
        b'{"version": 1, "records": [1]}',
        b'{"version": 1, "records": [["!", null, true]]}',
        b'{"version": 1, "records": [["aGk=", 1, true]]}',
        b'{"version": 1, "records": [["aGk=", null, 1]]}',
        b'{"version": 1, "records": [["aGk=", null, true]]}',
    ],
)
def test_a_corrupted_file__is_a_warning_and_an_empty_book(path, content):
    path.write_bytes(content)
    records = PeerRecords(secret(0))
    with structlog.testing.capture_logs() as logs:
        load_book(path, records)
    assert len(records) == 0
    assert "warning" in {line["log_level"] for line in logs}


def test_a_file_that_is_too_large__is_not_read(path, monkeypatch):
    save_book(path, full_book())
    monkeypatch.setattr(address_book, "BOOK_BYTES_MAX", 10)
    records = PeerRecords(secret(0))
    with structlog.testing.capture_logs() as logs:
        load_book(path, records)
    assert len(records) == 0
    assert logs[0]["log_level"] == "warning"


def test_what_is_forged_in_a_file__is_passed_over_and_the_rest_is_taken(path):
    save_book(path, full_book())
    document = json.loads(path.read_text())
    document["records"][0][0] = document["records"][1][0][:-8] + "AAAAAAA="
    path.write_text(json.dumps(document))
    records = PeerRecords(secret(0))
    load_book(path, records)
    assert len(records) == 1
    assert records.counts.restore_failed == 1


def test_a_folder_that_cannot_be_written__is_a_warning(tmp_path):
    (tmp_path / "file").write_text("")
    with structlog.testing.capture_logs() as logs:
        save_book(tmp_path / "file" / "peers.json", full_book())
    assert logs[0]["log_level"] == "warning"


async def test_a_book_that_changed__is_saved_now_and_then(path, autojump_clock, nursery):
    records = full_book()
    nursery.start_soon(keep_saving, path, records)
    with pytest.raises(FileNotFoundError):
        path.stat()
    import trio

    await trio.sleep(70)
    first = path.stat().st_mtime_ns
    await trio.sleep(600)
    assert path.stat().st_mtime_ns == first
    records.accept(seal_record(secret(3), 1, [Multiaddr("/ip4/8.8.8.8/tcp/1")]).envelope)
    await trio.sleep(60)
    assert path.stat().st_mtime_ns > first
