"""Openings between real hosts: the coordinator and drawn auditors get what was committed to, nobody else."""

import dataclasses
from contextlib import asynccontextmanager

import pytest
import trio
from coincurve import PrivateKey

from node.exchange import buyer_shares
from node.exchange.audit_draws import AuditDraws
from node.exchange.buyer_shares import BUYER_WINDOW_MS, BuyerCounts
from node.exchange.kept_work import KeptWork
from node.exchange.openings import (
    REQUESTS_PER_PEER_MAX,
    WINDOW_MS,
    OpeningCounts,
    OpeningServer,
    ask_opening,
    ask_work,
)
from node.exchange.protocols import OPENINGS_PROTOCOL
from node.exchange.work_records import WorkRecords
from node.inference.traces.trace_file import TraceWriter
from node.inference.traces.trace_store import TraceStore
from p2p.identity import address_of_peer
from p2p.stream_errors import RemoteAborted
from protocol.audit import Audits
from protocol.audit_draw import BeaconBlock
from protocol.draw import EpochView, Snapshot
from protocol.errors import InvalidMessage, ProtocolError
from protocol.hashing import sha256
from protocol.merkle import merkle_root
from protocol.messages import RankedMiner, ResultCommitment, parts_of
from protocol.rules.view import View
from protocol.signature import address_of, sign_digest
from protocol.statement import open_statement, seal
from protocol.task_input import image_input
from protocol.tensor import tensor_hash
from protocol.terms import PPM, AuditTerms, TaskTerms
from protocol.trace import OpeningRequest, TraceBinding, steps_root
from protocol.work import ImageNumbers, WorkKind
from tests.node.builders import DOMAIN, announcement, image_work
from tests.node.inference.builders import a_source
from tests.p2p.nodes import connect, open_hosts, secret

MINER, COORDINATOR, AUDITOR, STRANGER = range(4)
ROWS = [(bytes([i]) * 70_000, bytes([i + 9]) * 70_000, bytes([i + 99]) * 70_000) for i in range(4)]
FINAL = b"\x07" * 70_000
PICTURE = bytes(range(256)) * 2_000
IMAGE_HASH = sha256(PICTURE)
SOURCE = a_source()
"""The image to start from; what it was encoded to is another matter."""
KEPT = KeptWork(
    image_input(ImageNumbers(1, 4_000, len(ROWS)), ("a cat", ""), bytes(32), 0, SOURCE), (SOURCE,), PICTURE
)


def address(number):
    return address_of(PrivateKey(secret(number)).public_key)


EPOCH = EpochView(
    number=1,
    seed=bytes(32),
    miners=Snapshot.of([(address(number), 30_000 * 10**18) for number in (MINER, AUDITOR)]),
    coordinators=Snapshot.of([(address(COORDINATOR), 10**25)]),
)


def signed(number, message):
    sealed = seal(DOMAIN, message, lambda statement: sign_digest(secret(number), statement.digest))
    return open_statement(DOMAIN, sealed, type(message))


def the_task(**changes):
    message = dataclasses.replace(
        announcement(RankedMiner(address(MINER), 0)),
        coordinator=address(COORDINATOR),
        work=image_work(kind=WorkKind.IMAGE_TO_IMAGE),
        input_commitment=KEPT.task_input.commitment(),
        **changes,
    )
    return signed(COORDINATOR, message)


TASK = the_task()
ALL_WORK = AuditTerms(selected_ppm=PPM, newcomer_ppm=PPM)
BEACONS = {TASK.message.deadline_ms: BeaconBlock(9, sha256(b"a block"), TASK.message.deadline_ms)}


def committed(task, root):
    root_of_parts = merkle_root(parts_of(PICTURE))
    return signed(
        MINER, ResultCommitment(task.digest, root_of_parts, len(PICTURE), IMAGE_HASH, root, len(ROWS))
    )


class Clock:
    now_ms = 5 * WINDOW_MS

    def __call__(self):
        return self.now_ms


