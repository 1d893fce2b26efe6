"""Evidence on its way to disk and mesh: off the event loop, slashable first, with counts of what is lost."""

import threading
from contextlib import suppress

import pytest
import structlog.testing
import trio

from node.peer import evidence_desk
from node.peer.doubted_rankings import DOUBT_S
from node.peer.evidence_desk import EvidenceDesk, EvidenceStatus
from node.peer.evidence_queue import FoundEvidence
from protocol.draw import EpochView, Snapshot
from protocol.errors import GossipIgnore, GossipReject, LocalError, ProtocolError
from protocol.evidence import TwoStatements, WrongRanking, verify_evidence
from protocol.rules.evidence import validate_evidence
from protocol.rules.view import Seen, View
from tests.node.peer.test_evidence_store import doubled
from tests.protocol import builders
from tests.protocol.builders import (
    DOMAIN,
    FIRST_RANKED,
    MINERS,
    NOW_MS,
    SECOND_RANKED,
    TERMS,
    WEI_PER_CAI,
    changed,
    sealed,
)
from tests.protocol.traces import false_verdict

EPOCHS = builders.view().epochs
HOSTILE_PIECES = 10_000
HOSTILE_COORDINATORS = 1_100
"""More than there may be files."""


class Gossip:
    """What the mesh was told to publish."""

    def __init__(self):
        self.published = []
        self.refusal = None

    async def publish(self, data):
        await trio.lowlevel.checkpoint()
        if self.refusal is not None:
            raise LocalError(self.refusal)
        self.published.append(data)


@pytest.fixture
def gossip():
    return Gossip()


async def seed_of(number):
    await trio.lowlevel.checkpoint()
    return builders.EPOCH.seed


@pytest.fixture
def desk(tmp_path, gossip):
    return EvidenceDesk(tmp_path / "evidence", DOMAIN, lambda: EPOCHS, gossip.publish, seed_of)


def found(evidence):
    return FoundEvidence(evidence, verify_evidence(DOMAIN, evidence, EPOCHS), EPOCHS)


async def settled(desk):
    """Wait until nothing waits to be written."""
    while desk.status().waiting:
        await trio.sleep(0.001)
    await trio.testing.wait_all_tasks_blocked()


async def test_what_is_found_is_written_and_gossiped_and_what_is_heard_is_written(
    desk, gossip, nursery, tmp_path
):
    nursery.start_soon(desk.run)
    heard = found(doubled(SECOND_RANKED))
    with structlog.testing.capture_logs() as told:
        desk.found(doubled(FIRST_RANKED))
        desk.heard(heard.evidence, heard.offence)
        desk.found(builders.false_part())
        assert desk.status().waiting == 3
        await settled(desk)
    assert gossip.published == [doubled(FIRST_RANKED).encode(), builders.false_part().encode()]
    status = desk.status()
    assert (status.files, status.slashable, status.not_kept, status.not_gossiped) == (3, 2, 0, 0)
    judged = [entry["next"].split()[1] for entry in told if entry["event"] == "offence"]
    assert judged == ["submit", "submit", "verify"]
    nursery.cancel_scope.cancel()


async def test_files_are_written_by_a_thread(desk, nursery, monkeypatch):
    threads = []
    real = evidence_desk.EvidenceStore.add

    def add(*arguments):
        threads.append(threading.get_ident())
        return real(*arguments)

    monkeypatch.setattr(evidence_desk.EvidenceStore, "add", add)
    nursery.start_soon(desk.run)
    desk.found(doubled(FIRST_RANKED))
    await settled(desk)
    assert threads
    assert threading.get_ident() not in threads
    nursery.cancel_scope.cancel()


async def test_a_node_that_stops_writes_what_waits(desk):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.run)
        await trio.testing.wait_all_tasks_blocked()
        for miner in MINERS.values():
            desk.found(doubled(miner))
        nursery.cancel_scope.cancel()
    assert desk.status().files == len(MINERS)


