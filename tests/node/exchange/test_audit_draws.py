"""The draw for a miner's own work: computed once, and without an epoch where none can matter."""

import dataclasses

import pytest

from node.exchange import audit_draws
from node.exchange.audit_draws import AuditDraws
from node.exchange.work_records import WorkRecords
from protocol.audit_draw import BeaconBlock, draw_audit
from protocol.terms import PPM, AuditTerms
from tests.protocol import builders
from tests.protocol.builders import COMMITTED, DOMAIN, EPOCH, NOW_MS, TASK, block, view

BLOCK = block("one")
EVERYTHING = AuditTerms(selected_ppm=PPM, newcomer_ppm=PPM)


class World:
    """A miner after a restart, hours later: the chain's view has forgotten the epoch."""

    def __init__(self, folder, terms):
        self.read = []
        self.view = dataclasses.replace(view(), epochs={}, past_epochs={}, audit_terms=terms)
        self.records = WorkRecords(folder, DOMAIN, NOW_MS)
        self.draws = AuditDraws(self.records, lambda: self.view)

    async def keep(self, epoch=EPOCH):
        await self.records.keep(COMMITTED, epoch, NOW_MS)
        self.records.epoch = self.epoch

    async def epoch(self, number):
        self.read.append(number)
        return EPOCH if number == EPOCH.number else None

    async def draw(self, beacon=BLOCK):
        return await self.draws.draw(TASK.digest, TASK.message, beacon)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, EVERYTHING)


async def test_the_draw_is_the_protocols(world):
    await world.keep()
    work = builders.AuditedWork.of(TASK.message, COMMITTED)
    assert await world.draw() == draw_audit(EPOCH, work, BLOCK, EVERYTHING)


async def test_the_view_comes_before_the_disk(world):
    await world.keep()
    world.view = dataclasses.replace(view(), audit_terms=EVERYTHING)
    assert (await world.draw()).is_selected
    assert world.read == []


async def test_attack_the_same_work_asked_for_without_end_reads_its_epoch_once(world):
    await world.keep()
    drawn = [await world.draw() for _ in range(100)]
    assert drawn == [drawn[0]] * 100
    assert world.read == [EPOCH.number]
    # After a reorganisation another block decides.
    other = BeaconBlock(BLOCK.number, bytes(32), BLOCK.time_ms)
    assert (await world.draw(other)).dice != drawn[0].dice
    assert world.read == [EPOCH.number] * 2


async def test_attack_work_that_the_dice_leave_out_at_any_rate_reads_no_epoch(tmp_path):
    world = World(tmp_path, AuditTerms(selected_ppm=0, newcomer_ppm=0))
    await world.keep()
    drawn = await world.draw()
    assert (drawn.is_selected, drawn.auditors, world.read) == (False, (), [])


async def test_what_cannot_be_known_any_more(world):
    assert await world.draw() is None
    await world.keep()
    task = dataclasses.replace(TASK.message, epoch=8)
    assert await world.draws.draw(TASK.digest, task, BLOCK) is None
    # And is not remembered as such: the chain may come back.
    assert (await world.draw()).is_selected


async def test_more_draws_than_are_remembered(world, monkeypatch):
    monkeypatch.setattr(audit_draws, "WORKS_MAX", 2)
    world.draws = AuditDraws(world.records, lambda: world.view)
    await world.keep()
    for name in "abcab":
        await world.draw(block(name))
    assert world.read == [EPOCH.number] * 5
    await world.draw(block("b"))
    assert len(world.read) == 5
