"""The coordinator's engine after a restart: what was drawn, signed and promised stands; nothing is done
twice."""

from dataclasses import replace

import pytest

from node.coordinator.actions import Call, Failure, Publish
from node.coordinator.drawing import NotReady
from node.coordinator.engine import BUSY_RETRY_MS
from node.coordinator.outcomes import Delivered
from node.coordinator.records import FailureKind, TaskDrawn
from node.signing.guard import AlreadySigned
from protocol.messages import NO_TASK, ChunkKind, DeclineKind, TaskAnnouncement
from protocol.rules.view import View
from protocol.statement import open_statement
from tests.node.coordinator.desk import DOMAIN, MINERS, PARAMETERS, STEPS, TERMS, Desk, Miner, epoch_view

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


def half_done(desk):
    """An order whose first miner was paid for two units, after all head starts."""
    order_id, first = desk.place(), desk.miner(0)
    first.come()
    for unit in range(1, 3):
        desk.tick(PARAMETERS.progress_timeout_ms - 100)
        first.chunk(ChunkKind.PROGRESS, unit)
    assert desk.now_ms > desk.announced().message.announced_at_ms + 3 * TERMS.head_start_ms
    return order_id, first


def finish(again, order_id, first):
    """The same miner comes back to the same task, and is paid for the rest alone."""
    assert again.announced().encoded == first.task.encoded
    back = again.miner(0)
    back.come()
    back.deliver()
    assert isinstance(again.finished(order_id), Delivered)
    assert sum(again.purse.promised_wei.values()) == PRICE_WEI


def test_attack_the_chain_is_silent_when_a_node_comes_back_to_paid_work(desk):
    order_id, first = half_done(desk)
    desk.market.not_ready = "the chain has not answered for 3 s"
    again = restarted(desk)
    again.tick(TERMS.head_start_ms)
    finish(again, order_id, first)


def test_attack_the_chain_is_silent_when_a_node_comes_back_and_nobody_has_begun(desk):
    order_id = desk.place()
    desk.now_ms += 3 * TERMS.head_start_ms
    desk.market.not_ready = "the chain has not answered for 3 s"
    again = restarted(desk)
    again.tick(TERMS.head_start_ms - 1)
    assert again.finished(order_id) is None
    again.tick(1)
    assert again.finished(order_id) == Failure(FailureKind.NO_MINER, "the chain has not answered for 3 s")


def test_attack_an_epoch_has_begun_since_and_the_old_announcement_is_not_taken_again(desk):
    """A node that comes back knows the latest epoch alone; its rule refuses what it has signed before."""
    order_id, first = half_done(desk)
    again = restarted(desk)
    called = [action.miner for action in again.of(Call)]
    again.did(again.engine.publish_failed(first.task.digest, "epoch is not known", again.now_ms))
    assert called == [first.key.address]
    finish(again, order_id, first)