class World:
    """A miner's server on a host, with one trace, and hosts that ask.

    :ivar view: what the miner knows of the chain: no epoch any more, as hours later.
    """

    def __init__(self, hosts, folder, source, task=TASK):
        self.hosts, self.clock = hosts, Clock()
        self.store = TraceStore(folder / "traces")
        self.records = WorkRecords(folder / "works", DOMAIN, self.clock())
        self.view = View(DOMAIN, {}, TaskTerms(1_000, 60_000), audit_terms=ALL_WORK, beacons=BEACONS)
        self.wanted, self.bought = [], []
        self.server = OpeningServer(
            self.store,
            AuditDraws(self.records, lambda: self.view),
            lambda: self.view,
            self.wanted.append,
            self.clock,
            self.bought.append,
        )
        writer = TraceWriter(self.store.path_of(task.digest), len(ROWS), source)
        for row in ROWS:
            writer.add(*row)
        final = writer.finish(FINAL)
        self.store.keep(task.digest, task.encoded, KEPT.encode(), self.clock())
        self.binding = TraceBinding(task.digest, address(MINER), task.message.model_id, len(ROWS), IMAGE_HASH)
        self.root = self.binding.root(steps_root(writer.leaves), final, tensor_hash(source))
        self.commitment = committed(task, self.root)
        hosts[MINER].handle_direct_streams(OPENINGS_PROTOCOL, self.server.handle)

    def use(self, records):
        self.server._draws = AuditDraws(records, lambda: self.view)

    async def ask(self, asker, *steps, final=0, source=0, task_id=TASK.digest):
        async with self.hosts[asker].open_direct_stream(
            self.hosts[MINER].peer_id, OPENINGS_PROTOCOL
        ) as stream:
            return await ask_opening(
                stream, OpeningRequest(task_id, steps, final, source), self.binding, self.root
            )

    async def ask_all(self, asker, *steps, task=TASK, commitment=None):
        async with self.hosts[asker].open_direct_stream(
            self.hosts[MINER].peer_id, OPENINGS_PROTOCOL
        ) as stream:
            return await ask_work(stream, steps, task, commitment or committed(TASK, self.root))

    def keep(self, kept):
        self.store.path_of(TASK.digest).with_suffix(".result").write_bytes(kept)


@asynccontextmanager
async def open_world(folder, source=b"", task=TASK):
    async with open_hosts(4) as hosts:
        async with trio.open_nursery() as nursery:
            for asker in hosts[1:]:
                nursery.start_soon(connect, asker, hosts[MINER])
        world = World(hosts, folder, source, task)
        await world.records.keep(world.commitment, EPOCH, world.clock())
        yield world


async def test_who_may_ask_gets_what_was_committed_to(tmp_path):
    async with open_world(tmp_path) as world:
        assert address_of_peer(world.hosts[AUDITOR].peer_id) == address(AUDITOR)
        for asker in (COORDINATOR, AUDITOR):
            opened = await world.ask(asker, 0, 2, 3, final=1)
            assert opened.tensors == {step: ROWS[step] for step in (0, 2, 3)}
            assert opened.final == FINAL
            assert opened.leaves[1].latent == tensor_hash(ROWS[1][0])
        opened = await world.ask(AUDITOR, 1, source=1)
        assert (opened.final, opened.source) == (b"", b"")
        assert world.server.counts == OpeningCounts(opened=3)


async def test_what_a_source_image_was_encoded_to_is_opened_too(tmp_path):
    source = b"\x05" * 70_000
    async with open_world(tmp_path, source) as world:
        opened = await world.ask(AUDITOR, 0, source=1)
        assert (opened.source, opened.final) == (source, b"")
        opened = await world.ask(AUDITOR, 0, final=1, source=1)
        assert (opened.source, opened.final) == (source, FINAL)
        assert (await world.ask(AUDITOR, 0)).source == b""


async def test_an_auditor_gets_all_that_it_needs_on_one_stream_from_the_miner(tmp_path):
    latent = b"\x05" * 70_000
    async with open_world(tmp_path, latent) as world:
        for asker in (AUDITOR, COORDINATOR):
            work, opened = await world.ask_all(asker, 1, 3)
            assert work == KEPT
            assert opened.tensors == {step: ROWS[step] for step in (1, 3)}
            assert (opened.final, opened.source) == (FINAL, latent)
        with pytest.raises(RemoteAborted, match="neither an auditor nor the coordinator"):
            await world.ask_all(STRANGER, 1)
        assert world.server.counts == OpeningCounts(opened=2, stranger=1)


