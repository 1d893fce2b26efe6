"""Traces that the dice leave out go; all others stay as long as the store keeps them."""

import dataclasses

import pytest

from node.exchange import trace_keeping
from node.exchange.audit_draws import AuditDraws
from node.exchange.trace_keeping import ASK_AGAIN_MS, TraceKeeper
from node.exchange.work_records import WorkRecords
from node.inference.traces.trace_store import TRACE_BYTES_MAX, TraceStore
from protocol.keeping import DICE_SETTLING_MS
from protocol.terms import PPM, AuditTerms
from tests.protocol import builders
from tests.protocol.builders import COMMITTED, COORDINATOR, DOMAIN, EPOCH, FIRST_RANKED, TASK, view

NOTHING = AuditTerms(selected_ppm=0, newcomer_ppm=0)
EVERYTHING = AuditTerms(selected_ppm=PPM, newcomer_ppm=PPM)
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


async def test_work_that_they_select_stays(tmp_path):
    world = await open_world(tmp_path, EVERYTHING)
    assert await world.look() == await world.look(4 * 3_600_000) == 1


async def test_work_that_its_buyer_has_asked_for_stays(tmp_path):
    world = await open_world(tmp_path)
    world.keeper.asked(TASK.digest)
    assert await world.look() == 1


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


def test_the_disk_holds_3000_large_pictures_an_hour_of_a_newcomer_until_their_audits_are_over():
    """Twenty steps of 393,568 bytes each, as SDXL has, and a picture of 2 MB; a fifth of them is selected."""
    terms, picture_bytes, each_s = AuditTerms(), 20 * 393_568 + 2 * 10**6, 3_600 / 3_000
    # A task lives five minutes; its block is final a minute after it came.
    undecided_s = 300 + (terms.beacon_margin_ms + DICE_SETTLING_MS) / 1_000 + 60
    selected_s = 300 + terms.window_ms / 1_000
    kept = undecided_s / each_s + selected_s / each_s * terms.newcomer_ppm / PPM
    assert 11 * 10**9 < kept * picture_bytes < TRACE_BYTES_MAX