def test_when_no_miner_comes_back_to_an_announcement_that_is_not_taken_again_it_is_drawn_anew(desk):
    order_id, first = half_done(desk)
    again = restarted(desk)
    again.did(again.engine.publish_failed(first.task.digest, "epoch is not known", again.now_ms))
    for _ in range(2 * PARAMETERS.progress_timeout_ms // 100):
        again.tick()
    assert again.announced().digest != first.task.digest
    assert again.finished(order_id) is None


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


def restarted_without_offers(desk):
    """An order waits for a miner, and a process begins that has not heard an offer yet."""
    order_id = desk.place()
    for rank in range(3):
        desk.miner(rank).decline(DeclineKind.BUSY, "all slots are taken")
    offered, desk.market.offered = desk.market.offered, {}
    again = restarted(desk)
    again.tick(BUSY_RETRY_MS)
    return order_id, again, offered


def test_after_a_restart_an_order_waits_for_the_offers_to_be_said_again(desk):
    order_id, again, offered = restarted_without_offers(desk)
    assert again.finished(order_id) is None
    again.market.offered = offered
    again.tick()
    assert again.announced().message.number == 1


def test_after_a_restart_it_waits_as_long_as_miners_take_to_offer_again(desk):
    order_id, again, _ = restarted_without_offers(desk)
    again.tick(PARAMETERS.offer_interval_ms - BUSY_RETRY_MS - 1)
    assert again.finished(order_id) is None
    again.tick(1)
    reason = "no miner offers this model for this right now"
    assert again.finished(order_id) == Failure(FailureKind.NO_MINER, reason)


def test_after_a_restart_a_task_that_nobody_did_is_drawn_again_when_offers_are_here(desk):
    order_id = desk.place()
    for rank in (0, 1):
        desk.miner(rank).decline(DeclineKind.NOT_HERE, "it is paused")
    offered, desk.market.offered = desk.market.offered, {}
    again = restarted(desk)
    last = next(key for key in MINERS if key.address == again.announced().message.assigned[2])
    Miner(again, last, 2, again.announced()).decline(DeclineKind.NOT_HERE, "it is paused")
    assert again.finished(order_id) is None
    again.market.offered = offered
    again.tick()
    assert again.announced().message.number == 1


def test_a_coordinator_whose_guard_is_new_or_lost_sits_out_its_epochs_and_begins_at_0(desk):
    desk.signer.may_announce_from = 10
    for epoch in (7, 8, 9):
        desk.market.view = View(DOMAIN, {epoch: epoch_view(epoch)}, TERMS)
        with pytest.raises(NotReady) as refused:
            desk.place()
        assert refused.value.reason == "this node's guard is new, so it announces nothing before epoch 10"
    desk.market.view = View(DOMAIN, {10: epoch_view(10)}, TERMS)
    desk.place()
    first = desk.announced().message
    assert (first.epoch, first.number, first.previous) == (10, 0, NO_TASK)


def test_attack_a_guard_that_knows_of_another_task_under_the_number_of_one_that_is_drawn(desk):
    """Its guard was adopted between two lives: the task is never signed, and its order is drawn again."""
    order_id = desk.place()
    signed = desk.announced()
    while not isinstance(desk.journal.records[-1], TaskDrawn):
        desk.journal.records.pop()
    other = replace(signed.message, deadline_ms=signed.message.deadline_ms + 1)
    desk.signer.signed.clear()
    desk.signer.seal(other)
    again = restarted(desk)
    assert again.announced().message.number == 1
    miner = again.miner(0)
    miner.come()
    miner.deliver()
    assert isinstance(again.finished(order_id), Delivered)
    assert again.purse.held_wei == 0


def test_attack_a_new_guard_and_a_task_that_is_drawn_and_unsigned(desk):
    """The guard signs nothing for some epochs: the order ends with that reason, and the node goes on."""
    order_id = desk.place()
    while not isinstance(desk.journal.records[-1], TaskDrawn):
        desk.journal.records.pop()
    desk.signer.may_announce_from = 10
    desk.signer.signed = dict.fromkeys(desk.signer.signed, b"may have been signed")
    again = restarted(desk)
    assert again.finished(order_id) is None
    again.tick(PARAMETERS.progress_timeout_ms)
    reason = "this node's guard is new, so it announces nothing before epoch 10"
    assert again.finished(order_id) == Failure(FailureKind.NO_MINER, reason)
    assert again.purse.held_wei == 0


def test_attack_a_guard_that_signs_no_task_at_all(desk):
    """Whatever number is drawn, something was signed there: the order ends after a few attempts."""

    def refuse(_):
        raise AlreadySigned("another task was or may have been signed in this slot")

    desk.signer.seal = refuse
    order_id = desk.place()
    reason = "it cannot be announced: another task was or may have been signed in this slot"
    assert desk.finished(order_id) == Failure(FailureKind.FAILED, reason)
    assert desk.purse.held_wei == 0


def test_attack_an_order_without_a_name_is_done_for_nobody_after_a_restart(desk):
    """Its app left with the process, and nobody can ask for it: no further wei is spent on it."""
    nameless, named = desk.place(1, key=""), desk.place(2)
    miner = Miner(desk, desk.miner(0).key, 0, desk.announced())
    miner.come()
    miner.show(3)
    again = restarted(desk)
    assert list(again.engine.book.orders) == [named]
    assert again.engine.counts.orders_cancelled == 1
    assert again.purse.held_wei == again.engine.book.orders[named].live_task.reserved_wei
    late = Miner(again, miner.key, 0, open_statement(DOMAIN, desk.of(Publish)[0].data, TaskAnnouncement))
    late.come()
    assert late.replies == ["NOT_NEEDED", "CLOSE"]
    assert nameless not in again.journal.snapshots
