"""The coordinator's engine: orders end, turns go by rank, nobody is paid twice; all in memory."""

from dataclasses import replace

import pytest

from node.coordinator.actions import (
    Accuse,
    Call,
    CloseStream,
    Failure,
    PassOn,
    Publish,
    Send,
    SendInput,
    Tell,
)
from node.coordinator.arrivals import ARRIVAL_MS
from node.coordinator.drawing import NotReady
from node.coordinator.engine import BUSY_RETRY_MS, ORDERS_MAX, WAIT_MS_MAX
from node.coordinator.outcomes import Announced, Busy, Delivered, FailedOver, NoMiner, Preview, Progress
from node.coordinator.records import FailureKind, TurnEnded
from node.pay.purse import DepositUsedUp
from protocol.audit import Audits
from protocol.errors import InvalidMessage, ProtocolError, Refusal
from protocol.evidence import verify_evidence
from protocol.messages import (
    NO_TASK,
    ChunkKind,
    DeclineKind,
    PassedOver,
    ReplyKind,
    TaskAcceptance,
    TaskInput,
    TaskReply,
)
from protocol.pay import PaySchedule
from protocol.receipt import to_document, verify_document
from protocol.rules.view import View
from tests.node.coordinator.desk import (
    DOMAIN,
    MINERS,
    REQUEST,
    STEPS,
    TERMS,
    Desk,
    Market,
    Miner,
    epoch_view,
    png,
    sealed,
)

PRICE_WEI = 8 * 8 * STEPS * 10**15
RECEIVED = TaskReply(ReplyKind.RECEIVED, b"", "").encode()


@pytest.fixture
def desk():
    return Desk()


def test_the_announcement_says_what_the_app_wants_of_audits(desk):
    desk.place(request=replace(REQUEST, audits=Audits.BUYER_ONLY))
    assert desk.announced().message.audits == Audits.BUYER_ONLY


def test_a_whole_task(desk):
    order_id = desk.place()
    miner = desk.miner(0)
    miner.come()
    miner.deliver()
    outcome = desk.finished(order_id)
    assert isinstance(outcome, Delivered)
    assert outcome.output == png()
    assert verify_document(to_document(outcome.receipt)).matches(png())
    assert miner.replies[0] == "INPUT"
    assert miner.replies[-2:] == ["RECEIVED", "CLOSE"]
    # Everybody hears of the commitment before the miner does that it was received.
    passed_on, *rest = desk.actions[desk.actions.index(PassOn(outcome.receipt.commitment.encoded)) :]
    assert rest[:2] == [Send(miner.stream_id, (RECEIVED,)), CloseStream(miner.stream_id)]
    assert desk.of(PassOn) == [passed_on]
    assert miner.vouchers[-1].task_wei == PRICE_WEI
    assert desk.purse.promised_wei == {miner.key.address: PRICE_WEI}
    assert desk.purse.held_wei == 0
    assert not desk.engine.book.orders
    assert not desk.engine.book.tasks


def test_what_the_app_hears(desk):
    desk.place()
    miner = desk.miner(0)
    miner.come()
    miner.chunk(ChunkKind.PROGRESS, 1)
    miner.chunk(ChunkKind.PREVIEW, 1, png())
    told = [action.event for action in desk.of(Tell)]
    assert told == [
        Announced(miner.task.digest, miner.task.message.assigned),
        Progress(miner.key.address, 1, STEPS),
        Preview(1, png()),
    ]


def test_the_input_is_the_announced_one(desk):
    desk.place()
    desk.miner(0).come()
    (sent,) = desk.of(SendInput)
    assert TaskInput.decode(sent.input).commitment() == desk.announced().message.input_commitment
    assert TaskInput.decode(sent.input).sealed.prompts == REQUEST.prompts


def test_numbers_have_no_gaps_and_name_their_predecessors(desk):
    for number in range(1, 4):
        desk.place(number)
    tasks = [desk.engine.book.tasks[action.task_id].live_task.statement for action in desk.of(Publish)]
    assert [task.message.number for task in tasks] == [0, 1, 2]
    assert [task.message.previous for task in tasks] == [NO_TASK, tasks[0].digest, tasks[1].digest]


def test_an_epochs_first_task_names_the_last_of_the_epoch_before(desk):
    desk.place()
    first = desk.announced()
    desk.market.view = View(DOMAIN, {7: epoch_view(7), 8: epoch_view(8)}, TERMS)
    desk.place(2)
    assert (desk.announced().message.epoch, desk.announced().message.number) == (8, 0)
    assert desk.announced().message.previous == first.digest
    desk.market.view = View(DOMAIN, {9: epoch_view(9), 10: epoch_view(10)}, TERMS)
    desk.place(3)
    assert (desk.announced().message.number, desk.announced().message.previous) == (0, NO_TASK)


