"""Attacks on a coordinator's orders, money and journal; each is named after what it tries."""

from dataclasses import replace

import pytest

from node.coordinator.actions import AskChain, Failure
from node.coordinator.engine import ATTEMPTS_MAX, WAIT_MS_MAX
from node.coordinator.journal import open_journal
from node.coordinator.journal_file import JournalUnavailable
from node.coordinator.orders import Book
from node.coordinator.outcomes import Delivered
from node.coordinator.records import FAILURE_BYTES_MAX, FailureKind
from protocol.messages import CHUNK_BYTES_MAX, REASON_BYTES_MAX, ChunkKind, DeclineKind
from protocol.rules.view import View
from tests.node.coordinator import desk as desks
from tests.node.coordinator.desk import DOMAIN, MINERS, STEPS, TERMS, Desk, epoch_view, png

PRICE_WEI = 8 * 8 * STEPS * 10**15
DRAWS_MAX = 200
"""So few tasks may an order come to while it waits for busy miners."""


def decline_for_ever(desk, order_id):
    """The only miner says that it is busy, whenever it is drawn; returns how often it was."""
    draws = 0
    while desk.finished(order_id) is None:
        if desk.engine.book.orders[order_id].task is not None:
            desk.miner(0).decline(DeclineKind.BUSY, "its slots are taken")
            draws += 1
        desk.tick()
    return draws


def test_attack_a_miner_that_is_always_busy_neither_stops_the_node_nor_fills_its_journal():
    desk = Desk(miners=MINERS[:1])
    order_id = desk.place()
    assert ATTEMPTS_MAX < decline_for_ever(desk, order_id) < DRAWS_MAX
    assert desk.finished(order_id) == Failure(FailureKind.EXPIRED, "no miner was free for it in 10 minutes")
    assert desk.now_ms == 1_000_000 + WAIT_MS_MAX


def test_busy_miners_are_no_attempts():
    desk = Desk(miners=MINERS[:1])
    order_id = desk.place()
    for _ in range(2 * ATTEMPTS_MAX):
        desk.miner(0).decline(DeclineKind.BUSY, "its slots are taken")
        desk.tick(5_000)
    assert desk.engine.book.orders[order_id].attempts == 1
    miner = desk.miner(0)
    miner.come()
    miner.deliver()
    assert isinstance(desk.finished(order_id), Delivered)


@pytest.mark.parametrize("kind", list(DeclineKind))
def test_attack_a_miner_is_paid_and_then_declines(kind):
    desk = Desk(miners=MINERS[:1])
    order_id = desk.place()
    for _ in range(1_000):
        if desk.finished(order_id) is not None:
            break
        if desk.engine.book.orders[order_id].task is not None:
            miner = desk.miner(0)
            miner.come()
            miner.show(STEPS)
            miner.decline(kind, "its slots are taken", first=False)
        desk.tick()
    said = "none of the 1 drawn miners did it: its slots are taken"
    assert desk.finished(order_id) == Failure(FailureKind.FAILED, said)
    assert desk.purse.promised_wei == {MINERS[0].address: PRICE_WEI}
    assert desk.engine.experience.passed_until_ms(MINERS[0].address) > desk.now_ms


