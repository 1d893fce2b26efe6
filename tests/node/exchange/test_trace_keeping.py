"""Traces that the dice leave out go; all others stay as long as the store keeps them."""

import dataclasses

import pytest

from node.exchange import trace_keeping
from node.exchange.audit_draws import AuditDraws
from node.exchange.trace_keeping import ASK_AGAIN_MS, LOOK_S, Holds, TraceKeeper
from node.exchange.work_records import WorkRecords
from node.inference.traces.trace_store import HELD_BYTES_MAX, TRACE_BYTES_MAX, TraceStore
from protocol.keeping import DICE_SETTLING_MS, WORKS_MAX, may_go
from protocol.terms import PPM, AuditTerms
from tests.protocol import builders
from tests.protocol.builders import COMMITTED, COORDINATOR, DOMAIN, EPOCH, FIRST_RANKED, TASK, view

NOTHING = AuditTerms(selected_ppm=0, newcomer_ppm=0)
EVERYTHING = AuditTerms(selected_ppm=PPM, newcomer_ppm=PPM)
OVER_MS = NOTHING.ends_at_ms(TASK.message.deadline_ms) + DICE_SETTLING_MS
DUE_MS = NOTHING.beacon_from_ms(TASK.message.deadline_ms) + DICE_SETTLING_MS


class World:
    """A miner that has one trace, or more."""

    def __init__(self, folder, terms=NOTHING):
        self.now_ms, self.wanted = DUE_MS, []
        self.view = dataclasses.replace(view(), audit_terms=terms)
        self.store = TraceStore(folder / "traces")
        self.records = WorkRecords(folder / "works", DOMAIN, DUE_MS)
        self.use(self.records)
        self.add(TASK)

    def use(self, records):
        draws = AuditDraws(records, lambda: self.view)
        self.keeper = TraceKeeper(
            self.store, draws, lambda: self.view, self.wanted.append, lambda: self.now_ms
        )

    def add(self, task):
        self.store.path_of(task.digest).write_bytes(b"trace")
        self.store.keep(task.digest, task.encoded, b"work", DUE_MS)

    async def look(self, after_ms=0):
        self.now_ms += after_ms
        await self.keeper.look()
        return len(self.store)


async def open_world(folder, terms=NOTHING):
    world = World(folder, terms)
    await world.records.keep(COMMITTED, EPOCH, DUE_MS)
    return world


async def test_work_that_the_dice_leave_out_goes_when_they_have_settled(tmp_path):
    world = await open_world(tmp_path)
    world.now_ms = DUE_MS - 1
    assert await world.look() == 1
    assert await world.look(1) == 0
    assert world.store.counts.released == 1


async def test_work_that_they_select_goes_when_no_verdict_counts_any_more(tmp_path):
    world = await open_world(tmp_path, EVERYTHING)
    world.now_ms = OVER_MS - 1
    assert await world.look() == 1
    assert await world.look(ASK_AGAIN_MS) == 0


@pytest.mark.parametrize("terms", [NOTHING, EVERYTHING], ids=["left out", "selected"])
@pytest.mark.parametrize("reason", ["asked", "contested"])
async def test_work_that_its_buyer_or_a_verdict_speaks_of_stays(tmp_path, terms, reason):
    world = await open_world(tmp_path, terms)
    getattr(world.keeper, reason)(TASK.digest)
    world.now_ms = OVER_MS
    assert await world.look() == await world.look(ASK_AGAIN_MS) == 1


@pytest.mark.parametrize("reason", ["asked", "contested"])
async def test_attack_all_work_is_asked_for_or_contested_so_that_it_fills_the_disk(
    tmp_path, monkeypatch, reason
):
    """The newest are held, up to a bound in bytes; the rest goes as if nobody had spoken of it."""
    monkeypatch.setattr(trace_keeping, "HELD_BYTES_MAX", 1_800)
    world = await open_world(tmp_path)
    hold = getattr(world.keeper, reason)
    hold(TASK.digest)
    size_bytes = world.store.bytes_of(TASK.digest)
    for number in range(12, 22):
        task = builders.opened(COORDINATOR, builders.announcement(number))
        world.add(task)
        work = builders.opened(FIRST_RANKED, builders.commitment(task_id=task.digest))
        await world.records.keep(work, EPOCH, DUE_MS)
        hold(task.digest)
    hold(bytes(32))  # of which there is no trace
    assert await world.look() == 1_800 // size_bytes == 5
    assert world.store.announcement_of(task.digest, DUE_MS)