def test_failover_calls_the_next_and_gives_it_the_whole_price(desk):
    order_id = desk.place()
    first, second = desk.miner(0), desk.miner(1)
    first.come()
    first.show(5)
    first.lose()
    assert [action.miner for action in desk.of(Call)] == [second.key.address]
    second.come()
    assert second.replies == ["INPUT"]
    second.deliver()
    assert isinstance(desk.finished(order_id), Delivered)
    paid_wei = PaySchedule(PRICE_WEI, 0, STEPS).due_wei(4)  # two units a slice: the fifth was on credit
    assert dict(desk.purse.promised_wei) == {first.key.address: paid_wei, second.key.address: PRICE_WEI}
    assert desk.purse.held_wei == 0
    reasons = [action.event.reason for action in desk.of(Tell) if isinstance(action.event, FailedOver)]
    assert reasons == ["its stream ended"]


def test_a_silent_miner_is_lost_when_its_time_is_over(desk):
    desk.place()
    first = desk.miner(0)
    first.come()
    desk.tick(4_999)
    assert not desk.of(CloseStream)
    desk.tick(1)
    assert first.replies[-1] == "CLOSE it was silent for 5 s"
    assert [action.miner for action in desk.of(Call)] == [desk.miner(1).key.address]


def test_a_called_miner_that_does_not_come_is_passed(desk):
    desk.place()
    first, second, third = (desk.miner(rank) for rank in range(3))
    first.come()
    first.lose()
    desk.tick(ARRIVAL_MS)
    assert [action.miner for action in desk.of(Call)] == [second.key.address, third.key.address]
    second.come()  # late, and nobody else is here
    assert second.replies == ["INPUT"]


def test_a_drawn_miner_that_has_not_come_by_its_time_is_passed(desk):
    order_id = desk.place()
    desk.tick(TERMS.head_start_ms)
    desk.tick()
    second = desk.miner(1)
    second.come()
    assert second.replies == ["INPUT"]
    second.deliver()
    assert isinstance(desk.finished(order_id), Delivered)


def test_attack_a_third_ranked_miner_dials_at_once(desk):
    desk.place()
    first, third = desk.miner(0), desk.miner(2)
    third.come()
    assert third.replies == []
    desk.tick(2 * TERMS.head_start_ms - 100)
    assert third.replies == []
    first.come()
    first.deliver()
    assert third.replies == ["NOT_NEEDED", "CLOSE"]


def test_attack_a_third_ranked_miner_waits_for_its_own_time_when_the_first_is_silent(desk):
    desk.place()
    second, third = desk.miner(1), desk.miner(2)
    third.come()
    desk.tick(TERMS.head_start_ms)  # the first is passed, the second is due
    second.come()
    assert (second.replies, third.replies) == (["INPUT"], [])


def test_who_waits_is_given_the_turn_when_everybody_before_it_is_out(desk):
    desk.place()
    first, second, third = (desk.miner(rank) for rank in range(3))
    third.come()
    first.decline(DeclineKind.NOT_HERE)
    second.decline(DeclineKind.NOT_HERE)
    assert third.replies == ["INPUT"]


def test_an_order_that_all_refuse_ends_at_once_in_the_miners_words(desk):
    order_id = desk.place()
    for rank in range(3):
        desk.miner(rank).decline(DeclineKind.NOBODY, "the prompt is too long")
    outcome = desk.finished(order_id)
    assert outcome == Failure(FailureKind.REFUSED, "miners refuse this: the prompt is too long")
    assert desk.purse.held_wei == 0


def test_each_miner_is_called_when_the_one_before_it_declines(desk):
    desk.place()
    for rank in range(2):
        desk.miner(rank).decline(DeclineKind.NOT_HERE)
        assert desk.of(Call)[-1].miner == desk.miner(rank + 1).key.address


def test_an_order_is_drawn_again_while_there_are_miners_that_have_not_tried(desk):
    order_id = desk.place()
    first_task = desk.announced().digest
    tried = {desk.miner(rank).key.address for rank in range(3)}
    for rank in range(3):
        desk.miner(rank).decline(DeclineKind.NOT_HERE, "out of memory")
    assert desk.finished(order_id) is None
    assert desk.announced().digest != first_task
    assert not tried & set(desk.announced().message.assigned)
    for rank in range(2):
        desk.miner(rank).decline(DeclineKind.NOT_HERE, "out of memory")
    assert desk.finished(order_id) == Failure(
        FailureKind.FAILED, "none of the 2 drawn miners did it: out of memory"
    )


