"""The miner's shell around its engine: a whole task, a call, a lost stream and a stop, without a network."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio
import trio.testing

from node.inference.pool.tickets import Counts
from node.miner import miner as module
from node.miner import offering
from node.miner.actions import Finished
from node.miner.jobs import Made
from node.miner.miner import Miner
from node.miner.ports import Decline, MemoryPay, MemorySeal
from node.miner.terms import ModelTerms
from node.miner.work_policy import PauseReason
from node.system.events import EventBus
from node.system.observable import Observable
from p2p.identity import peer_id_from_public_key
from p2p.stream_errors import StreamBroken
from protocol.draw import EpochView, Snapshot
from protocol.errors import Refusal
from protocol.messages import DeclineKind, ReplyKind, ResultCommitment, TaskAcceptance, TaskCall
from protocol.rules import offers, results, tasks
from protocol.rules.view import Seen
from protocol.work import Work, WorkKind
from tests.node.builders import PACKAGE
from tests.node.miner.engine_world import (
    COORDINATOR,
    DOMAIN,
    MINER,
    OTHERS,
    OUTPUT,
    START_MS,
    TERMS,
    announce,
    decoded,
    input_of,
    reply,
)

UNITS = 20
EPOCH = EpochView(7, bytes(32), Snapshot.of([(MINER.address, 10**18)]), Snapshot.of([]))


def now_ms():
    return START_MS + int(1_000 * trio.current_time())


class Stream:
    """The coordinator's end of one task stream."""

    def __init__(self):
        self.sent, self.to_miner = [], trio.open_memory_channel(100)
        self.ended = None

    async def send(self, payload):
        self.sent.append(decoded(payload))

    async def receive(self, *, timeout_ms):
        del timeout_ms
        said = await self.to_miner[1].receive()
        if isinstance(said, Exception):
            raise said
        return said

    def say(self, what):
        self.to_miner[0].send_nowait(what)


class Host:
    """Where streams are opened and handlers hung up. :ivar streams: that were opened."""

    def __init__(self):
        self.handlers, self.streams, self.reachable = {}, [], True

    def handle_direct_streams(self, protocol, handler, **_):
        self.handlers[protocol] = handler

    def is_connected(self, peer_id):
        return self.reachable

    @asynccontextmanager
    async def open_direct_stream(self, peer_id, protocol):
        assert peer_id == peer_id_from_public_key(announce().signer.public_key)
        stream = Stream()
        self.streams.append(stream)
        try:
            yield stream
        except Refusal as refusal:
            stream.ended = refusal.reason
            raise
        stream.ended = stream.ended or ""


class Payee(MemoryPay):
    """Pay in memory, with the chain's side of it."""

    async def why_no_credit(self, task):
        return None

    async def run(self, chain_poll_ms):
        await trio.sleep_forever()

    def status(self):
        return {"pay": {}}


class Throttle:
    """Never pauses."""

    pause_reason, temperatures = PauseReason.NONE, {}

    async def update(self, workers):
        pass


@pytest.fixture(autouse=True)
def no_threads(monkeypatch):
    """The clock of a test runs on while a thread works."""

    async def at_once(function, *arguments, **_options):
        await trio.lowlevel.checkpoint()
        return function(*arguments)

    monkeypatch.setattr("trio.to_thread.run_sync", at_once)


