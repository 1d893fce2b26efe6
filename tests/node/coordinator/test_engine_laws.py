"""Laws of the coordinator's engine, whatever miners, apps and the clock do."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from node.coordinator.actions import Finish, Publish
from node.coordinator.engine import WAIT_MS_MAX
from node.coordinator.orders import Book
from node.coordinator.records import TaskDrawn, VoucherPromised, wei_of
from node.coordinator.snapshots import OrderSnapshot, order_of, snapshot_of
from protocol.errors import ProtocolError, Refusal
from protocol.messages import ChunkKind, DeclineKind, TaskAnnouncement
from protocol.pay import PaySchedule
from protocol.statement import open_statement
from tests.node.coordinator.desk import DOMAIN, MINERS, STEPS, Desk, Miner, png
from tests.protocol.strategies import lawful

HOUR_MS = 60 * 60 * 1000
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "place",
                "cancel",
                "tick",
                "come",
                "show",
                "deliver",
                "lose",
                "decline",
                "garbage",
                "false",
                "stranger",
                "wrong rank",
                "again",
                "foreign",
                "set clock",
                "restart",
                "new engine",
                "new guard",
                "not ready",
                "no offers",
                "unknown",
                "chain",
                "unpublished",
            ]
        ),
        st.integers(0, 5),
        st.integers(0, 4),
    ),
    max_size=60,
)


class Play:
    """A desk at which anything may happen in any order."""

    def __init__(self):
        self.desk = Desk(miners=MINERS[:4])
        self.desk.now_ms = 1_700_000_000_000
        self.offered = self.desk.market.offered
        self.orders = []
        self.miners = {}

    def step(self, name, which, who):
        desk = self.desk
        match name:
            case "place":
                with contextlib.suppress(Refusal):
                    self.orders.append(desk.place(len(self.orders) + 1))
            case "cancel" if self.orders:
                order_id = self.orders[which % len(self.orders)]
                desk.did(desk.engine.cancel(order_id, "the app went away", desk.now_ms))
            case "tick":
                desk.tick((100, 1_000, 3_000, 5_000, 30_000, 121_000)[which])
            case "restart" | "new engine" | "new guard":
                self.restart(name)
            case "set clock" | "not ready" | "no offers" | "unknown" | "chain":
                self.around(name, which, who)
            case _ if desk.of(Publish):
                with contextlib.suppress(ProtocolError, Refusal):
                    self.act(name, self.miner(which, who), which)

    def around(self, name, which, who):
        """Something changes around the engine."""
        desk, market, miner = self.desk, self.desk.market, MINERS[who % 4].address
        match name:
            case "set clock":
                market.ahead += (-HOUR_MS, HOUR_MS, -400, 400, -9 * HOUR_MS, 1)[which]
            case "not ready":
                market.not_ready = None if which % 2 else "the chain does not answer"
            case "no offers":
                market.offered = self.offered if which % 2 else {}
            case "unknown":
                known = set(MINERS) if which % 2 else set()
                desk.purse.knows = lambda one: any(one == key.address for key in known)
            case "chain":
                desk.did(desk.engine.chain_answered(miner, "it is silent" * (which % 2), desk.now_ms))

    def restart(self, name):
        """The process ends, and another reads the journal, in one of three ways."""
        desk = self.desk
        again = Desk(journal=desk.journal, signer=desk.signer, purse=desk.purse, market=desk.market)
        again.now_ms, again.salts, again.streams = desk.now_ms, desk.salts, desk.streams
        again.now_ms, again.market.ahead = again.now_ms + again.market.ahead, 0
        again.actions = desk.actions
        again.purse.held_wei = 0
        self.miners.clear()
        if name == "new guard":
            again.signer.signed = dict.fromkeys(again.signer.signed, b"may have been signed")
        if name == "new engine":
            for snapshot in list(again.journal.snapshots.values()):
                again.engine.book.take_over(order_of(OrderSnapshot.decode(snapshot.encode()), DOMAIN))
        else:
            for record in again.journal.records:
                again.engine.book.apply(record)
        self.desk = again
        again.did(again.engine.resume(again.now_ms))

    def miner(self, which, who):
        """One of the assigned of one of the announced tasks, on the stream that it has."""
        published = self.desk.of(Publish)
        task = open_statement(DOMAIN, published[which % len(published)].data, TaskAnnouncement)
        rank = who % len(task.message.assigned)
        key = next(key for key in MINERS if key.address == task.message.assigned[rank])
        place = task.digest, rank
        if place not in self.miners:
            self.miners[place] = Miner(self.desk, key, rank, task)
        return self.miners[place]

    def act(self, name, miner, which):
        match name:
            case "come":
                miner.stream_id, miner.index = next(self.desk.streams), 0
                miner.come()
            case "show":
                miner.chunk(ChunkKind.PROGRESS, min(STEPS, miner.index + 1))
            case "deliver":
                for unit in range(miner.index + 1, STEPS + 1):
                    miner.chunk(ChunkKind.PROGRESS, unit)
                miner.chunk(ChunkKind.OUTPUT_PART, STEPS, png())
                miner.say(miner.commitment(png()))
            case "lose":
                miner.lose()
            case "decline":
                miner.decline(DeclineKind(which % 3), "not now", first=bool(which % 2))
            case "garbage":
                miner.say(bytes([which]) * which)
            case "false":
                miner.say(miner.commitment(png(), output_hash=bytes(32)))
            case _:
                self.err(name, miner)

    def err(self, name, miner):
        """Something that no honest miner does, or an announcement that nobody takes."""
        desk = self.desk
        match name:
            case "wrong rank":
                Miner(desk, miner.key, (miner.rank + 1) % 3, miner.task).come()
            case "again":
                miner.index = max(0, miner.index - 1)
                miner.chunk(ChunkKind.PROGRESS, min(STEPS, miner.index + 1))
            case "foreign":
                miner.chunk(ChunkKind.PROGRESS, miner.index + 1, task_id=bytes(32))
            case "unpublished":
                desk.did(desk.engine.publish_failed(miner.task.digest, "no longer", desk.now_ms))
            case "stranger":
                other = next(key for key in MINERS if key.address != miner.key.address)
                Miner(desk, other, miner.rank, miner.task).come()


@settings(lawful, max_examples=120)
@given(EVENTS)
def test_every_order_ends_once_and_all_that_was_set_aside_is_free_again(events):
    play = Play()
    for event in events:
        play.step(*event)
        assert play.desk.purse.held_wei >= 0
    desk = play.desk
    for _ in range(12):
        desk.tick(WAIT_MS_MAX // 4)
    assert not desk.engine.book.orders
    assert not desk.engine.book.tasks
    assert desk.purse.held_wei == 0
    ended = [action.order_id for action in desk.of(Finish)]
    assert len(set(ended)) == len(ended)
    assert set(ended) <= set(play.orders)


@settings(lawful, max_examples=60)
@given(EVENTS)
def test_nobody_is_promised_more_than_was_written_down_and_more_than_the_price(events):
    play = Play()
    for event in events:
        play.step(*event)
    promised, tasks = {}, {}
    for record in play.desk.journal.records:
        match record:
            case TaskDrawn():
                tasks[record.order_id] = TaskAnnouncement.decode(record.body)
            case VoucherPromised():
                task = tasks[record.order_id]
                promised[task, task.assigned[record.rank]] = wei_of(record.task_wei)
                assert wei_of(record.task_wei) <= PaySchedule.of_task(task).price_wei
    wei = dict.fromkeys((key.address for key in MINERS), 0)
    for (_, miner), task_wei in promised.items():
        wei[miner] += task_wei
    assert {miner: play.desk.purse.promised_wei[miner] for miner in wei} == wei


@settings(lawful, max_examples=120)
@given(EVENTS)
def test_the_records_give_the_state_again(events):
    play = Play()
    for event in events:
        play.step(*event)
    book = Book(DOMAIN)
    for record in play.desk.journal.records:
        book.apply(record)
    live = play.desk.engine.book
    assert book.orders.keys() == live.orders.keys()
    for order_id, order in book.orders.items():
        replayed, known = snapshot_of(order), snapshot_of(live.orders[order_id])
        assert play.desk.journal.snapshots[order_id].order_id == order_id
        # That nobody waits for a miner any more is no record: after a restart it is waited for again.
        states = [turn.state.replace("passed", "awaited") for turn in known.turns]
        assert [turn.state for turn in replayed.turns] == states
        assert replayed.announcement == known.announcement
        assert [turn.paid for turn in replayed.turns] == [turn.paid for turn in known.turns]
        assert (replayed.state, replayed.task_state, replayed.reserved) == (
            known.state,
            known.task_state,
            known.reserved,
        )


@settings(lawful, max_examples=60)
@given(EVENTS)
def test_a_number_has_one_body_and_an_order_one_live_task(events):
    play = Play()
    for event in events:
        play.step(*event)
        live = [order.live_task.task_id for order in play.desk.engine.book.tasks.values()]
        assert len(set(live)) == len(live)
    bodies = {}
    for action in play.desk.of(Publish):
        task = open_statement(DOMAIN, action.data, TaskAnnouncement).message
        assert bodies.setdefault((task.epoch, task.number), task) == task
