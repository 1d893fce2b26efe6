"""Laws of the coordinator's engine, whatever miners, apps and the clock do."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from node.coordinator.actions import Finish, Publish
from node.coordinator.engine import WAIT_MS_MAX
from node.coordinator.orders import Book, snapshot_of
from protocol.errors import ProtocolError, Refusal
from protocol.messages import ChunkKind, DeclineKind, TaskAnnouncement
from protocol.statement import open_statement
from tests.node.coordinator.desk import DOMAIN, MINERS, STEPS, Desk, Miner, png
from tests.protocol.strategies import lawful

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
            case _ if desk.of(Publish):
                with contextlib.suppress(ProtocolError, Refusal):
                    self.act(name, self.miner(which, who), which)

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
            case "stranger":
                other = next(key for key in MINERS if key.address != miner.key.address)
                Miner(self.desk, other, miner.rank, miner.task).come()


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
