"""Blocks that decide about audits: found once, final, cheaply, and again after a reorganisation."""

import pytest
import trio

from contracts.blocks import Block
from contracts.errors import ChainUnreachable
from node.peer import beacon_wishes
from node.peer.beacon_watcher import (
    WANTED_AGE_MS_MAX,
    Beacons,
    BeaconsStatus,
    BeaconWatcher,
)
from node.peer.beacon_wishes import QUESTIONS_PER_LOOK_MAX, Wish
from node.peer.block_search import BlocksDisagree
from protocol.audit_draw import BeaconBlock
from protocol.rules.view import SEED_SETTLING_MS
from protocol.terms import AuditTerms

TERMS = AuditTerms(beacon_margin_ms=1_000)
CONFIRMATIONS, POLL_MS, BLOCK_S = 3, 500, 2
NOW_MS = 10_000_000


class FakeBlocks:
    """A chain whose blocks come every two seconds, with a head that the test moves."""

    def __init__(self):
        self.head = 5_000
        self.fork_at, self.name = 0, 0
        self.questions = 0
        self.doubt, self.doubtful = None, None
        self.doubted = 0
        self.missing = set()
        self.silent = False

    def at(self, number):
        def hash_of(at):
            return bytes([self.name if at >= self.fork_at else 0]) + at.to_bytes(31, "big")

        return Block(number, hash_of(number), hash_of(number - 1), BLOCK_S * number)

    async def newest(self):
        if self.silent:
            raise ChainUnreachable("127.0.0.1:1", "gone")
        return self.at(self.head)

    async def block(self, number):
        self.questions += 1
        return None if number in self.missing or number > self.head else self.at(number)

    async def doubt_about(self, block):
        self.doubted += 1
        return self.doubt if self.doubtful is None or block.number in self.doubtful else None


def deadline_at(number):
    """A deadline that the block with this number is the first for."""
    return 1_000 * BLOCK_S * number - TERMS.beacon_margin_ms


def beacon(number, blocks):
    found = blocks.at(number)
    return BeaconBlock(number, found.hash, 1_000 * found.time_s)


class World:
    def __init__(self):
        self.blocks = FakeBlocks()
        self.told = []
        self.now_ms = NOW_MS
        self.watcher = self.new_watcher()

    def new_watcher(self):
        return BeaconWatcher(
            self.blocks, TERMS, POLL_MS, CONFIRMATIONS, self.told.append, lambda: self.now_ms
        )

    async def look(self):
        await self.watcher.look()
        return self.told[-1] if self.told else None


@pytest.fixture
def world():
    return World()


async def test_nothing_is_asked_while_nothing_is_wanted(world):
    assert await world.look() is None
    assert (world.blocks.questions, world.watcher.status()) == (0, BeaconsStatus(0, 0, 0, 0, 0, None))


async def test_the_block_is_found_when_it_is_final_and_not_before(world):
    number = world.blocks.head + 1
    world.watcher.want(deadline_at(number))
    newest = Beacons(newest_block_ms=2_000 * world.blocks.head)
    assert await world.look() == newest
    for ahead in range(CONFIRMATIONS):
        world.blocks.head = number + ahead
        # It is too late for commitments as soon as somebody may know the block.
        assert await world.look() == Beacons(newest_block_ms=2_000 * world.blocks.head)
    world.blocks.head = number + CONFIRMATIONS
    known = {deadline_at(number): beacon(number, world.blocks)}
    assert await world.look() == Beacons(known, 0, 2_000 * world.blocks.head)
    asked = world.blocks.questions
    assert world.watcher.status() == BeaconsStatus(1, 0, asked, 0, 0, None)
    # It stays known, and nobody is asked again.
    world.watcher.want(deadline_at(number))
    await world.look()
    assert world.blocks.questions == asked


async def test_a_millisecond_more_is_another_block(world):
    number = world.blocks.head - 100
    world.watcher.want(deadline_at(number))
    world.watcher.want(deadline_at(number) + 1)
    known = (await world.look()).known
    assert {at: found.number for at, found in known.items()} == {
        deadline_at(number): number,
        deadline_at(number) + 1: number + 1,
    }


