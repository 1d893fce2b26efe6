"""What is set aside for auditors: from the draw until nobody can earn it, and never more than is held."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.coordinator import audit_reserve
from node.coordinator.actions import Failure
from node.coordinator.audit_reserve import AuditReserve
from node.coordinator.engine import CoordinatorEngine
from node.coordinator.ports import MemoryPurse
from node.coordinator.records import FailureKind
from node.pay.purse import DepositUsedUp
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.audit import Audits
from protocol.audit_pay import reserve_wei
from protocol.rules.view import View
from tests.node.coordinator.desk import COORDINATOR, MINERS, PARAMETERS, REQUEST, Desk
from tests.protocol import builders
from tests.protocol.builders import COMMITTED, TASK
from tests.protocol.strategies import lawful

DEADLINE_MS = TASK.message.deadline_ms
PRICE_WEI = TASK.message.price_micro_cai * WEI_PER_MICRO_CAI
RESERVED_WEI = reserve_wei(PRICE_WEI, TASK.message.work.units, Audits.PUBLIC)
UNSELECTING = next(
    one for one in map(builders.block, map(str, range(1_000))) if not builders.audit(one).is_selected
)


@pytest.fixture
def purse():
    return MemoryPurse(COORDINATOR.address, 10**24)


@pytest.fixture
def reserve(purse):
    made = AuditReserve(purse, lambda _: True)
    made.hold(TASK.digest, TASK.message)
    return made


def view(**changes):
    return dataclasses.replace(builders.view(), **changes)


def test_until_the_work_is_there_and_its_dice_are_known_it_stays(purse, reserve):
    assert purse.held_wei == RESERVED_WEI > 0
    reserve.look(view(beacons={DEADLINE_MS: UNSELECTING}), DEADLINE_MS)
    reserve.delivered(TASK.digest, COMMITTED)
    for unknown in (view(beacons={}), view(epochs={}), view()):
        reserve.look(unknown, DEADLINE_MS)
    assert purse.held_wei == RESERVED_WEI


def test_work_that_the_dice_leave_out_has_no_auditors_to_pay(purse, reserve):
    reserve.delivered(TASK.digest, COMMITTED)
    reserve.look(view(beacons={DEADLINE_MS: UNSELECTING}), DEADLINE_MS)
    assert (purse.held_wei, len(reserve)) == (0, 0)


def test_when_no_verdict_counts_any_more_it_is_free(purse, reserve):
    reserve.delivered(TASK.digest, COMMITTED)
    ends_ms = builders.AUDIT_TERMS.ends_at_ms(DEADLINE_MS)
    reserve.look(view(), ends_ms - 1)
    assert purse.held_wei == RESERVED_WEI
    reserve.look(view(), ends_ms)
    assert purse.held_wei == 0


def test_what_one_verdict_earns_is_free_to_be_promised_and_no_more_than_is_held(purse, reserve):
    reserve.take(TASK.digest, RESERVED_WEI // 2)
    assert purse.held_wei == RESERVED_WEI - RESERVED_WEI // 2
    reserve.take(TASK.digest, RESERVED_WEI)
    reserve.take(bytes(32), 5)
    reserve.release(TASK.digest)
    assert purse.held_wei == 0


def test_for_what_is_not_paid_nothing_is_set_aside(purse):
    kept = dataclasses.replace(TASK.message, audits=Audits.BUYER_ONLY)
    free = dataclasses.replace(TASK.message, price_micro_cai=0)
    reserve = AuditReserve(purse, lambda _: True)
    for task in (kept, free):
        reserve.hold(TASK.digest, task)
    AuditReserve(purse).hold(TASK.digest, TASK.message)
    assert (purse.held_wei, len(reserve), AuditReserve(purse).needed_wei(REQUEST, 10**6)) == (0, 0, 0)


def test_for_no_more_tasks_than_the_bound_something_is_set_aside(purse, monkeypatch):
    monkeypatch.setattr(audit_reserve, "TASKS_MAX", 2)
    reserve = AuditReserve(purse, lambda _: True)
    for number in range(3):
        reserve.hold(bytes([number]) * 32, TASK.message)
    assert (len(reserve), purse.held_wei) == (2, 2 * RESERVED_WEI)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["hold", "delivered", "release", "take", "look", "over"]),
        st.integers(0, 3),
        st.integers(0, 2 * RESERVED_WEI),
    ),
    max_size=40,
)


@lawful
@given(EVENTS)
def test_whatever_comes_as_much_is_held_as_is_set_aside_and_all_of_it_is_free_in_the_end(events):
    purse = MemoryPurse(COORDINATOR.address, 10**24)
    reserve = AuditReserve(purse, lambda _: True)
    seen = set()
    for kind, number, wei in events:
        task_id = bytes([number]) * 32
        match kind:
            case "hold" if task_id not in seen:
                seen.add(task_id)
                reserve.hold(task_id, TASK.message)
            case "delivered":
                reserve.delivered(task_id, COMMITTED)
            case "release":
                reserve.release(task_id)
            case "take":
                reserve.take(task_id, wei)
            case "look":
                reserve.look(builders.view(), DEADLINE_MS)
            case "over":
                reserve.look(builders.view(), builders.AUDIT_TERMS.ends_at_ms(DEADLINE_MS))
        assert purse.held_wei == sum(held.wei for held in reserve._held.values())
        assert 0 <= purse.held_wei <= len(reserve) * RESERVED_WEI
    for number in range(4):
        reserve.release(bytes([number]) * 32)
    assert purse.held_wei == 0


class Payer(Desk):
    """A desk whose coordinator pays auditors."""

    def new_engine(self):
        self.reserve = AuditReserve(self.purse, lambda _: True)
        salt = lambda: next(self.salts).to_bytes(32, "big")  # noqa: E731 - as the desk's own
        return CoordinatorEngine(
            PARAMETERS, self.market, self.signer, self.purse, self.journal, salt, self.reserve
        )

    @property
    def price_wei(self):
        return self.announced().message.price_micro_cai * WEI_PER_MICRO_CAI

    @property
    def reserved_wei(self):
        return reserve_wei(self.price_wei, REQUEST.work.units, Audits.PUBLIC)


def test_price_and_auditors_are_set_aside_when_a_task_is_announced():
    desk = Payer()
    order_id = desk.place()
    assert desk.purse.held_wei == desk.price_wei + desk.reserved_wei
    desk.engine.cancel(order_id, "the app went away", desk.now_ms)
    assert desk.purse.held_wei == 0


def test_a_deposit_that_covers_the_price_alone_announces_nothing():
    rich = Payer()
    rich.place()
    enough_wei = rich.price_wei + rich.reserved_wei
    Payer(deposit_wei=enough_wei).place()
    with pytest.raises(DepositUsedUp):
        Payer(deposit_wei=enough_wei - 1).place()


def test_when_work_is_delivered_only_its_auditors_pay_is_left_aside():
    desk = Payer(miners=MINERS[:1])
    order_id = desk.place()
    miner = desk.miner(0)
    miner.come()
    miner.deliver()
    assert desk.finished(order_id) is not None
    assert not isinstance(desk.finished(order_id), Failure)
    assert desk.purse.held_wei == desk.reserved_wei
    desk.reserve.look(View(desk.market.view.domain, {}, desk.market.view.terms), 1 << 60)
    assert desk.purse.held_wei == 0


def test_an_order_that_fails_leaves_nothing_aside():
    desk = Payer()
    order_id = desk.place()
    order = desk.engine.book.orders[order_id]
    desk.did(desk.engine.fail(order, FailureKind.CANCELLED, "enough", desk.now_ms))
    assert (desk.purse.held_wei, len(desk.reserve)) == (0, 0)


def test_after_a_restart_as_much_is_set_aside_as_before():
    desk = Payer()
    desk.place()
    before_wei = desk.purse.held_wei
    desk.purse.held_wei = 0
    book = desk.engine.book
    desk.engine = desk.new_engine()
    desk.engine.book.orders.update(book.orders)
    desk.engine.book.tasks.update(book.tasks)
    desk.did(desk.engine.resume(desk.now_ms))
    assert desk.purse.held_wei == before_wei