def test_the_old_task_answers_not_needed_when_an_order_was_drawn_again(desk):
    desk.place()
    late = desk.miner(2)
    for rank in range(3):
        desk.miner(rank).decline(DeclineKind.NOT_HERE)
    assert desk.announced().digest != late.task.digest
    late.stream_id = 999
    late.come()
    assert late.replies == ["NOT_NEEDED", "CLOSE"]


def test_busy_miners_do_not_fail_an_order(desk):
    order_id = desk.place()
    for _ in range(5):
        for rank in range(3):
            desk.miner(rank).decline(DeclineKind.BUSY, "its slots are taken")
        assert desk.finished(order_id) is None
        desk.tick(BUSY_RETRY_MS)
    desk.miner(0).come()
    desk.actions.clear()


def test_a_miner_gets_no_more_tasks_than_it_offers_to_take(desk):
    for number in range(1, 8):
        desk.place(number)
    assert len(desk.engine.book.tasks) == len(MINERS)  # each awaits one; two orders wait
    expected = [order.live_task.turns[0].miner for order in desk.engine.book.tasks.values()]
    assert len(set(expected)) == len(MINERS)
    reasons = {place.passed_over for place in desk.announced().message.ranking}
    assert reasons <= {PassedOver.BUSY, PassedOver.ASSIGNED}


def test_a_short_order_does_not_wait_behind_a_long_one(desk):
    desk.place(1)
    long = desk.miner(0)
    long.come()
    desk.place(2)
    short = desk.miner(0)
    assert short.key.address != long.key.address
    short.come()
    assert short.replies == ["INPUT"]


def test_waiting_orders_go_when_a_miner_is_free_again():
    desk = Desk(miners=MINERS[:1])
    first, second = desk.place(1), desk.place(2)
    miner = desk.miner(0)
    miner.come()
    miner.deliver()
    assert isinstance(desk.finished(first), Delivered)
    assert desk.announced().digest != miner.task.digest
    again = desk.miner(0)
    again.come()
    again.deliver()
    assert isinstance(desk.finished(second), Delivered)


def test_an_order_that_waits_too_long_ends_with_its_reason():
    desk = Desk(miners=MINERS[:1])
    desk.place(1)
    waiting = desk.place(2)
    for _ in range(11):
        miner = desk.miner(0)
        if miner.task.message.deadline_ms > desk.now_ms:
            miner.come()
        desk.tick(WAIT_MS_MAX // 10)
    assert desk.finished(waiting) is not None


def test_a_task_ends_at_its_deadline_with_what_miners_said(desk):
    order_id = desk.place()
    task = desk.announced().message
    desk.miner(0).decline(DeclineKind.NOT_HERE, "the worker was lost")
    second = desk.miner(1)
    second.come()
    while desk.now_ms < task.deadline_ms - 1_000:
        desk.tick(1_000)
        second.chunk(ChunkKind.PROGRESS, 1) if second.index < 3 else None
        if second.replies[-1].startswith("CLOSE"):
            break
    desk.tick(task.deadline_ms - desk.now_ms)
    outcome = desk.finished(order_id)
    assert outcome.kind in (FailureKind.EXPIRED, FailureKind.FAILED)
    assert "the worker was lost" in outcome.reason


def test_deadlines_follow_the_work(desk):
    desk.place()
    short_ms = desk.announced().message.deadline_ms - desk.now_ms
    desk.place(2, replace(REQUEST, typical_permille=10_000))
    long_ms = desk.announced().message.deadline_ms - desk.now_ms
    assert short_ms < long_ms <= TERMS.life_ms_max
    assert long_ms - short_ms == 2 * 3 * 400 * 9 or long_ms - short_ms == 3 * 3 * 400 * 9


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        (lambda market: market.offered.clear(), NoMiner, "no miner offers this model for this right now"),
        (
            lambda market: setattr(market, "not_ready", "this node's clock is 3.0 s fast"),
            NotReady,
            "this node's clock is 3.0 s fast",
        ),
        (
            lambda market: setattr(market, "view", View(DOMAIN, {}, TERMS)),
            NotReady,
            "the chain has no epoch seed yet",
        ),
    ],
)
def test_what_cannot_be_is_said_at_once(desk, change, error, reason):
    change(desk.market)
    with pytest.raises(error) as caught:
        desk.place()
    assert caught.value.reason == reason
    assert not desk.journal.records