async def test_a_block_of_hours_ago_is_found_after_a_restart(world):
    world.blocks.head = 30_000
    world.now_ms = 2_000 * world.blocks.head
    number = world.blocks.head - 6 * 3600 // BLOCK_S
    world.watcher.want(deadline_at(number))
    assert (await world.look()).known == {deadline_at(number): beacon(number, world.blocks)}
    assert world.blocks.questions < 20


async def test_many_deadlines_cost_one_question_a_block_and_never_more_than_the_bound_at_a_time(world):
    for number in range(world.blocks.head - 200, world.blocks.head - 100):
        for ms in range(0, 2_000, 100):
            world.watcher.want(deadline_at(number) - ms)
    looks = 0
    while world.watcher.status().wanted:
        before = world.blocks.questions
        await world.look()
        assert world.blocks.questions - before <= QUESTIONS_PER_LOOK_MAX + 2
        looks += 1
    assert world.blocks.questions <= 100 + 2 * looks + 10
    assert world.blocks.doubted == 100


async def test_a_deadline_of_long_ago_is_not_looked_for(world):
    world.now_ms = WANTED_AGE_MS_MAX + 5_000
    world.watcher.want(4_999)
    assert world.watcher.status().wanted == 0
    world.watcher.want(5_000)
    assert world.watcher.status().wanted == 1


async def test_blocks_that_are_not_confirmed_by_most_endpoints_decide_nothing(world):
    world.blocks.doubt = "the chain's RPCs disagree"
    world.watcher.want(deadline_at(4_900))
    assert (await world.look()).known == {}
    assert (world.watcher.status().fault, world.watcher.status().doubts) == ("the chain's RPCs disagree", 1)
    world.blocks.doubt = None
    assert (await world.look()).known == {deadline_at(4_900): beacon(4_900, world.blocks)}
    assert world.watcher.status().fault is None


async def test_attack_one_doubted_block_does_not_keep_the_others_from_being_found(world):
    """Nor for longer: it is asked for ever less often, and found when it is not doubted any more."""
    numbers = range(4_890, 4_910)
    for number in numbers:
        world.watcher.want(deadline_at(number))
    world.blocks.doubt, world.blocks.doubtful = "the chain's RPCs disagree", {4_900, 4_909}
    first = (await world.look()).known
    assert set(first) == {deadline_at(number) for number in numbers if number not in {4_900, 4_909}}
    assert world.watcher.status().fault == "the chain's RPCs disagree"
    for _ in range(63):
        await world.look()
    assert world.watcher.status().doubts == 2 * 8  # after 1, 2, 4, 8 and 16 looks, and again 16
    world.blocks.doubt = None
    for _ in range(17):
        await world.look()
    assert set(world.told[-1].known) == {deadline_at(number) for number in numbers}


async def test_attack_thousands_of_kept_traces_after_a_restart_do_not_starve_fresh_work(world):
    """Each is of another block, hours ago; what was committed to just now is known at the first look."""
    world.blocks.head = 30_000
    world.now_ms = 2_000 * world.blocks.head
    old = range(20_000, 24_000)
    for number in old:
        world.watcher.want(deadline_at(number), Wish.KEPT)
    for fresh in range(29_000, 29_060, 20):
        world.watcher.want(deadline_at(fresh))
        before = world.blocks.questions
        assert deadline_at(fresh) in (await world.look()).known
        assert world.blocks.questions - before <= QUESTIONS_PER_LOOK_MAX + 2
    # And these, too, come one after the other, the newest first.
    known = {at for at in world.told[-1].known if at <= deadline_at(24_000)}
    assert known == {deadline_at(number) for number in range(24_000 - len(known), 24_000)}
    assert len(known) > 20


