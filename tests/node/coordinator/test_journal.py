"""The journal: what is written is read, by this engine or a later one; killed at any write, nothing is lost.

`CUCKOO_LONG=1` tries every write; without it, every fifth.
"""

import json
import os
import sqlite3

import pytest

from node.coordinator import ended_orders, orders
from node.coordinator import journal as journals
from node.coordinator.journal import open_journal
from node.coordinator.journal_file import JournalUnavailable
from node.coordinator.orders import Book
from node.coordinator.outcomes import Delivered
from node.coordinator.records import FailureKind, OrderFailed, OrderPlaced
from node.coordinator.snapshots import snapshot_of
from protocol.hashing import sha256
from protocol.messages import Source
from protocol.task import TURN, Table, TurnEvent, TurnState
from tests.node.coordinator import desk as desks
from tests.node.coordinator.crashes import Run
from tests.node.coordinator.desk import DOMAIN, REQUEST, Desk

ADDRESS = desks.COORDINATOR.address
EVERY = 1 if os.environ.get("CUCKOO_LONG") else 5


async def undisturbed(folder):
    run = Run(folder)
    await run.live()
    run.check()
    return run


async def test_a_run_that_nobody_kills(tmp_path):
    run = await undisturbed(tmp_path)
    assert run.outcomes[run.wanted[2]] == "cancelled"
    assert run.lost_once
    assert run.writes >= 100


async def test_killed_at_every_write_nothing_is_lost_announced_twice_or_paid_twice(tmp_path):
    (tmp_path / "first").mkdir()
    writes = (await undisturbed(tmp_path / "first")).writes
    points = 0
    for after in (False, True):
        for kill_at in range(1, writes + 1, EVERY):
            folder = tmp_path / f"{kill_at}-{after}"
            folder.mkdir()
            run = Run(folder)
            await run.live(kill_at, after=after)
            await run.live()
            run.check()
            points += 1
    assert points * EVERY >= 200


async def test_killed_again_and_again(tmp_path):
    for step in (2, 3, 5, 7, 11) if EVERY == 1 else (7,):
        folder = tmp_path / str(step)
        folder.mkdir()
        run = Run(folder)
        for _ in range(200):
            await run.live(step, after=bool(step % 2))
            if len(run.outcomes) == len(run.wanted):
                break
        await run.live()
        run.check()
        assert run.lives > 3


async def test_an_engine_with_another_transition_takes_over_by_the_snapshots(tmp_path, monkeypatch):
    """The records alone would be unlawful to it: a miner that was interrupted has ended its turn there."""
    changed = dict(TURN.transitions) | {(TurnState.WORKING, TurnEvent.INTERRUPT): TurnState.ENDED}
    for kill_at in range(3, 100, 8 * EVERY):
        folder = tmp_path / str(kill_at)
        folder.mkdir()
        run = Run(folder)
        await run.live(kill_at)
        with monkeypatch.context() as patch:
            patch.setattr(journals, "ENGINE_VERSION", journals.ENGINE_VERSION + 1)
            patch.setattr(orders, "TURN", Table(TurnState.AWAITED, changed))
            await run.live(5)
            await run.live()
        run.check()


def placed(number=1, sources=(), key="a"):
    return OrderPlaced(number.to_bytes(32, "big"), key, b"body", REQUEST, sources, 1_000)


def write(journal, record, blobs=None):
    book = Book(DOMAIN)
    if isinstance(record, OrderPlaced):
        journal.write(record, snapshot_of(book.apply(record)), blobs or {})
    else:
        journal.write(record, None, blobs or {})


def failed(number=1, at_ms=2_000):
    return OrderFailed(number.to_bytes(32, "big"), FailureKind.FAILED, "nobody came", at_ms)


def test_what_was_written_is_read(tmp_path):
    data = b"source"
    source = Source(0, len(data), sha256(data))
    with open_journal(tmp_path / "j", DOMAIN, ADDRESS) as (journal, _):
        write(journal, placed(sources=(source,)), {sha256(data): data})
    with open_journal(tmp_path / "j", DOMAIN, ADDRESS) as (journal, _):
        book = Book(DOMAIN)
        journal.load(book)
        (order,) = book.orders.values()
        assert (order.key, order.body_hash, order.request, order.sources) == (
            "a",
            b"body",
            REQUEST,
            (source,),
        )
        assert journal.source(source.hash) == data
        assert journal.ended.find_key("a") is None
        write(journal, failed())
        ended = journal.ended.find_key("a")
        assert (ended.failure, ended.reason, ended.body_hash) == (FailureKind.FAILED, "nobody came", b"body")
        assert journal.statistics() == journals.JournalSnapshot(live=0, ended=1, receipts=0, blob_bytes=0)


async def test_a_result_and_its_receipt_outlive_a_restart(tmp_path):
    run = await undisturbed(tmp_path)
    with open_journal(run.path, DOMAIN, ADDRESS) as (journal, _):
        found = journal.ended.find_key("order 1")
        assert isinstance(found.delivered, Delivered)
        assert found.delivered.output == desks.png()
        assert found.receipt.matches(desks.png())
        task_id = found.receipt.announcement.digest
        assert journal.ended.find_task(task_id).order_id == found.order_id
        assert journal.ended.find_task(bytes(32)) is None
        delivered = journal.ended.delivered_since(0, 100)
        receipt = found.delivered.receipt
        assert (receipt.announcement, receipt.commitment) in delivered
        assert len(delivered) > 1
        assert journal.ended.delivered_since(0, 1) == delivered[:1]
        assert journal.ended.delivered_since(1 << 62, 100) == []