def test_miners_that_ask_too_much_are_passed_over_for_that(desk):
    with pytest.raises(NoMiner) as caught:
        desk.place(1, replace(REQUEST, price_max_micro_cai=1))
    assert caught.value.reason == "every miner that offers this asks for more than this coordinator pays"
    for key in MINERS[:4]:
        desk.market.offered[key.address] = Market.offer(price_wei=10**18)
    desk.place(2, replace(REQUEST, price_max_micro_cai=PRICE_WEI // 10**12))
    places = {place.miner: place.passed_over for place in desk.announced().message.ranking}
    assert desk.announced().message.assigned == (MINERS[4].address,)
    assert set(places.values()) <= {PassedOver.TOO_EXPENSIVE, PassedOver.ASSIGNED}


def test_an_empty_deposit_is_said_at_once():
    desk = Desk(deposit_wei=PRICE_WEI - 1)
    with pytest.raises(DepositUsedUp):
        desk.place()
    assert not desk.journal.records


def test_a_failover_that_cannot_be_paid_ends_the_order():
    desk = Desk(deposit_wei=PRICE_WEI)
    order_id = desk.place()
    first, second = desk.miner(0), desk.miner(1)
    first.come()
    first.show(8)
    first.lose()
    second.come()
    outcome = desk.finished(order_id)
    assert outcome.kind == FailureKind.UNPAID
    assert desk.purse.held_wei == 0


def test_orders_are_bounded(desk):
    for number in range(1, ORDERS_MAX + 1):
        desk.place(number)
    with pytest.raises(Busy) as caught:
        desk.place(ORDERS_MAX + 1)
    assert caught.value.reason == f"too many concurrent orders (limit {ORDERS_MAX})"


def test_a_cancelled_order_pays_what_was_shown_and_stops_the_work(desk):
    order_id = desk.place()
    miner = desk.miner(0)
    miner.come()
    miner.chunk(ChunkKind.PROGRESS, 1)
    desk.did(desk.engine.cancel(order_id, "the app went away", desk.now_ms))
    assert miner.replies == ["INPUT", "VOUCHER", "NOT_NEEDED", "CLOSE"]
    assert desk.purse.promised_wei[miner.key.address] == PRICE_WEI // STEPS
    assert desk.purse.held_wei == 0
    assert desk.engine.cancel(order_id, "again", desk.now_ms) == []


def test_who_takes_pay_and_gives_nothing_is_passed_over(desk):
    desk.place()
    first = desk.miner(0)
    first.come()
    first.show(8)
    first.lose()
    assert desk.engine.experience.passed_until_ms(first.key.address) == desk.now_ms + 30_000
    second = desk.miner(1)
    second.come()
    second.deliver()
    for number in range(2, 20):
        order_id = desk.place(number)
        assert first.key.address not in desk.announced().message.assigned
        desk.did(desk.engine.cancel(order_id, "enough", desk.now_ms))


def test_experience_never_leaves_fewer_miners_than_are_wanted():
    desk = Desk(miners=MINERS[:3])
    for key in MINERS[:3]:
        desk.engine.experience.note_failure(key.address, desk.now_ms)
    desk.place()
    assert len(desk.announced().message.assigned) == 3


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n", "it broke the protocol: "),
        (png(16, 16), "it broke the protocol: "),
        (png()[:-1], "it broke the protocol: "),
    ],
)
def test_attack_eight_bytes_of_signature_are_no_picture(desk, output, reason):
    order_id = desk.place()
    miner = desk.miner(0)
    miner.come()
    miner.deliver(output)
    assert desk.finished(order_id) is None
    assert miner.replies[-1].startswith(f"CLOSE {reason}")
    assert desk.engine.experience.passed_until_ms(miner.key.address)


def test_another_image_than_the_committed_one_is_evidence(desk):
    desk.place()
    miner = desk.miner(0)
    miner.come()
    miner.show(STEPS)
    miner.chunk(ChunkKind.OUTPUT_PART, STEPS, png())
    miner.say(miner.commitment(png(colour=b"\1\2\3")))
    assert len(desk.of(Accuse)) == 1


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x00", b"\x80", sealed(MINERS[0], TaskAcceptance(bytes(32), 0)) + b"\0"],
)
def test_first_payloads_that_are_nothing(desk, payload):
    desk.place()
    with pytest.raises(ProtocolError):
        desk.miner(0).open(payload)