OTHER_INPUT = image_input(ImageNumbers(2, 4_000, len(ROWS)), ("a cat", ""), bytes(32), 0, SOURCE)
LIES = {
    "another seed": dataclasses.replace(KEPT, task_input=OTHER_INPUT),
    "another source": dataclasses.replace(KEPT, sources=(SOURCE[:-1] + b"!",)),
    "a shorter source": dataclasses.replace(KEPT, sources=(SOURCE[:-1],)),
    "no source": dataclasses.replace(KEPT, sources=()),
    "another picture": dataclasses.replace(KEPT, picture=PICTURE[:-1] + b"!"),
    "a shorter picture": dataclasses.replace(KEPT, picture=PICTURE[:-1]),
    "a longer picture": dataclasses.replace(KEPT, picture=PICTURE + b"!"),
    "no picture": dataclasses.replace(KEPT, picture=b""),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_attack_input_source_or_picture_swapped_for_the_auditor(tmp_path, lie):
    """What the miner shows is held against what it and the coordinator have signed, byte for byte."""
    async with open_world(tmp_path) as world:
        world.keep(lie.encode())
        with pytest.raises(ProtocolError):
            await world.ask_all(AUDITOR, 1)


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\0\0\0\5ab", bytes(8), KEPT.encode()[:-1], KEPT.encode() + b"!"]
)
async def test_work_that_is_damaged_on_disk_is_not_passed_on(tmp_path, data):
    async with open_world(tmp_path) as world:
        world.keep(data)
        with pytest.raises(RemoteAborted):
            await world.ask_all(AUDITOR, 1)
        assert world.server.counts == OpeningCounts(damaged=1)
        # The opening alone is still to be had.
        await world.ask(AUDITOR, 1)


async def test_clear_refusals(tmp_path):
    async with open_world(tmp_path) as world:
        with pytest.raises(RemoteAborted, match="no trace of this task is here"):
            await world.ask(AUDITOR, 0, task_id=bytes(32))
        with pytest.raises(RemoteAborted, match="neither an auditor nor the coordinator"):
            await world.ask(STRANGER, 0)
        for steps in ((4,), (1, 0), (1, 1)):
            with pytest.raises((RemoteAborted, InvalidMessage)):
                await world.ask(AUDITOR, *steps)
        world.clock.now_ms += 24 * 3600 * 1000
        with pytest.raises(RemoteAborted, match="no trace"):
            await world.ask(AUDITOR, 0)
        assert world.server.counts == OpeningCounts(unknown=2, stranger=1)


async def test_who_was_not_drawn_gets_nothing_also_with_stake(tmp_path):
    """Work that the dice do not select is nobody's to see but the buyer's."""
    async with open_world(tmp_path) as world:
        nothing = AuditTerms(selected_ppm=0, newcomer_ppm=0)
        world.view = dataclasses.replace(world.view, audit_terms=nothing)
        with pytest.raises(RemoteAborted, match="neither an auditor nor the coordinator"):
            await world.ask(AUDITOR, 0)
        assert world.bought == []
        await world.ask(COORDINATOR, 0)
        assert world.bought == [TASK.digest]
        assert world.server.counts == OpeningCounts(stranger=1, opened=1)


async def test_a_task_that_its_buyer_alone_audits_is_opened_to_nobody_else(tmp_path):
    task = the_task(audits=Audits.BUYER_ONLY)
    async with open_world(tmp_path, task=task) as world:
        with pytest.raises(RemoteAborted, match="its buyer's alone to audit"):
            await world.ask(AUDITOR, 0, task_id=task.digest)
        await world.ask(COORDINATOR, 0, task_id=task.digest)