def test_outcomes_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(ended_orders, "OUTCOMES_MAX", 3)
    with open_journal(tmp_path / "j", DOMAIN, ADDRESS) as (journal, _):
        for number in range(1, 6):
            write(journal, placed(number, key=f"order {number}"))
            write(journal, failed(number, number))
        assert journal.ended.find_key("order 2") is None
        assert journal.ended.find_key("order 3") is not None
        assert journal.statistics().ended == 3


def test_ended_orders_in_a_file_that_fails(tmp_path):
    with open_journal(tmp_path / "j", DOMAIN, ADDRESS) as (journal, _):
        journal.ended._connection.execute("DROP TABLE ended")
        for ask in (lambda: journal.ended.named_tasks("", 0, 1), lambda: journal.ended.delivered_since(0, 1)):
            with pytest.raises(JournalUnavailable) as caught:
                ask()
            assert str(caught.value) == "the journal cannot be read: no such table: ended"


async def test_results_are_bounded_by_age_and_size_and_their_receipts_stay(tmp_path, monkeypatch):
    run = await undisturbed(tmp_path)
    monkeypatch.setattr(ended_orders, "OUTPUTS_BYTES_MAX", 0)
    with open_journal(run.path, DOMAIN, ADDRESS) as (journal, _):
        write(journal, placed(9, key="last"))
        write(journal, failed(9, run.now_ms))
        found = journal.ended.find_key("order 1")
        assert found.delivered is None
        assert found.receipt.matches(desks.png())
        assert journal.statistics().blob_bytes == 0


async def test_results_are_forgotten_when_they_are_old(tmp_path):
    run = await undisturbed(tmp_path)
    with open_journal(run.path, DOMAIN, ADDRESS) as (journal, _):
        write(journal, placed(9, key="last"))
        write(journal, failed(9, run.now_ms + ended_orders.OUTPUT_AGE_MS_MAX + 1))
        assert journal.ended.find_key("order 1").delivered is None


async def test_delivered_tasks_are_listed_by_the_beginning_of_their_names_and_forgotten_one_by_one(tmp_path):
    run = await undisturbed(tmp_path)
    with open_journal(run.path, DOMAIN, ADDRESS) as (journal, _):
        ended = journal.ended
        tasks = ended.named_tasks("order ", 0, 100)
        delivered = ("order 1", "order 3")  # the other one was cancelled
        names = {ended.find_key(name).receipt.announcement.digest: name for name in delivered}
        assert set(tasks) == set(names)
        assert ended.named_tasks("order ", 1, 1) == tasks[1:2]
        assert ended.named_tasks("another", 0, 100) == ended.named_tasks("order %", 0, 100) == []
        assert ended.is_named("order", tasks[0])
        assert not ended.is_named("other", tasks[0])
        assert not ended.is_named("order", bytes(32))
        journal.forget(tasks[0])
        assert ended.find_task(tasks[0]) is None
        assert ended.find_key(names[tasks[0]]) is None
        # The same picture, of another task, stays; with the last of them its bytes are gone.
        assert ended.find_task(tasks[1]).delivered.output == desks.png()
        for task_id in tasks[1:]:
            journal.forget(task_id)
        assert journal.statistics().receipts == len(ended.named_tasks("", 0, 100)) == 0
        assert journal.statistics().blob_bytes == 0


def test_a_file_of_a_later_version_is_not_touched(tmp_path):
    with open_journal(tmp_path / "j", DOMAIN, ADDRESS) as (_, connection):
        connection.execute("UPDATE meta SET value = 2 WHERE name = 'schema'")
    with (
        pytest.raises(JournalUnavailable) as caught,
        open_journal(tmp_path / "j", DOMAIN, ADDRESS),
    ):
        pass
    assert str(caught.value) == (
        "the journal has tables of version 2, this program knows 1: start the newer program again"
    )


def test_a_file_that_fails_stops_what_would_follow(tmp_path):
    with open_journal(tmp_path / "j", DOMAIN, ADDRESS) as (journal, connection):
        connection.execute("DROP TABLE records")
        with pytest.raises(JournalUnavailable) as caught:
            write(journal, placed())
        assert str(caught.value) == (
            "the journal of orders failed (no such table: records); nothing follows from what it did not take"
        )


def test_an_order_that_cannot_be_written_down_is_not_taken():
    desk = Desk()

    def fail(*_):
        raise JournalUnavailable("full")

    desk.journal.write = fail
    with pytest.raises(JournalUnavailable):
        desk.place()
    assert not desk.engine.book.orders


def test_garbage_in_the_records_is_an_error_of_ours(tmp_path):
    with open_journal(tmp_path / "j", DOMAIN, ADDRESS) as (journal, connection):
        write(journal, placed())
        connection.execute("UPDATE records SET record = x'80'")
        with pytest.raises(JournalUnavailable):
            journal.load(Book(DOMAIN))


def test_the_file_is_an_ordinary_database(tmp_path):
    with open_journal(tmp_path / "j", DOMAIN, ADDRESS) as (journal, _):
        write(journal, placed())
    tables = sqlite3.connect(tmp_path / "j").execute("SELECT name FROM sqlite_master").fetchall()
    assert {"records", "live", "blobs", "ended"} <= {name for (name,) in tables}
    assert json.dumps(sorted(name for (name,) in tables))