async def test_a_disk_that_takes_nothing_is_told_and_counted_and_tried_again(desk, nursery, tmp_path):
    (tmp_path / "evidence").write_text("a file where the folder should be")
    nursery.start_soon(desk.run)
    with structlog.testing.capture_logs() as told:
        desk.found(doubled(FIRST_RANKED))
        await settled(desk)
    assert [entry["event"] for entry in told] == ["evidence could not be written"]
    assert desk.status() == EvidenceStatus(0, 0, 0, waiting=0, doubted=0, not_kept=1, not_gossiped=0)
    (tmp_path / "evidence").unlink()
    desk.found(doubled(FIRST_RANKED))
    await settled(desk)
    assert desk.status().files == 1
    nursery.cancel_scope.cancel()


async def test_what_has_no_room_in_the_folder_is_told_and_counted(desk, nursery, monkeypatch):
    monkeypatch.setattr("node.peer.evidence_store.FILES_MAX", 1)
    nursery.start_soon(desk.run)
    desk.found(false_verdict())
    await settled(desk)
    with structlog.testing.capture_logs() as told:
        desk.found(builders.false_part())
        await settled(desk)
    signer = "0x" + FIRST_RANKED.address.hex()
    assert told == [
        {
            "event": "no room for evidence: it is not kept",
            "log_level": "warning",
            "fault": "false_part",
            "signer": signer,
        }
    ]
    assert (desk.status().files, desk.status().not_kept) == (1, 1)
    nursery.cancel_scope.cancel()


async def test_a_part_too_long_for_gossip_is_kept_and_counted(desk, gossip, nursery, monkeypatch):
    monkeypatch.setattr(evidence_desk, "GOSSIP_BYTES_MAX", 100)
    nursery.start_soon(desk.run)
    desk.found(builders.false_part())
    await settled(desk)
    assert (gossip.published, desk.status().files, desk.status().not_gossiped) == ([], 1, 1)
    nursery.cancel_scope.cancel()


async def test_gossip_that_refuses_ends_nothing(desk, gossip, nursery):
    gossip.refusal = "offence is known"
    nursery.start_soon(desk.run)
    desk.found(doubled(FIRST_RANKED))
    await settled(desk)
    gossip.refusal = None
    desk.found(doubled(SECOND_RANKED))
    await settled(desk)
    assert gossip.published == [doubled(SECOND_RANKED).encode()]
    nursery.cancel_scope.cancel()


async def test_what_waits_too_much_is_told(desk, monkeypatch, tmp_path, gossip):
    monkeypatch.setattr(evidence_desk, "WAITING_MAX", 1)
    desk = EvidenceDesk(tmp_path / "evidence", DOMAIN, lambda: EPOCHS, gossip.publish, seed_of)
    with structlog.testing.capture_logs() as told:
        desk.found(false_verdict())
        desk.found(builders.false_part())
    assert [entry["event"] for entry in told] == [
        "too much evidence at once: a piece is not kept",
        "too much evidence at once: a piece is not gossiped",
    ]
    assert (desk.status().not_kept, desk.status().not_gossiped) == (1, 1)


async def test_a_wrong_ranking_waits_for_the_chain_and_what_is_heard_does_not(
    desk, gossip, nursery, autojump_clock
):
    nursery.start_soon(desk.run)
    desk.found(builders.wrong_ranking())
    await trio.testing.wait_all_tasks_blocked()
    status = desk.status()
    assert (status.doubted, status.files, gossip.published) == (1, 0, [])
    await trio.sleep(DOUBT_S + 1)
    await settled(desk)
    assert (desk.status().doubted, desk.status().files) == (0, 1)
    assert gossip.published == [builders.wrong_ranking().encode()]
    desk.found(builders.wrong_ranking())
    assert desk.status().doubted == 0
    nursery.cancel_scope.cancel()