@pytest.fixture
async def world(tmp_path, monkeypatch, autojump_clock, nursery):
    """A miner that runs by trio's clock, and everything around it."""
    for name, clock in (("now_ms", now_ms), ("steady_ms", now_ms), ("ahead_ms", lambda: 0)):
        monkeypatch.setattr(module, name, clock)
    monkeypatch.setattr(offering, "now_ms", now_ms)
    host, listeners, published, jobs = Host(), {}, [], []

    async def publish(topic, data):
        published.append((topic, decoded(data)))

    async def try_speed(workers, package):
        return 250

    async def run_job(workers, start, miner, trace_path, tell):
        jobs.append(start)
        tell(Made(UNITS))
        trace_path.write_bytes(b"trace")
        return await world.outcome(start)

    monkeypatch.setattr(module, "try_speed", try_speed)
    monkeypatch.setattr(module, "run_job", run_job)
    peer = SimpleNamespace(
        key=MINER,
        data_dir=tmp_path,
        host=host,
        lookup=None,
        domain=DOMAIN,
        beacons=SimpleNamespace(want=lambda deadline_ms: None),
        seen=Seen(),
        view=SimpleNamespace(terms=TERMS, latest=None, domain=DOMAIN, epoch_of=lambda task: EPOCH),
        network=SimpleNamespace(
            parameters=SimpleNamespace(
                progress_timeout_ms=5_000, chain_poll_ms=500, offer_interval_ms=2_000, offer_life_ms=20_000
            )
        ),
        seal=MemorySeal(DOMAIN, MINER.secret),
        context=SimpleNamespace(observable=Observable(), events=EventBus(), started=lambda: None),
        listen=listeners.__setitem__,
        accuse=lambda evidence: None,
        publish=publish,
        alone=trio.Event(),
    )
    peer.alone.set()
    workers = SimpleNamespace(statistics=Counts().snapshot)
    payee = Payee()
    miner = Miner(peer, workers, [PACKAGE], ModelTerms([PACKAGE], 0, 1), Throttle(), payee)

    async def finish(start):
        return Finished(OUTPUT, UNITS, bytes(32))

    world = SimpleNamespace(
        peer=peer, miner=miner, host=host, listeners=listeners, published=published, jobs=jobs, payee=payee
    )
    world.outcome = finish
    world.scope = trio.CancelScope()

    async def run():
        with world.scope:
            await miner.run()

    nursery.start_soon(run)
    await trio.testing.wait_all_tasks_blocked()
    return world


def task(**changes):
    fields = {"work": Work.image(WorkKind.TEXT_TO_IMAGE, 64, 64, UNITS), "price": 0, "at_ms": now_ms()}
    return announce(**(fields | changes))


async def settle():
    await trio.testing.wait_all_tasks_blocked()


async def test_whole_task(world):
    announced = task()
    world.listeners[tasks.TOPIC](announced)
    await settle()
    (stream,) = world.host.streams
    assert stream.sent == [TaskAcceptance(announced.digest, 0)]
    stream.say(reply(ReplyKind.INPUT, input_of().encode()))
    await settle()
    assert [start.task for start in world.jobs] == [announced]
    assert isinstance(stream.sent[-1], ResultCommitment)
    assert world.published == [(results.TOPIC, stream.sent[-1])]
    stream.say(reply(ReplyKind.RECEIVED))
    await settle()
    assert stream.ended == ""
    assert world.payee.accounts[0].unpaid_wei == 0
    assert len(world.miner._traces) == 1


async def test_a_worker_that_refuses_is_heard_by_the_coordinator(world):
    async def refuse(start):
        return Decline(DeclineKind.NOBODY, "the prompt is too long")

    world.outcome = refuse
    world.listeners[tasks.TOPIC](task())
    await settle()
    (stream,) = world.host.streams
    stream.say(reply(ReplyKind.INPUT, input_of().encode()))
    await settle()
    assert (stream.sent[-1].decline_kind, stream.sent[-1].reason) == (
        DeclineKind.NOBODY,
        "the prompt is too long",
    )
    assert stream.ended == ""


async def test_a_call_makes_it_come(world):
    announced = task(rank=2)
    world.listeners[tasks.TOPIC](announced)
    await settle()
    assert world.host.streams == []
    await call(world, announced, COORDINATOR)
    await settle()
    assert len(world.host.streams) == 1


async def test_after_a_sleep_of_the_machine_it_comes_within_a_second(world, monkeypatch, autojump_clock):
    """The clock of waits has gone on, and the one that the miner sleeps by has stood still."""
    slept_ms = 0
    monkeypatch.setattr(module, "steady_ms", lambda: now_ms() + slept_ms)
    world.listeners[tasks.TOPIC](task(rank=2))
    await trio.sleep(0.5)
    assert world.host.streams == []
    slept_ms = 2 * TERMS.head_start_ms
    await trio.sleep(module.SLEEP_S_MAX)
    assert len(world.host.streams) == 1