async def test_an_auditor_that_comes_before_the_block_is_known_here_is_told_to_ask_again(tmp_path):
    """And the block is looked for: after a restart nothing else would make this node do so."""
    async with open_world(tmp_path) as world:
        world.view = dataclasses.replace(world.view, beacons={})
        with pytest.raises(RemoteAborted, match="not known here yet: ask again"):
            await world.ask(AUDITOR, 0)
        assert world.wanted == [TASK.message.deadline_ms]
        world.view = dataclasses.replace(world.view, beacons=BEACONS)
        await world.ask(AUDITOR, 0)
        assert world.server.counts == OpeningCounts(early=1, opened=1)


async def test_an_honest_miner_opens_after_a_restart_when_the_chain_has_gone_on_for_hours(tmp_path):
    """A refusal would be a withheld opening, and cost the stake."""
    async with open_world(tmp_path) as world:
        world.clock.now_ms += 5 * 3600 * 1000
        world.use(WorkRecords(tmp_path / "works", DOMAIN, world.clock()))
        await world.ask(AUDITOR, 0)


async def test_work_of_which_the_epoch_is_lost_is_opened_to_the_coordinator_alone(tmp_path):
    async with open_world(tmp_path) as world:
        world.use(WorkRecords(tmp_path / "others", DOMAIN, world.clock()))
        with pytest.raises(RemoteAborted, match="nobody can say any more who audits"):
            await world.ask(AUDITOR, 0)
        await world.ask(COORDINATOR, 0)


async def test_attack_flood_of_requests(tmp_path):
    async with open_world(tmp_path) as world:
        world.server._asked[world.hosts[AUDITOR].peer_id] = (5, REQUESTS_PER_PEER_MAX - 1)
        await world.ask(AUDITOR, 0)
        with pytest.raises(RemoteAborted, match="too often"):
            await world.ask(AUDITOR, 0)
        await world.ask(COORDINATOR, 0)
        world.clock.now_ms += WINDOW_MS
        await world.ask(AUDITOR, 0)
        assert world.server.counts == OpeningCounts(opened=3, too_often=1)


async def test_attack_a_buyer_asks_for_its_work_without_end(tmp_path, monkeypatch):
    """It gets its share of bytes, the last opening whole; auditors have no such bound but the dice."""
    monkeypatch.setattr(buyer_shares, "BUYER_BYTES_MAX", 500_000)
    async with open_world(tmp_path) as world:
        for _ in range(2):
            await world.ask(COORDINATOR, 0, 1)
        given = world.server.buyers.counts.given_bytes
        assert 500_000 < given < 2 * 500_000
        for _ in range(3):
            with pytest.raises(RemoteAborted, match="you have had your share of bytes"):
                await world.ask(COORDINATOR, 0)
        for _ in range(3):
            await world.ask(AUDITOR, 0, 1)
        assert world.server.counts == OpeningCounts(opened=5)
        assert world.server.buyers.counts == BuyerCounts(given_bytes=given, refused=3)
        assert len(world.bought) == 2
        world.clock.now_ms += BUYER_WINDOW_MS
        await world.ask(COORDINATOR, 0)
        assert world.server.buyers.counts.given_bytes > given


async def test_attack_opening_of_another_trace(tmp_path):
    async with open_world(tmp_path) as world:
        world.root = bytes(32)
        with pytest.raises(InvalidMessage, match="committed trace"):
            await world.ask(AUDITOR, 0)


async def test_a_damaged_trace_is_not_passed_on(tmp_path):
    async with open_world(tmp_path) as world:
        path = world.store.path_of(TASK.digest)
        data = bytearray(path.read_bytes())
        data[100] ^= 1
        path.write_bytes(data)
        with pytest.raises(RemoteAborted):
            await world.ask(AUDITOR, 0)
        assert (await world.ask(AUDITOR, 2)).tensors == {2: ROWS[2]}
        assert world.server.counts == OpeningCounts(damaged=1, opened=1)


async def test_attack_no_request_at_all(tmp_path):
    async with open_world(tmp_path) as world:
        async with world.hosts[AUDITOR].open_direct_stream(
            world.hosts[MINER].peer_id, OPENINGS_PROTOCOL
        ) as stream:
            await stream.finish()
            with pytest.raises(RemoteAborted):
                await stream.receive()
        await world.ask(AUDITOR, 0)