async def test_what_proves_nothing_is_our_bug(desk):
    one = sealed(FIRST_RANKED, builders.commitment())
    with pytest.raises(ProtocolError):
        desk.found(TwoStatements(one, one))


def hostile_view():
    """An epoch with many coordinators, all of them the attacker's; and the miners of the tests."""
    liars = [builders.key(f"liar {number}") for number in range(HOSTILE_COORDINATORS)]
    coordinators = Snapshot.of([(liar.address, 2_000_001 * WEI_PER_CAI) for liar in liars])
    epoch = EpochView(7, builders.EPOCH.seed, builders.EPOCH.miners, coordinators)
    return liars, View(DOMAIN, {7: epoch}, TERMS)


def hostile_pieces(liars):
    """Evidence that verifies, all of it worth nothing: of what any miner, and any coordinator, can make.

    False parts of tasks that nobody announced; one miner's double offers, a slot each; wrong rankings of more
    coordinators than there may be files, and as many more of theirs as fill up the number.
    """
    attacker = SECOND_RANKED
    for number in range(HOSTILE_PIECES // 4):
        committed = builders.commitment(task_id=number.to_bytes(32, "big"))
        part = builders.chunk(task_id=committed.task_id, payload=b"!")
        yield builders.FalsePart.of(sealed(attacker, part), sealed(attacker, committed), builders.IMAGE, 0)
    for number in range(HOSTILE_PIECES // 4):
        offers = (sealed(attacker, builders.offer(sequence=number, capacity=one)) for one in (1, 2))
        yield TwoStatements.pair(*offers)
    for liar in liars:
        yield WrongRanking(lie(liar))
    for number in range(HOSTILE_PIECES - 2 * (HOSTILE_PIECES // 4) - len(liars)):
        liar = liars[number % len(liars)]
        yield WrongRanking(lie(liar, number=builders.TASK.message.number + 1 + number))


def lie(liar, **changes):
    """A coordinator's announcement that ranks the coordinator itself."""
    ranking = (changed(builders.TASK.message.ranking[0], miner=liar.address),)
    return sealed(liar, changed(builders.TASK.message, coordinator=liar.address, ranking=ranking, **changes))


async def test_attack_10000_pieces_of_evidence_crowd_out_nothing(tmp_path, gossip, nursery, monkeypatch):
    monkeypatch.setattr("node.system.files.os.fsync", lambda descriptor: None)
    liars, view = hostile_view()
    seen, pieces, accepted = Seen(), 0, 0
    desk = EvidenceDesk(tmp_path / "evidence", DOMAIN, lambda: view.epochs, gossip.publish, seed_of)
    nursery.start_soon(desk.run)

    def hear(data):
        desk.heard(*validate_evidence(seen, view, data, NOW_MS))

    with structlog.testing.capture_logs():
        for piece in hostile_pieces(liars):
            pieces += 1
            with suppress(GossipIgnore, GossipReject):
                hear(piece.encode())
                accepted += 1
            await trio.lowlevel.checkpoint()
    # The miner's one equivocation, and each coordinator's fault; nothing of unknown tasks.
    assert (pieces, accepted) == (HOSTILE_PIECES, 1 + HOSTILE_COORDINATORS)
    real = doubled(FIRST_RANKED)
    hear(real.encode())
    desk.found(doubled(MINERS["eve"]))
    while desk.status().waiting:
        await trio.sleep(0.01)
    written = {path.name for path in (tmp_path / "evidence").iterdir()}
    assert f"equivocation-{FIRST_RANKED.address.hex()}.json" in written
    assert f"equivocation-{MINERS['eve'].address.hex()}.json" in written
    assert gossip.published == [doubled(MINERS["eve"]).encode()]
    status = desk.status()
    assert status.slashable == len({SECOND_RANKED, FIRST_RANKED, MINERS["eve"]})
    assert status.files <= 1_000
    assert status.files + status.not_kept >= accepted
    nursery.cancel_scope.cancel()
