"""Two nodes with one key: at least one of them stops before both can sign."""

import random

import pytest
import trio

from node.peer.doppelganger import Doppelganger, Look, runs_elsewhere
from p2p.record_store import PeerRecords
from p2p.records import seal_record
from protocol.errors import MustStop
from tests.p2p.nodes import secret

INTERVAL_MS = 30_000
STARTED_AT_MS = 1_000_000


def record(sequence, instance):
    return seal_record(secret(1), sequence, (), instance)


@pytest.mark.parametrize(
    ("double", "past", "elsewhere"),
    [
        (None, {}, False),
        (record(STARTED_AT_MS, 7), {}, False),
        (record(STARTED_AT_MS + 1, 7), {}, True),
        (record(STARTED_AT_MS + 1, 0), {}, True),
        (record(STARTED_AT_MS + 1, 7), {4: STARTED_AT_MS + 9, 8: 0}, True),
        # The clock was fast when this data directory's last node ran.
        (record(STARTED_AT_MS + 1, 7), {6: STARTED_AT_MS + 1}, False),
        # A copy of this data directory is running.
        (record(STARTED_AT_MS + 2, 7), {6: STARTED_AT_MS + 1}, True),
    ],
)
def test_examples(double, past, elsewhere):
    assert runs_elsewhere(double, STARTED_AT_MS, past) is elsewhere


async def walk():
    await trio.sleep(0.05)


class Peers:
    """What all the peers together know in the name of one key: its newest record."""

    def __init__(self, answer_from_s=0):
        """:param answer_from_s: by trio's clock; before, they refuse whoever has this key."""
        self.newest = None
        self.answer_from_s = trio.current_time() + answer_from_s

    def node(self, instance):
        return Node(self, instance)


class Node:
    """One node's record among them."""

    def __init__(self, peers, instance):
        self.peers = peers
        self.records = PeerRecords(secret(1), instance=2 * instance)
        self.started_at_ms = now_ms()

    async def look(self):
        await walk()
        if trio.current_time() < self.peers.answer_from_s:
            return Look(None, 0)
        if self.peers.newest is not None:
            self.records.accept(self.peers.newest.envelope)
        return Look(self.records.double, 3)

    def tell_of_signing(self):
        self.records.tell_of_signing()

    async def give(self):
        own = self.records.renew_own((), now_ms(), anew=True)
        await walk()
        if trio.current_time() < self.peers.answer_from_s:
            return
        if self.peers.newest is None or self.peers.newest.sequence < own.sequence:
            self.peers.newest = own


def now_ms():
    return STARTED_AT_MS + round(1_000 * trio.current_time())


async def run(peers, instance, after_s, ended, seed=0):
    """A node's life. Leaves when it may sign first, and when it stopped."""
    await trio.sleep(after_s)
    node = peers.node(instance)
    looking = Doppelganger(node, node.started_at_ms, {}, INTERVAL_MS, random.Random(seed))
    life = ended[instance] = {"started": trio.current_time()}

    async def sign():
        await looking.alone.wait()
        life["signs"] = trio.current_time()

    with trio.move_on_after(20 * INTERVAL_MS / 1_000):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sign)
            try:
                await looking.run()
            except MustStop as stopped:
                life["stopped"], life["reason"] = trio.current_time(), str(stopped)
                nursery.cancel_scope.cancel()


async def test_a_node_alone_waits_an_interval_and_a_random_part_of_another(autojump_clock):
    waits = []
    for seed in range(20):
        ended = {}
        await run(Peers(), 1, 0, ended, seed)
        assert "stopped" not in ended[1]
        waits.append(ended[1]["signs"] - ended[1]["started"])
    assert 30 <= min(waits) < 40
    assert 50 < max(waits) < 60.2


@pytest.mark.parametrize("seed", range(50))
async def test_of_two_within_a_tenth_of_a_second_one_stops_before_both_sign(autojump_clock, seed):
    rng, peers, ended = random.Random(seed), Peers(), {}
    async with trio.open_nursery() as nursery:
        for instance in (1, 2):
            nursery.start_soon(run, peers, instance, rng.random() / 10, ended, rng.randrange(1 << 30))
    assert any("stopped" in life for life in ended.values())
    assert sum("signs" in life for life in ended.values()) <= 1


