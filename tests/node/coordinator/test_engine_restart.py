"""The coordinator's engine after a restart: what was drawn, signed and promised stands; nothing is done
twice."""

import pytest

from node.coordinator.outcomes import Delivered
from node.coordinator.records import TaskDrawn
from protocol.messages import TaskAnnouncement
from tests.node.coordinator.desk import STEPS, Desk

PRICE_WEI = 8 * 8 * STEPS * 10**15


@pytest.fixture
def desk():
    return Desk()


def restarted(desk):
    again = Desk(journal=desk.journal, signer=desk.signer, purse=desk.purse, market=desk.market)
    again.now_ms, again.salts, again.streams = desk.now_ms, desk.salts, desk.streams
    again.purse.held_wei = 0
    for record in desk.journal.records:
        again.engine.book.apply(record)
    again.did(again.engine.resume(again.now_ms))
    return again


def test_a_restart_goes_on_under_the_same_words(desk):
    order_id = desk.place()
    first = desk.miner(0)
    first.come()
    first.show(5)
    again = restarted(desk)
    assert again.announced().encoded == first.task.encoded
    back = again.miner(0)
    back.come()
    assert back.replies[:2] == ["VOUCHER", "INPUT"]  # the last one may have been lost
    back.deliver()
    assert isinstance(again.finished(order_id), Delivered)
    assert again.purse.promised_wei[first.key.address] == PRICE_WEI
    assert again.purse.held_wei == 0


def test_a_restart_between_drawing_and_signing_signs_what_was_drawn(desk):
    desk.place()
    first = desk.announced()
    while not isinstance(desk.journal.records[-1], TaskDrawn):
        desk.journal.records.pop()
    again = restarted(desk)
    assert again.announced().encoded == first.encoded


def test_a_restart_between_writing_a_promise_and_making_it(desk):
    desk.place()
    miner = desk.miner(0)
    miner.come()
    miner.show(2)
    promised_wei = desk.purse.promised_wei[miner.key.address]
    desk.purse.promised_wei[miner.key.address] = 0  # written down, and then the power went
    again = restarted(desk)
    assert again.purse.promised_wei[miner.key.address] == promised_wei


def test_an_announcement_that_no_peer_takes_any_more_is_drawn_again(desk):
    desk.place()
    task = desk.announced()
    desk.did(desk.engine.publish_failed(task.digest, "task is over", desk.now_ms))
    assert desk.announced().digest != task.digest
    assert TaskAnnouncement.decode(desk.announced().message.encode()).number == 1
