"""Which traces a miner keeps: their life, their bytes, and what a crash may leave behind."""

import os

import pytest

from node.inference.traces.trace_file import PARTIAL, TraceError
from node.inference.traces.trace_store import TraceStore
from protocol.hashing import sha256

LIFE_MS = 1000
TASKS = [sha256(bytes([number])) for number in range(5)]


@pytest.fixture
def store(tmp_path):
    return TraceStore(tmp_path / "traces", life_ms=LIFE_MS, bytes_max=10_000, traces_max=3)


def keep(store, task_id, now_ms, size_bytes=100):
    store.path_of(task_id).write_bytes(bytes(size_bytes))
    store.keep(task_id, b"announcement " + task_id, b"work " + task_id, now_ms)


def kept(store, now_ms=0):
    return [task_id for task_id in TASKS if store.announcement_of(task_id, now_ms) is not None]


def test_kept_is_found_with_its_announcement(store):
    keep(store, TASKS[0], 0)
    assert store.announcement_of(TASKS[0], 5) == b"announcement " + TASKS[0]
    assert store.announcement_of(TASKS[1], 5) is None
    assert store.work_of(TASKS[0]) == b"work " + TASKS[0]
    assert (len(store), store.size_bytes) == (1, 182)
    assert store.path_of(TASKS[0]).stat().st_size == 100


def test_only_its_owner_may_read_it(store, tmp_path):
    keep(store, TASKS[0], 0)
    assert (tmp_path / "traces").stat().st_mode & 0o077 == 0


def test_a_trace_that_is_not_there_is_not_kept(store):
    with pytest.raises(TraceError, match="not there"):
        store.keep(TASKS[0], b"announcement", b"work", 0)
    assert (len(store), store.counts.missing) == (0, 1)


def test_a_trace_ends_with_its_life(store, tmp_path):
    keep(store, TASKS[0], 0)
    keep(store, TASKS[1], 600)
    assert kept(store, LIFE_MS - 1) == TASKS[:2]
    assert kept(store, LIFE_MS) == TASKS[1:2]
    assert store.counts.expired == 1
    assert len(list((tmp_path / "traces").iterdir())) == 3


def test_too_many_bytes_drop_the_oldest(store):
    for number in range(2):
        keep(store, TASKS[number], number, size_bytes=4900)
    assert kept(store) == TASKS[:2]
    keep(store, TASKS[2], 2, size_bytes=4900)
    assert kept(store) == TASKS[1:3]
    assert store.counts.evicted == 1
    assert store.size_bytes <= 10_000


def test_too_many_traces_drop_the_oldest(store):
    for number in range(4):
        keep(store, TASKS[number], number)
    assert kept(store) == TASKS[1:4]
    assert store.counts.evicted == 1


def test_the_same_task_again_counts_once(store):
    for number in range(3):
        keep(store, TASKS[0], number, size_bytes=100 * (number + 1))
    assert (len(store), store.size_bytes) == (1, 382)


def test_a_new_store_finds_the_old_traces_and_their_age(store, tmp_path):
    for number, age_s in enumerate((100, 98, 99)):
        keep(store, TASKS[number], number)
        os.utime(store.path_of(TASKS[number]).with_suffix(".task"), (age_s, age_s))
    again = TraceStore(tmp_path / "traces", life_ms=LIFE_MS, bytes_max=10_000, traces_max=3)
    assert again.size_bytes == store.size_bytes
    assert kept(again, 98_999) == TASKS[:3]
    assert kept(again, 99_000) == [TASKS[0], TASKS[2]]
    assert kept(again, 100_000) == [TASKS[0]]


def test_what_a_crash_left_is_swept(store, tmp_path):
    keep(store, TASKS[0], 0)
    folder = tmp_path / "traces"
    store.path_of(TASKS[1]).write_bytes(b"without a task")
    store.path_of(TASKS[2]).with_suffix(".task").write_bytes(b"without a trace")
    store.path_of(TASKS[4]).write_bytes(b"without the work")
    store.path_of(TASKS[4]).with_suffix(".task").write_bytes(b"without the work")
    for name in ("x", TASKS[3].hex() + ".trace" + PARTIAL, "zz.trace", TASKS[0].hex().upper() + ".task"):
        (folder / name).write_bytes(b"")
    again = TraceStore(folder)
    assert len(again) == 1
    assert again.counts.swept == 8
    assert len(list(folder.iterdir())) == 3


def test_discarding_removes_leftovers_and_nothing_kept(store, tmp_path):
    keep(store, TASKS[0], 0)
    store.path_of(TASKS[1]).write_bytes(b"finished, but for nobody")
    (tmp_path / "traces" / (TASKS[1].hex() + ".trace" + PARTIAL)).write_bytes(b"half")
    for task_id in TASKS:
        store.discard(task_id)
    assert kept(store) == TASKS[:1]
    assert len(list((tmp_path / "traces").iterdir())) == 3


def test_work_lost_from_the_disk_is_named(store):
    keep(store, TASKS[0], 0)
    store.path_of(TASKS[0]).with_suffix(".result").unlink()
    with pytest.raises(TraceError, match="the work of the trace is not there"):
        store.work_of(TASKS[0])


def test_an_announcement_lost_from_the_disk_is_a_trace_lost(store):
    keep(store, TASKS[0], 0)
    store.path_of(TASKS[0]).with_suffix(".task").unlink()
    assert kept(store) == []
    assert (len(store), store.size_bytes) == (0, 0)