def test_an_acceptance_by_somebody_else(desk):
    desk.place()
    miner, other = desk.miner(0), desk.miner(1)
    payload = sealed(other.key, TaskAcceptance(miner.task.digest, 1))
    with pytest.raises(InvalidMessage) as caught:
        miner.open(payload)
    assert caught.value.reason == "acceptance is signed by somebody else than the peer"


def test_an_acceptance_at_another_rank(desk):
    desk.place()
    miner = desk.miner(0)
    miner.rank = 1
    with pytest.raises(Refusal) as caught:
        miner.come()
    assert caught.value.reason == "you were not drawn for this task at this rank"


@pytest.mark.parametrize("works", [True, False])
def test_a_second_acceptance_at_another_rank_is_evidence(desk, works):
    desk.place()
    rank = 0 if works else 1
    miner = desk.miner(rank)
    miner.come()
    again = desk.miner(rank)
    again.rank = 2
    again.come()
    (accuse,) = desk.of(Accuse)
    assert verify_evidence(DOMAIN, accuse.evidence, desk.market.view.epochs).signer == miner.key.address
    assert again.replies == ["CLOSE you were not drawn for this task at this rank"]
    assert miner.replies == (["INPUT"] if works else [])


def test_a_second_stream_of_one_rank(desk):
    desk.place()
    desk.miner(0).come()
    with pytest.raises(Refusal) as caught:
        desk.miner(0).come()
    assert caught.value.reason == "this rank has a stream already"


def test_whatever_a_waiting_miner_says_but_a_decline_ends_its_turn(desk):
    desk.place()
    second = desk.miner(1)
    second.come()
    second.say(b"hello")
    assert second.replies == ["CLOSE"]
    assert isinstance(desk.journal.records[-1], TurnEnded)


def test_a_waiting_miner_that_leaves_may_come_again(desk):
    desk.place()
    second = desk.miner(1)
    second.come()
    second.lose()
    again = desk.miner(1)
    again.come()
    desk.miner(0).decline(DeclineKind.NOT_HERE)
    assert again.replies == ["INPUT"]


def test_a_miner_whose_account_is_not_known_waits_for_the_chain(desk):
    known = set()
    desk.purse.knows = known.__contains__
    desk.place()
    miner = desk.miner(0)
    miner.come()
    assert miner.replies == []
    known.add(miner.key.address)
    desk.did(desk.engine.chain_answered(miner.key.address, "", desk.now_ms))
    assert miner.replies == ["INPUT"]


def test_a_chain_that_does_not_answer_is_said(desk):
    desk.purse.knows = lambda _: False
    order_id = desk.place()
    for _ in range(5):
        for rank in range(len(desk.announced().message.assigned)):
            miner = desk.miner(rank)
            if miner.task.digest in desk.engine.book.tasks:
                miner.come()
                desk.did(desk.engine.chain_answered(miner.key.address, "the chain is silent", desk.now_ms))
    outcome = desk.finished(order_id)
    assert outcome.kind == FailureKind.FAILED
    assert "what it was paid so far is not known: the chain is silent" in outcome.reason


def test_a_miner_is_awaited_once_for_each_live_task_that_it_was_drawn_for(desk):
    assert desk.engine.streams_awaited(MINERS[0].address) == 0
    first, second = desk.place(1), desk.place(2)
    tasks = [order.live_task.message.assigned for order in desk.engine.book.tasks.values()]
    for key in MINERS:
        drawn = sum(key.address in assigned for assigned in tasks)
        assert desk.engine.streams_awaited(key.address) == drawn
    for order_id in (first, second):
        desk.engine.cancel(order_id, "enough", desk.now_ms)
    assert not any(desk.engine.streams_awaited(key.address) for key in MINERS)


def test_vouchers_keep_a_miner_a_slice_ahead(desk):
    desk.place()
    miner = desk.miner(0)
    miner.come()
    for unit in range(1, STEPS + 1):
        miner.chunk(ChunkKind.PROGRESS, unit)
    assert [voucher.task_wei * STEPS // PRICE_WEI for voucher in miner.vouchers] == list(
        range(2, STEPS + 1, 2)
    )


def test_units_beyond_what_is_paid_end_the_turn(desk):
    desk.place()
    miner = desk.miner(0)
    miner.come()
    miner.chunk(ChunkKind.PROGRESS, 3)
    assert miner.replies[-1] == "CLOSE it broke the protocol: units are beyond what is paid for"


def test_streams_that_are_not_known_say_nothing(desk):
    stray = Miner(desk, MINERS[0], 0, None)
    assert stray.say(b"anything") == []
    assert stray.lose() == []
    assert not desk.of(Send)