async def test_attack_a_stranger_that_asks_for_work_without_end_gets_a_small_share_of_the_questions(world):
    """A miner's traces of 256 deadlines at a time, and all that is left over by those who need it more."""
    world.blocks.head = 30_000
    world.now_ms = 2_000 * world.blocks.head
    for number in range(10_000, 14_000):
        world.watcher.want(deadline_at(number), Wish.ASKED)
    assert world.watcher.status().wanted == 256
    for number in range(20_000, 20_400):
        world.watcher.want(deadline_at(number))
        world.watcher.want(deadline_at(number + 1_000), Wish.KEPT)
    for _ in range(20):
        await world.look()
    found = [sum(deadline_at(a) <= at < deadline_at(b) for at in world.told[-1].known)
             for a, b in ((10_000, 14_000), (20_000, 20_400), (21_000, 21_400))]  # fmt: skip
    assert found[1] > 200
    assert found[2] > 150
    assert found[0] < 90


async def test_attack_work_of_others_makes_no_peer_forget_the_blocks_of_its_own(world, monkeypatch):
    monkeypatch.setattr(beacon_wishes, "WISHES_MAX", dict.fromkeys(Wish, 2))
    world.watcher = world.new_watcher()
    world.watcher.want(deadline_at(4_000))
    await world.look()
    world.watcher.want(deadline_at(4_000), Wish.KEPT)
    for number in range(4_100, 4_110):
        world.watcher.want(deadline_at(number))
        await world.look()
    assert set(world.told[-1].known) == {deadline_at(number) for number in (4_000, 4_108, 4_109)}


async def test_a_reorganisation_of_final_blocks_is_seen_and_blames_nobody_for_a_while(world):
    world.watcher.want(deadline_at(4_900))
    before = (await world.look()).known
    world.blocks.fork_at, world.blocks.name = 4_890, 7
    world.watcher.want(deadline_at(4_950))
    with pytest.raises(BlocksDisagree):
        await world.watcher.look()
    told = world.told[-1]
    assert (told.known, told.settling_until_ms) == ({}, NOW_MS + SEED_SETTLING_MS)
    after = await world.look()
    assert after.known == {deadline_at(at): beacon(at, world.blocks) for at in (4_900, 4_950)}
    assert after.known[deadline_at(4_900)] != before[deadline_at(4_900)]
    assert after.settling_until_ms == NOW_MS + SEED_SETTLING_MS


async def test_a_reorganisation_while_nothing_was_found_yet_is_nobodys_concern(world):
    world.watcher.want(deadline_at(4_900))
    world.blocks.missing = {4_901}
    world.watcher.want(deadline_at(4_902))
    with pytest.raises(Exception, match="does not have block 4901"):
        await world.watcher.look()
    assert world.told[-1].settling_until_ms == 0


async def test_a_chain_that_is_silent_takes_nothing_away_and_is_asked_again(world, autojump_clock, nursery):
    world.watcher.want(deadline_at(4_900))
    known = (await world.look()).known
    world.blocks.silent = True
    world.watcher.want(deadline_at(4_901))
    nursery.start_soon(world.watcher.run)
    await trio.sleep(2 * POLL_MS / 1000)
    assert world.watcher.status().fault == "the chain's RPC at 127.0.0.1:1 cannot be reached: gone"
    assert world.told[-1].known == known
    world.blocks.silent = False
    await trio.sleep(2 * POLL_MS / 1000)
    assert set(world.told[-1].known) == {deadline_at(4_900), deadline_at(4_901)}
    assert world.watcher.status().fault is None
    nursery.cancel_scope.cancel()


async def test_an_endpoint_that_lags_takes_no_time_back(world):
    world.watcher.want(deadline_at(world.blocks.head + 50))
    newest_ms = (await world.look()).newest_block_ms
    world.blocks.head -= 40
    assert (await world.look()).newest_block_ms == newest_ms


async def test_attack_a_block_from_the_future_is_forgotten_with_the_next_answer(world):
    """One endpoint's lie would else keep this peer from hearing of any commitment until it restarts."""
    world.watcher.want(10**13)
    head = world.blocks.head
    world.blocks.head = 10**9
    await world.look()
    world.blocks.head = head
    assert (await world.look()).newest_block_ms == max(2_000 * head, NOW_MS)


async def test_a_chain_shorter_than_the_confirmations_has_no_final_block(world):
    world.blocks.head = CONFIRMATIONS - 1
    world.watcher.want(-TERMS.beacon_margin_ms)
    world.now_ms = 0
    assert (await world.look()).known == {}
    assert world.blocks.questions == 0