@pytest.mark.parametrize("seed", range(50))
async def test_a_second_one_stops_before_it_signs_and_the_first_goes_on(autojump_clock, seed):
    rng, peers, ended = random.Random(seed), Peers(), {}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, peers, 1, 0, ended, rng.randrange(1 << 30))
        nursery.start_soon(run, peers, 2, 61 + 300 * rng.random(), ended, rng.randrange(1 << 30))
    assert "signs" not in ended[2]
    assert "stopped" in ended[2]
    assert "stopped" not in ended[1]


async def test_a_second_one_that_does_not_hear_of_the_first_stops_the_first(autojump_clock):
    """Its peers keep back what they know."""
    peers, ended = Peers(), {}

    class Deaf(Node):
        async def look(self):
            await walk()
            return Look(None, 3)

        async def give(self):
            await super().give()
            self.peers.newest = max(self.peers.newest, self.records.own, key=lambda known: known.sequence)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, peers, 1, 0, ended)
        peers.node = lambda instance: (Node if instance == 1 else Deaf)(peers, instance)
        nursery.start_soon(run, peers, 2, 100, ended)
    assert "stopped" in ended[1]
    assert ended[1]["stopped"] - ended[2]["signs"] < 2 * INTERVAL_MS / 1_000


class OnceDeaf(Node):
    """A newcomer whose second look nobody answers; the first and the third show nobody: peers are slow."""

    answers = (3, 0, 3)

    async def look(self):
        if not self.answers:
            return await super().look()
        answers, *self.answers = self.answers
        await walk()
        return Look(None, answers)


@pytest.mark.parametrize("seed", range(20))
async def test_attack_a_newcomer_whose_second_look_is_not_answered_does_not_stop_the_node_that_runs(
    autojump_clock, seed
):
    """It gives its record twice, with two numbers; the older one took that for two signs of life."""
    peers, ended = Peers(), {}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, peers, 1, 0, ended, seed)
        peers.node = lambda instance: (Node if instance == 1 else OnceDeaf)(peers, instance)
        nursery.start_soon(run, peers, 2, 61 + 7 * seed, ended, seed)
    assert "stopped" not in ended[1]
    assert "stopped" in ended[2]
    assert "signs" not in ended[2]


async def test_attack_a_newcomer_that_is_started_again_and_again_does_not_stop_the_node_that_runs(
    autojump_clock,
):
    """Each start is another instance, and gives its record once before it hears of the older one."""
    peers, ended = Peers(), {}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, peers, 1, 0, ended)
        peers.node = lambda instance: (Node if instance == 1 else OnceDeaf)(peers, instance)
        for instance in range(2, 7):
            nursery.start_soon(run, peers, instance, 50 * instance, ended)
    assert "stopped" not in ended[1]
    assert all("stopped" in ended[instance] for instance in range(2, 7))


@pytest.mark.parametrize("seed", range(20))
async def test_attack_two_that_their_peers_refuse_do_not_both_find_themselves_alone(autojump_clock, seed):
    """Peers that had put this key aside refused both, each took silence for a no, and both signed."""
    rng, ended = random.Random(seed), {}
    peers = Peers(answer_from_s=100)
    async with trio.open_nursery() as nursery:
        for instance in (1, 2):
            nursery.start_soon(run, peers, instance, rng.random() / 10, ended, rng.randrange(1 << 30))
    assert any("stopped" in life for life in ended.values())
    assert sum("signs" in life for life in ended.values()) <= 1
    assert all(life.get("signs", 200) > 100 for life in ended.values())


async def test_a_node_that_nobody_answers_signs_nothing_and_says_why(autojump_clock):
    looking = Doppelganger(Peers(answer_from_s=1e9).node(1), STARTED_AT_MS, {}, INTERVAL_MS, random.Random(0))
    with trio.move_on_after(3_600):
        await looking.run()
    assert not looking.alone.is_set()
    said = "no peer has answered yet whether another node runs with this key"
    assert looking.reason_not_ready() == said


async def test_the_node_that_this_one_follows_stops_nobody(autojump_clock):
    peers = Peers()
    peers.newest = record(STARTED_AT_MS - 1, 9)
    ended = {}
    await run(peers, 1, 0, ended)
    assert "stopped" not in ended[1]


async def test_what_is_said(autojump_clock):
    peers, ended = Peers(), {}
    async with trio.open_nursery() as nursery:
        for instance in (1, 2):
            nursery.start_soon(run, peers, instance, instance, ended)
    reasons = {life["reason"] for life in ended.values() if "reason" in life}
    expected = (
        "another node runs with this key, at an address that it does not name, or did after this one was "
        "started: two with one key contradict each other, which costs the whole stake. Stop one of them "
        "for good; then start the other again"
    )
    assert reasons == {expected}
