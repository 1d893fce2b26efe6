"""What a miner keeps of its work: across restarts, for as long as its traces, and within bounds."""

import os

import pytest

from node.exchange import work_records
from node.exchange.work_records import RecordCounts, WorkRecords
from node.inference.traces.trace_store import TRACE_LIFE_MS
from tests.protocol import builders
from tests.protocol.builders import COMMITTED, DOMAIN, FIRST_RANKED, NOW_MS, commitment, opened

TASK_ID = COMMITTED.message.task_id
OTHER = opened(FIRST_RANKED, commitment(task_id=b"t" * 32))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "works"


def records(folder, now_ms=NOW_MS):
    return WorkRecords(folder, DOMAIN, now_ms)


def age(folder, ms):
    """As if the files had been written so long before `NOW_MS`."""
    for path in folder.iterdir():
        os.utime(path, ((NOW_MS - ms) / 1000,) * 2)


def test_what_is_kept_is_found_by_the_next_run(folder):
    records(folder).keep(COMMITTED, builders.EPOCH, NOW_MS)
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
    age(folder, 0)
    again = records(folder)
    assert again.commitment_of(TASK_ID) == COMMITTED
    assert again.epoch(7) == builders.EPOCH
    assert (again.commitment_of(bytes(32)), again.epoch(8)) == (None, None)


def test_work_of_an_epoch_that_this_node_has_forgotten_is_kept_without_it(folder):
    kept = records(folder)
    kept.keep(COMMITTED, None, NOW_MS)
    assert (kept.commitment_of(TASK_ID), kept.epoch(7)) == (COMMITTED, None)


def test_records_live_as_long_as_traces(folder):
    kept = records(folder)
    kept.keep(COMMITTED, builders.EPOCH, NOW_MS)
    kept.prune(NOW_MS + TRACE_LIFE_MS - 1)
    assert len(list(folder.iterdir())) == 2
    kept.prune(NOW_MS + TRACE_LIFE_MS)
    assert list(folder.iterdir()) == []


def test_an_epoch_is_as_young_as_the_last_work_in_it(folder):
    kept = records(folder)
    kept.keep(COMMITTED, builders.EPOCH, NOW_MS)
    kept.keep(OTHER, builders.EPOCH, NOW_MS + TRACE_LIFE_MS - 1)
    kept.prune(NOW_MS + TRACE_LIFE_MS)
    assert sorted(path.name for path in folder.iterdir()) == ["7.epoch", f"{(b't' * 32).hex()}.work"]


def test_a_start_lets_go_of_what_is_old_and_of_strange_files(folder):
    records(folder).keep(COMMITTED, builders.EPOCH, NOW_MS)
    age(folder, TRACE_LIFE_MS)
    for name in ("note.txt", "seven.epoch", "aa.work", "7.epoch.partial"):
        (folder / name).write_bytes(b"")
    assert records(folder).commitment_of(TASK_ID) is None
    assert list(folder.iterdir()) == []


def test_more_than_is_kept(folder, monkeypatch):
    monkeypatch.setattr(work_records, "TRACES_MAX", 2)
    monkeypatch.setattr(work_records, "EPOCHS_MAX", 1)
    kept = records(folder)
    for number in range(4):
        work = opened(FIRST_RANKED, commitment(task_id=bytes([number]) * 32))
        kept.keep(work, builders.epoch_view(number), NOW_MS)
    names = {path.name for path in folder.iterdir()}
    assert names == {"3.epoch", *(bytes([number]).hex() * 32 + ".work" for number in (2, 3))}
    assert kept.commitment_of(bytes(32)) is None


def test_damage_is_told_and_taken_for_nothing(folder):
    records(folder).keep(COMMITTED, builders.EPOCH, NOW_MS)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    age(folder, 0)
    again = records(folder)
    assert (again.commitment_of(TASK_ID), again.epoch(7)) == (None, None)
    assert again.counts == RecordCounts(damaged=2)
    assert list(folder.iterdir()) == []


def test_a_full_disk_does_not_keep_this_run_from_answering(folder, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    kept = records(folder)
    monkeypatch.setattr(work_records, "write_private", full)
    kept.keep(COMMITTED, builders.EPOCH, NOW_MS)
    assert (kept.commitment_of(TASK_ID), kept.epoch(7)) == (COMMITTED, builders.EPOCH)
    assert kept.counts == RecordCounts(not_written=1)
