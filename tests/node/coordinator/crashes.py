"""A run of three orders that is killed at any write to disk, and goes on as often as it takes.

Is: an app and miners around real engines, a real journal and a real ledger. The guard's memory is a
dictionary that outlives the crash, as its file does.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from copy import copy
from dataclasses import replace
from pathlib import Path

from node.coordinator.actions import (
    AskChain,
    Call,
    CloseStream,
    Finish,
    PassOn,
    Publish,
    Send,
    SendInput,
    Tell,
)
from node.coordinator.engine import CoordinatorEngine
from node.coordinator.journal import open_journal
from node.coordinator.outcomes import Delivered, Progress
from node.coordinator.ports import MemorySigner
from node.coordinator.records import OrderPlaced
from node.pay.ledger import LEDGER_SCHEMA, Ledger
from node.pay.purse import Purse
from node.pay.vouchers import EscrowDomain
from protocol.errors import Refusal
from protocol.messages import ChunkKind, ReplyKind, TaskAcceptance, TaskAnnouncement, TaskReply
from protocol.pay import PaySchedule, SignedVoucher
from protocol.signature import sign_digest
from protocol.statement import open_statement
from protocol.work import ImageNumbers, Work, WorkKind
from tests.node.coordinator import desk as desks
from tests.node.pay.builders import FakeEscrow

ESCROW = EscrowDomain(31337, bytes(range(20, 40)))
DEPOSIT_WEI = 10**24
STEPS = 15
"""One unit a slice, so that each has a voucher of its own."""
REQUEST = replace(
    desks.REQUEST,
    work=Work.image(WorkKind.TEXT_TO_IMAGE, desks.SIDE, desks.SIDE, STEPS),
    numbers=ImageNumbers(7, 4_000, STEPS).encode(),
)
FAILS_ONCE_AT = 5
"""The first miner that works on the first order is lost after so many units."""


class Killed(BaseException):
    """The process is gone."""


class Killer:
    """Kills at one of the writes of journal, ledger and guard, before or after it."""

    def __init__(self, countdown, *, after):
        self.countdown, self._after = countdown, after

    def around(self, thing, name):
        """Let one method of something count as a write."""
        method = getattr(thing, name)

        def write(*arguments):
            self.countdown -= 1
            if self.countdown == 0 and not self._after:
                raise Killed
            result = method(*arguments)
            if self.countdown == 0:
                raise Killed
            return result

        setattr(thing, name, write)


class Guarded(MemorySigner):
    """A signer whose memory outlives the process."""

    def remember(self, other):
        self._last = other._last


class Run:
    """The world around the coordinator, which remembers everything over all its lives."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.sqlite"
        self.now_ms = 1_000_000
        self.market = desks.Market()
        self.signer = self._signer()
        self.bodies = defaultdict(set)
        self.shown = defaultdict(int)
        self.outcomes = {}
        self.wanted = {number: number.to_bytes(32, "big") for number in (1, 2, 3)}
        self.placed = set()
        self.cancelled = False
        self.lost_once = False
        self.writes = 0
        self.lives = 0

    def _signer(self):
        key = desks.COORDINATOR
        return Guarded(desks.DOMAIN, key.address, lambda item: sign_digest(key.secret, item.digest))

    async def live(self, kill_at=0, *, after=False):
        """One life of the coordinator, until all is over or it is killed."""
        self.lives += 1
        domain, address = desks.DOMAIN, desks.COORDINATOR.address
        with open_journal(self.path, domain, address, LEDGER_SCHEMA) as (journal, connection):
            connection.execute(
                "PRAGMA synchronous = OFF"
            )  # it is a process that is killed here, not the power
            ledger = Ledger(connection, desks.COORDINATOR, ESCROW)
            purse = Purse(ledger, FakeEscrow(DEPOSIT_WEI), address)
            await purse.refresh()
            killer, signer = Killer(kill_at, after=after), copy(self.signer)
            for thing, name in ((journal, "write"), (purse, "promise"), (signer, "seal")):
                killer.around(thing, name)
            engine = CoordinatorEngine(
                desks.PARAMETERS, self.market, signer, purse, journal, lambda: bytes(32)
            )
            journal.load(engine.book)
            life = Life(self, engine, purse, journal)
            with contextlib.suppress(Killed):
                life.perform(engine.resume(self.now_ms))
                await life.run()
            self.signer.remember(signer)
            self.writes = -killer.countdown
            if killer.countdown < 0 or kill_at == 0:
                assert purse.status().held_wei == 0
            self.promised = {miner: entry.promised_wei for miner, entry in ledger.entries().items()}

    def check(self):
        """What must hold however often it was killed."""
        assert all(len(bodies) == 1 for bodies in self.bodies.values()), "a number has two bodies"
        for number in (1, 3):
            outcome = self.outcomes[self.wanted[number]]
            assert isinstance(outcome, Delivered), outcome
        price = PaySchedule(8 * 8 * STEPS * 10**15, 0, STEPS)
        shown_wei = defaultdict(int)
        for (_, miner), units in self.shown.items():
            shown_wei[miner] += price.due_wei(units)
        for miner, promised_wei in self.promised.items():
            assert promised_wei <= shown_wei[miner], "a miner was paid twice"
        delivered = [outcome for outcome in self.outcomes.values() if isinstance(outcome, Delivered)]
        assert sum(self.promised.values()) >= len(delivered) * price.price_wei