async def test_its_workers_are_others_only_while_it_is_neither_paused_nor_measures_itself(world, monkeypatch):
    assert world.miner.may_work()
    monkeypatch.setattr(Throttle, "pause_reason", PauseReason.ON_BATTERY)
    assert not world.miner.may_work()
    monkeypatch.setattr(Throttle, "pause_reason", PauseReason.NONE)
    world.miner._image_ms.clear()
    assert not world.miner.may_work()


async def test_a_call_by_a_stranger_is_refused(world):
    announced = task(rank=2)
    world.listeners[tasks.TOPIC](announced)
    with pytest.raises(Refusal, match="no task of yours waits here"):
        await call(world, announced, OTHERS[0])
    assert world.host.streams == []


async def call(world, announced, key):
    stream = Stream()
    stream.say(TaskCall(announced.digest).encode())
    (handler,) = [one for protocol, one in world.host.handlers.items() if "calls" in protocol]
    signed = announce(coordinator=key)
    await handler(stream, peer_id_from_public_key(signed.signer.public_key))


async def test_a_lost_stream_is_opened_again_and_the_result_delivered(world, autojump_clock):
    world.listeners[tasks.TOPIC](task())
    await settle()
    first = world.host.streams[0]
    first.say(reply(ReplyKind.INPUT, input_of().encode()))
    await settle()
    first.say(StreamBroken("the stream broke"))
    await trio.sleep(1)
    second = world.host.streams[1]
    second.say(reply(ReplyKind.INPUT, input_of().encode()))
    await settle()
    assert second.sent == first.sent
    assert len(world.jobs) == 1


async def test_a_job_that_is_not_needed_any_more_is_stopped(world):
    stopped = []

    async def hang(start):
        try:
            await trio.sleep_forever()
        finally:
            stopped.append(start)

    world.outcome = hang
    world.listeners[tasks.TOPIC](task())
    await settle()
    (stream,) = world.host.streams
    stream.say(reply(ReplyKind.INPUT, input_of().encode()))
    await settle()
    stream.say(reply(ReplyKind.NOT_NEEDED))
    await settle()
    assert len(stopped) == 1
    assert world.miner._jobs == {}


async def test_a_coordinator_that_cannot_be_reached_is_tried_again(world, monkeypatch, autojump_clock):
    attempts = []

    async def reach(host, lookup, announced):
        attempts.append(announced)
        if len(attempts) < 2:
            raise Refusal("nobody answers")
        return peer_id_from_public_key(announced.signer.public_key)

    monkeypatch.setattr(module, "reach_coordinator", reach)
    world.listeners[tasks.TOPIC](task())
    await trio.sleep(1)
    assert len(attempts) == 2
    assert len(world.host.streams) == 1


async def test_what_is_unpaid_when_it_stops_is_remembered(world):
    world.listeners[tasks.TOPIC](task(price=10_000))
    await settle()
    (stream,) = world.host.streams
    stream.say(reply(ReplyKind.INPUT, input_of().encode()))
    await settle()
    world.scope.cancel()
    await settle()
    assert world.payee.accounts[0].unpaid_wei > 0


async def test_attack_old_guard_put_back__the_next_offer_has_a_number_of_its_own(world, autojump_clock):
    """Whatever the guard remembers, offers are numbered by the clock at least."""
    for known in (0, 5, 1 << 50):
        world.published.clear()
        world.peer.guard = SimpleNamespace(next_sequence=lambda kind, known=known: known)
        world.peer.view.latest = SimpleNamespace(miners=SimpleNamespace(weight_of=lambda address: 1))
        before_ms = now_ms()
        await trio.sleep(2.5)
        offered = [message.sequence for topic, message in world.published if topic == offers.TOPIC]
        assert offered
        assert all(max(before_ms, known) <= number <= max(now_ms(), known) for number in offered)