def test_attack_one_says_busy_so_that_another_is_paid_again():
    desk = Desk(miners=MINERS[:2])
    order_id = desk.place()
    for _ in range(WAIT_MS_MAX // 1_000):
        order = desk.engine.book.orders.get(order_id)
        for rank in range(0 if order is None or order.task is None else len(order.task.turns)):
            miner = desk.miner(rank)
            if miner.key is MINERS[0]:
                miner.come()
                miner.show(STEPS)
                miner.lose()
            else:
                miner.decline(DeclineKind.BUSY, "its slots are taken")
        desk.tick(1_000)
    assert desk.purse.promised_wei[MINERS[0].address] <= PRICE_WEI


def test_attack_a_miner_holds_its_turn_until_the_deadline():
    desk = Desk(miners=MINERS[:1])
    order_id = desk.place()
    miner = desk.miner(0)
    miner.come()
    deadline_ms = miner.task.message.deadline_ms
    units = 0
    while desk.finished(order_id) is None and units < STEPS:
        units += 1
        for _ in range(3):  # as many chunks of a unit as there may be
            miner.chunk(ChunkKind.PROGRESS, units)
            desk.tick(4_900)
            if desk.finished(order_id) is not None:
                break
    assert desk.finished(order_id) == Failure(FailureKind.EXPIRED, "no miner finished it before its deadline")
    assert desk.now_ms >= deadline_ms
    assert desk.engine.experience.passed_until_ms(miner.key.address) > desk.now_ms


def test_attack_many_miners_with_long_reasons(monkeypatch):
    monkeypatch.setattr(desks, "PARAMETERS", replace(desks.PARAMETERS, assigned_miners=5))
    desk = Desk()
    order_id = desk.place()
    for rank in range(len(MINERS)):
        desk.miner(rank).decline(DeclineKind.NOT_HERE, str(rank) + "x" * (REASON_BYTES_MAX - 1))
    outcome = desk.finished(order_id)
    assert outcome.kind is FailureKind.FAILED
    assert len(outcome.reason) == FAILURE_BYTES_MAX
    assert outcome.reason.startswith("none of the 5 drawn miners did it: 0xxx")


class Disk:
    """A journal on a disk that is full from some write on, until it is not."""

    def __init__(self, journal, write_number):
        self.journal, self.left = journal, write_number

    def __getattr__(self, name):
        return getattr(self.journal, name)

    def write(self, *arguments):
        self.left -= 1
        if self.left == 0:
            raise JournalUnavailable("the disk is full")
        self.journal.write(*arguments)


def do_a_whole_task(desk):
    desk.place()
    miner = desk.miner(0)
    miner.come()
    miner.deliver()


@pytest.mark.parametrize("write_number", range(2, 14))
def test_a_disk_that_is_full_for_one_write_stops_the_node_and_leaves_a_journal_that_can_be_read(
    tmp_path, write_number
):
    """Whoever hears of it first, a request or a miner's stream, ends; the next tick stops the node."""
    with open_journal(tmp_path / "j", DOMAIN, desks.COORDINATOR.address) as (journal, _):
        desk = Desk(journal=Disk(journal, write_number))
        with pytest.raises(JournalUnavailable, match="the disk is full"):
            do_a_whole_task(desk)
        announced = len(desk.actions)
        for event in (desk.tick, lambda: desk.place(2)):
            with pytest.raises(JournalUnavailable, match="the disk is full"):
                event()
        assert len(desk.actions) == announced
        again = Desk(journal=journal, signer=desk.signer, purse=desk.purse, market=desk.market)
        again.now_ms = desk.now_ms
        journal.load(again.engine.book)
        again.did(again.engine.resume(again.now_ms))
        order_id = (1).to_bytes(32, "big")
        miner = again.miner(0)
        miner.come()
        miner.deliver()
        assert isinstance(again.finished(order_id), Delivered)
        journal.load(Book(DOMAIN))


def test_a_receipt_outlives_epochs_that_end_while_its_task_is_live(tmp_path):
    with open_journal(tmp_path / "j", DOMAIN, desks.COORDINATOR.address) as (journal, _):
        desk = Desk(journal=journal)
        slow = desk.place(1)
        miner = desk.miner(0)
        miner.come()
        for number in (8, 9, 10):
            desk.market.view = View(
                DOMAIN, {number - 1: epoch_view(number - 1), number: epoch_view(number)}, TERMS
            )
            order_id = desk.place(number)
            desk.did(desk.engine.cancel(order_id, "enough", desk.now_ms))
        miner.deliver()
        assert isinstance(desk.finished(slow), Delivered)
        assert journal.ended.find(slow).receipt == desk.finished(slow).receipt
        assert journal.ended.find(slow).delivered.output == png()


def test_attack_a_miner_comes_and_leaves_so_that_the_chain_is_asked_again_and_again():
    desk = Desk(miners=MINERS[:1])
    desk.purse.knows = lambda _: False
    desk.place()
    for _ in range(5):
        miner = desk.miner(0)
        miner.come()
        miner.lose()
    assert len(desk.of(AskChain)) == 1
    miner = desk.miner(0)
    miner.come()
    desk.purse.knows = lambda _: True
    desk.did(desk.engine.chain_answered(miner.key.address, "", desk.now_ms))
    assert miner.replies == ["INPUT"]


def test_attack_a_miner_sends_something_now_and_then_and_holds_its_turn():
    desk = Desk()
    desk.place()
    first, second = desk.miner(0), desk.miner(1)
    first.come()
    left_ms = desk.announced().message.deadline_ms - desk.now_ms
    for _ in range(left_ms // 2_000 + 1):
        if first.replies[-1].startswith("CLOSE"):
            break
        desk.tick(2_000)
        first.index or first.chunk(ChunkKind.PROGRESS, 0)
        desk.engine.book.tasks[first.task.digest].live_task.turns[0].heard_at_ms = desk.now_ms
    assert first.replies[-1] == "CLOSE it took half of the time, and others are left"
    assert desk.now_ms < desk.announced().message.deadline_ms - left_ms // 3
    second.come()
    assert second.replies == ["INPUT"]


def test_attack_output_before_all_units_were_shown_fills_the_memory():
    desk = Desk()
    desk.place()
    miner = desk.miner(0)
    miner.come()
    miner.chunk(ChunkKind.OUTPUT_PART, 0, bytes(1000))
    assert miner.replies[-1] == "CLOSE it broke the protocol: output before all units were shown"


def test_attack_more_output_than_such_a_picture_can_have_fills_the_memory():
    desk = Desk()
    desk.place()
    miner = desk.miner(0)
    miner.come()
    miner.show(STEPS)
    miner.chunk(ChunkKind.OUTPUT_PART, STEPS, bytes(CHUNK_BYTES_MAX))
    assert miner.replies[-1] == "CLOSE it broke the protocol: output is too long"