class Life:
    """One process."""

    def __init__(self, run, engine, purse, journal):
        self.of, self.engine, self.purse, self.journal = run, engine, purse, journal
        self.streams = {}
        self.todo = []

    async def run(self):
        self.place_what_is_missing()
        for _ in range(2_000):
            if self.is_over():
                return
            while self.todo:
                step = self.todo.pop(0)
                if isinstance(step, AskChain):
                    await self.purse.load_account(step.miner)
                    self.perform(self.engine.chain_answered(step.miner, "", self.of.now_ms))
                else:
                    step()
            self.of.now_ms += 100
            self.perform(self.engine.tick(self.of.now_ms))
            self.place_what_is_missing()
        raise AssertionError("it does not end")

    def is_over(self):
        return len(self.of.outcomes) == len(self.of.wanted)

    def place_what_is_missing(self):
        """The app asks for what it has no answer to, under the same names."""
        for number, order_id in self.of.wanted.items():
            if order_id in self.of.outcomes or order_id in self.engine.book.orders:
                continue
            ended = self.journal.ended.find_key(f"order {number}")
            if ended is not None:
                self.of.outcomes[order_id] = ended.delivered or ended
                continue
            assert order_id not in self.of.placed, "an order was lost"
            placed = OrderPlaced(order_id, f"order {number}", b"", REQUEST, (), self.of.now_ms)
            actions = self.engine.place(placed, {}, self.of.now_ms)
            self.of.placed.add(order_id)
            self.perform(actions)

    def perform(self, actions):  # noqa: C901 - one case for each action
        for action in actions:
            match action:
                case Publish(data=data):
                    task = open_statement(desks.DOMAIN, data, TaskAnnouncement)
                    self.of.bodies[task.message.epoch, task.message.number].add(task.message.encode())
                    self.todo.append(lambda task=task: self.come(task, 0))
                case Call(task_id=task_id, miner=miner):
                    order = self.engine.book.tasks.get(task_id)
                    if order is not None:
                        task = order.live_task.statement
                        rank = task.message.assigned.index(miner)
                        self.todo.append(lambda task=task, rank=rank: self.come(task, rank))
                case SendInput(stream_id=stream_id):
                    self.todo.append(lambda stream_id=stream_id: self.work(stream_id))
                case Send(stream_id=stream_id, replies=replies):
                    self.streams[stream_id].hear(replies)
                case CloseStream() | PassOn():
                    pass
                case AskChain():
                    self.todo.append(action)
                case Finish(order_id=order_id, outcome=outcome):
                    assert order_id not in self.of.outcomes, "an order ended twice"
                    self.of.outcomes[order_id] = outcome
                case Tell(order_id=order_id, event=Progress(units=units)):
                    if order_id == self.of.wanted[2] and units >= 6:
                        self.todo.append(self.cancel)

    def cancel(self):
        order_id = self.of.wanted[2]
        if order_id in self.engine.book.orders:
            self.perform(self.engine.cancel(order_id, "the app went away", self.of.now_ms))
            self.of.outcomes[order_id] = "cancelled"

    def come(self, task, rank):
        key = next(key for key in desks.MINERS if key.address == task.message.assigned[rank])
        stream_id = len(self.streams) + 1
        self.streams[stream_id] = Miner(self, key, rank, task, stream_id)
        payload = desks.sealed(key, TaskAcceptance(task.digest, rank))
        with contextlib.suppress(Refusal):
            self.perform(self.engine.stream_opened(stream_id, key.address, payload, self.of.now_ms))

    def work(self, stream_id):
        self.streams[stream_id].work()


class Miner(desks.Miner):
    """A miner that shows what is paid for, and delivers."""

    def __init__(self, life, key, rank, task, stream_id):
        self.life, self.key, self.rank, self.task, self.stream_id = life, key, rank, task, stream_id
        self.index = 0
        self.paid_wei = 0
        self.stopped = False

    def hear(self, replies):
        for item in replies:
            reply = TaskReply.decode(item)
            if reply.reply_kind == ReplyKind.VOUCHER:
                self.paid_wei = SignedVoucher.decode(reply.payload).task_wei
            else:
                self.stopped = True

    def say(self, payload):
        life = self.life
        life.perform(life.engine.stream_heard(self.stream_id, payload, life.of.now_ms))

    def work(self, units=1):
        """Make a unit, and go on in a moment."""
        life, schedule = self.life, PaySchedule.of_task(self.task.message)
        if self.stopped:
            return
        assert units <= schedule.unit_limit(self.paid_wei), "a slice was not paid"
        place = self.task.digest, self.key.address
        life.of.shown[place] = max(life.of.shown[place], units)
        self.chunk(ChunkKind.PROGRESS, units)
        if units == FAILS_ONCE_AT and not life.of.lost_once and self.task.message.number == 0:
            life.of.lost_once = True
            life.perform(life.engine.stream_lost(self.stream_id, "its machine is gone", life.of.now_ms))
        elif units < STEPS:
            life.todo.append(lambda: self.work(units + 1))
        elif not self.stopped:
            assert self.paid_wei == schedule.price_wei
            self.chunk(ChunkKind.OUTPUT_PART, STEPS, desks.png())
            self.say(self.commitment(desks.png(), STEPS))
