"""What a miner keeps of its work: across restarts, for as long as its traces, and within bounds."""

import os
import threading

import numpy as np
import pytest
import trio

from node.exchange import work_records
from node.exchange.work_records import RecordCounts, WorkRecords
from node.inference.traces.trace_store import TRACE_LIFE_MS
from protocol.draw import EpochView, Snapshot
from protocol.registrations import Registrations
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


async def test_what_is_kept_is_found_by_the_next_run(folder):
    await records(folder).keep(COMMITTED, builders.EPOCH, NOW_MS)
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
    age(folder, 0)
    again = records(folder)
    assert again.commitment_of(TASK_ID) == COMMITTED
    assert await again.epoch(7) == builders.EPOCH
    assert (again.commitment_of(bytes(32)), await again.epoch(8)) == (None, None)


async def test_work_of_an_epoch_that_this_node_has_forgotten_is_kept_without_it(folder):
    kept = records(folder)
    await kept.keep(COMMITTED, None, NOW_MS)
    assert (kept.commitment_of(TASK_ID), await kept.epoch(7)) == (COMMITTED, None)


async def test_records_live_as_long_as_traces(folder):
    kept = records(folder)
    await kept.keep(COMMITTED, builders.EPOCH, NOW_MS)
    kept.prune(NOW_MS + TRACE_LIFE_MS - 1)
    assert len(list(folder.iterdir())) == 2
    kept.prune(NOW_MS + TRACE_LIFE_MS)
    assert list(folder.iterdir()) == []


async def test_an_epoch_is_as_young_as_the_last_work_in_it(folder):
    kept = records(folder)
    await kept.keep(COMMITTED, builders.EPOCH, NOW_MS)
    await kept.keep(OTHER, builders.EPOCH, NOW_MS + TRACE_LIFE_MS - 1)
    kept.prune(NOW_MS + TRACE_LIFE_MS)
    assert sorted(path.name for path in folder.iterdir()) == ["7.epoch", f"{(b't' * 32).hex()}.work"]


async def test_a_start_lets_go_of_what_is_old_and_of_strange_files(folder):
    await records(folder).keep(COMMITTED, builders.EPOCH, NOW_MS)
    age(folder, TRACE_LIFE_MS)
    for name in ("note.txt", "seven.epoch", "aa.work", "7.epoch.partial"):
        (folder / name).write_bytes(b"")
    assert records(folder).commitment_of(TASK_ID) is None
    assert list(folder.iterdir()) == []


async def test_more_than_is_kept(folder, monkeypatch):
    monkeypatch.setattr(work_records, "WORKS_MAX", 2)
    monkeypatch.setattr(work_records, "EPOCHS_MAX", 1)
    kept = records(folder)
    for number in range(4):
        work = opened(FIRST_RANKED, commitment(task_id=bytes([number]) * 32))
        await kept.keep(work, builders.epoch_view(number), NOW_MS)
    names = {path.name for path in folder.iterdir()}
    assert names == {"3.epoch", *(bytes([number]).hex() * 32 + ".work" for number in (2, 3))}
    assert kept.commitment_of(bytes(32)) is None


async def test_damage_is_told_and_taken_for_nothing(folder):
    await records(folder).keep(COMMITTED, builders.EPOCH, NOW_MS)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    age(folder, 0)
    again = records(folder)
    assert (again.commitment_of(TASK_ID), await again.epoch(7)) == (None, None)
    assert again.counts == RecordCounts(damaged=2)
    assert list(folder.iterdir()) == []


async def test_a_full_disk_does_not_keep_this_run_from_answering(folder, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    kept = records(folder)
    monkeypatch.setattr(work_records, "write_private", full)
    await kept.keep(COMMITTED, builders.EPOCH, NOW_MS)
    assert (kept.commitment_of(TASK_ID), await kept.epoch(7)) == (COMMITTED, builders.EPOCH)
    assert kept.counts == RecordCounts(not_written=1)


def large_epoch(number, nodes=100_000):
    """An epoch of so many miners, each its own owner."""
    addresses = np.random.default_rng(number).bytes(20 * nodes)
    rows = [addresses[at : at + 20] for at in range(0, len(addresses), 20)]
    registrations = Registrations.of((row, row, 1) for row in rows)
    miners = Snapshot.of_arrays(addresses, np.full(nodes, 25_000 * 10**6, dtype=np.uint64))
    return EpochView(number, bytes(32), miners, builders.EPOCH.coordinators, registrations)


@pytest.fixture
def conversions(monkeypatch):
    """Threads in which an epoch was turned into bytes or read from them."""
    threads = []

    def noted(convert):
        def run(argument):
            threads.append(threading.current_thread())
            return convert(argument)

        return run

    for name in ("epoch_to_bytes", "epoch_from_bytes"):
        monkeypatch.setattr(work_records, name, noted(getattr(work_records, name)))
    return threads


async def test_attack_epochs_of_a_hundred_thousand_nodes_are_not_read_or_written_on_the_loop(
    folder, conversions
):
    """The first commitment in an epoch, and a stranger that asks for work of three epochs in turn."""
    kept, epoch = records(folder), large_epoch(7)
    others = {number: large_epoch(number, 3) for number in (8, 9, 10)}
    await kept.keep(COMMITTED, epoch, NOW_MS)
    for number, other in others.items():
        await kept.keep(opened(FIRST_RANKED, commitment(task_id=bytes([number]) * 32)), other, NOW_MS)
    age(folder, 0)
    again = records(folder)
    assert [await again.epoch(number) for number in (7, 8, 9, 7)] == [epoch, others[8], others[9], epoch]
    assert len(conversions) == 8
    assert threading.current_thread() not in conversions


async def test_attack_many_ask_for_one_epoch_at_once(folder, conversions):
    """It is read once; and of several, one at a time."""
    await records(folder).keep(COMMITTED, builders.EPOCH, NOW_MS)
    age(folder, 0)
    again, found = records(folder), []

    async def ask():
        found.append(await again.epoch(7))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(ask)
    assert found == [builders.EPOCH] * 50
    assert len(conversions) == 2


async def test_an_epoch_that_is_asked_for_again_stays_in_memory(folder, conversions):
    first = records(folder)
    for number in (7, 8, 9):
        work = opened(FIRST_RANKED, commitment(task_id=bytes([number]) * 32))
        await first.keep(work, builders.epoch_view(number), NOW_MS)
    age(folder, 0)
    again = records(folder)
    del conversions[:]
    for number in (7, 8, 7, 9, 7):
        assert await again.epoch(number) == builders.epoch_view(number)
    assert len(conversions) == 3


async def test_a_node_that_stops_still_writes_the_commitment_that_it_has_begun(folder):
    """It is signed, and its coordinator has it."""
    with trio.CancelScope() as scope:
        scope.cancel()
        await records(folder).keep(COMMITTED, builders.EPOCH, NOW_MS)
    age(folder, 0)
    again = records(folder)
    assert (again.commitment_of(TASK_ID), await again.epoch(7)) == (COMMITTED, builders.EPOCH)