def test_what_is_held_has_a_bound_in_number_too(monkeypatch):
    monkeypatch.setattr(trace_keeping, "WORKS_MAX", 2)
    holds = Holds(100)
    for name in (b"a", b"b", b"a", b"c"):
        holds.add(name, 1)
    assert [name in holds for name in (b"a", b"b", b"c")] == [True, False, True]
    holds.keep_only([b"c"])
    holds.add(b"d", 100)
    assert [name in holds for name in (b"a", b"c", b"d")] == [False, False, True]


async def test_work_stays_while_the_dice_are_not_known_and_they_are_looked_for(tmp_path):
    world = await open_world(tmp_path)
    beacons, world.view = world.view.beacons, dataclasses.replace(world.view, beacons={})
    assert await world.look() == 1
    assert world.wanted == [TASK.message.deadline_ms]
    # Not at every look, and found as soon as they are.
    world.view = dataclasses.replace(world.view, beacons=beacons)
    assert await world.look(ASK_AGAIN_MS - 1) == 1
    assert await world.look(1) == 0


@pytest.mark.parametrize("lost", ["commitment", "epoch"])
async def test_work_of_which_nobody_can_say_any_more_who_audits_it_stays(tmp_path, lost):
    world = await open_world(tmp_path)
    others = WorkRecords(tmp_path / "others", DOMAIN, DUE_MS)
    world.use(others)
    if lost == "epoch":
        world.view = dataclasses.replace(world.view, epochs={}, audit_terms=EVERYTHING)
        await others.keep(COMMITTED, None, DUE_MS)
    assert await world.look() == 1


async def test_a_damaged_announcement_stops_nothing(tmp_path):
    world = await open_world(tmp_path)
    world.store.path_of(TASK.digest).with_suffix(".task").write_bytes(b"?")
    assert await world.look() == 1


async def test_a_look_has_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(trace_keeping, "LOOKED_AT_MAX", 2)
    world = await open_world(tmp_path)
    for number in range(12, 16):
        task = builders.opened(COORDINATOR, builders.announcement(number))
        world.add(task)
        await world.records.keep(
            builders.opened(FIRST_RANKED, builders.commitment(task_id=task.digest)), EPOCH, DUE_MS
        )
    assert [await world.look() for _ in range(3)] == [3, 1, 0]


def test_the_disk_holds_3000_large_pictures_an_hour_of_a_newcomer_with_all_that_is_held():
    """Twenty steps of 393,568 bytes each, as SDXL has, and a picture of 2 MB; a fifth of them is selected.

    How long each stays is asked of the rule itself; to that come the wait for a final block, the time to the
    next look, and what buyers and verdicts may hold.
    """
    terms, each_bytes, an_hour = AuditTerms(), 20 * 393_568 + 2 * 10**6, 3_000
    task = dataclasses.replace(TASK.message, deadline_ms=300_000)  # of a task that lives for five minutes
    passed = dataclasses.replace(builders.AUDIT, is_selected=False, auditors=())
    late_s = 60 + (ASK_AGAIN_MS / 1_000 + LOOK_S)

    def stays_s(draw):
        return late_s + next(s for s in range(86_400) if may_go(task, draw, terms, 1_000 * s, is_held=False))

    share = terms.newcomer_ppm / PPM
    kept = an_hour / 3_600 * (stays_s(passed) * (1 - share) + stays_s(builders.AUDIT) * share)
    needed_bytes = kept * each_bytes + 2 * HELD_BYTES_MAX
    assert 0.9 * TRACE_BYTES_MAX < needed_bytes <= TRACE_BYTES_MAX
    assert kept < WORKS_MAX
    assert HELD_BYTES_MAX * 8 == TRACE_BYTES_MAX
