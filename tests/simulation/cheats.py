"""Every slashable act, committed by somebody in a simulated market.

Is: one function an act; each signs without a guard and says one thing here, another there.
Is not: detection; the honest peers' rules, and a coordinator's intake, do that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from node.coordinator.result_intake import FalseOutput, ResultIntake
from p2p.gossip.wire import encode_messages
from protocol.audit import AuditReason, AuditVerdict, Verdict
from protocol.draw import auditors
from protocol.evidence import Fault
from protocol.hashing import sha256
from protocol.messages import ChunkKind, Offer, ResultChunk, TaskAcceptance
from protocol.png import PNG_SIGNATURE
from protocol.rules import offers, results, tasks, verdicts
from protocol.rules.verdicts import AUDITORS_PER_TASK
from tests.protocol.builders import DOMAIN, model_offer, opened, sealed
from tests.simulation.network import OFFER_LIFE_MS
from tests.simulation.peer import Peer
from tests.simulation.roles import STEPS, Coordinator, Market, Miner, Task, commitment, work

Cheat = Callable[[Market], Peer]
"""Commits its act now and says who did it."""


def say_to_half(cheat: Peer, topic: str, one: bytes, other: bytes) -> None:
    """Send one thing to every second peer, and another to the rest, past our own router."""
    world, number = cheat.node.world, cheat.node.number
    for place, peer in enumerate(world.links[number]):
        world.send(number, peer, encode_messages([(topic, (one, other)[place % 2])]))


def two_offers(market: Market) -> Peer:
    """A miner offers one model at two prices under one number."""
    cheat = _somebody_new(market, market.miners).peer
    one, other = (
        Offer(77, cheat.now_ms, cheat.now_ms + OFFER_LIFE_MS, 1, (model_offer(price),))
        for price in (1_000_000, 2_000_000)
    )
    say_to_half(cheat, offers.TOPIC, sealed(cheat.key, one), sealed(cheat.key, other))
    return cheat


def two_announcements(market: Market) -> Peer:
    """A coordinator announces two tasks under one number."""
    coordinator = _coordinator(market, 0)
    one, other = (coordinator.announcement(work=work(steps)) for steps in (STEPS, STEPS + 1))
    key = coordinator.peer.key
    say_to_half(coordinator.peer, tasks.TOPIC, sealed(key, one), sealed(key, other))
    return coordinator.peer


def broken_sequence(market: Market) -> Peer:
    """A coordinator's task names another predecessor than it had: there were two chains."""
    coordinator = _coordinator(market, 1)
    data = sealed(coordinator.peer.key, coordinator.announcement(previous=sha256(b"another task")))
    say_to_half(coordinator.peer, tasks.TOPIC, data, data)
    return coordinator.peer


def wrong_ranking(market: Market) -> Peer:
    """A coordinator puts a miner first that was not drawn first."""
    coordinator = _coordinator(market, 2)
    honest = coordinator.announcement()
    data = sealed(coordinator.peer.key, coordinator.announcement(ranking=honest.ranking[::-1]))
    say_to_half(coordinator.peer, tasks.TOPIC, data, data)
    return coordinator.peer


def two_commitments(market: Market) -> Peer:
    """A miner commits to two images for one task."""
    task = _task(market, 0)
    cheat = _somebody_new(market, task.statement.message.assigned[1:]).peer
    one, other = (commitment(task.statement.digest, image) for image in (b"one", b"other"))
    say_to_half(cheat, results.TOPIC, sealed(cheat.key, one), sealed(cheat.key, other))
    return cheat


def two_verdicts(market: Market) -> Peer:
    """An auditor finds one piece of work honest and a fault in it."""
    task = _task(market, 1).statement
    seed = market.draw(task.message.coordinator, task.message.number)
    # Not the first one drawn: it gives honest verdicts of its own.
    drawn = auditors(market.epoch.miners, seed, task.message.assigned, AUDITORS_PER_TASK)[1:]
    cheat = _somebody_new(market, drawn).peer
    one, other = (
        AuditVerdict(task.digest, task.message.assigned[0], verdict, (0, 1), reason)
        for verdict, reason in ((Verdict.HONEST, AuditReason.NONE), (Verdict.FAULT, _SOME_REASON))
    )
    say_to_half(cheat, verdicts.TOPIC, sealed(cheat.key, one), sealed(cheat.key, other))
    return cheat


def two_acceptances(market: Market) -> Peer:
    """A miner accepts one task at two ranks, over the direct stream."""
    task = _task(market, 2)
    coordinator = market.coordinators[task.statement.message.coordinator]
    miner = _somebody_new(market, task.statement.message.assigned[1:])
    for rank in (5, 6):
        acceptance = opened(miner.peer.key, TaskAcceptance(task.statement.digest, rank))
        market.tell(miner.peer, coordinator.peer, coordinator.accepted, acceptance, miner)
    return miner.peer


def false_image(market: Market) -> Peer:
    """A miner streams one image and commits to another; the coordinator's intake notices."""
    task = _task(market, 3)
    coordinator = market.coordinators[task.statement.message.coordinator].peer
    cheat = _somebody_new(market, task.statement.message.assigned[1:]).peer
    task_id, shown = task.statement.digest, PNG_SIGNATURE + b"shown"
    chunk = ResultChunk(task_id, 0, ChunkKind.OUTPUT_PART, 0, STEPS, shown)
    intake = ResultIntake(DOMAIN, task.statement, cheat.key.address)

    def arrive() -> None:
        intake.receive(sealed(cheat.key, chunk))
        try:
            intake.receive(sealed(cheat.key, commitment(task_id, PNG_SIGNATURE + b"kept")))
        except FalseOutput as caught:
            coordinator.found_contradiction(caught.evidence)

    market.tell(cheat, coordinator, arrive)
    return cheat


ACTS: dict[str, tuple[Cheat, Fault]] = {
    "two offers": (two_offers, Fault.EQUIVOCATION),
    "two announcements": (two_announcements, Fault.EQUIVOCATION),
    "two commitments": (two_commitments, Fault.EQUIVOCATION),
    "two verdicts": (two_verdicts, Fault.EQUIVOCATION),
    "two acceptances": (two_acceptances, Fault.EQUIVOCATION),
    "broken sequence": (broken_sequence, Fault.BROKEN_SEQUENCE),
    "wrong ranking": (wrong_ranking, Fault.WRONG_RANKING),
    "false image": (false_image, Fault.FALSE_PART),
}
_SOME_REASON = next(reason for reason in AuditReason if reason is not AuditReason.NONE)


def _somebody_new(market: Market, addresses: Iterable[bytes]) -> Miner:
    """The first of some miners that has not cheated yet."""
    address = next(address for address in addresses if address not in market.cheats)
    market.cheats.add(address)
    return market.miners[address]


def _coordinator(market: Market, place: int) -> Coordinator:
    return list(market.coordinators.values())[place]


def _task(market: Market, place: int) -> Task:
    """A task of the last coordinator, which stays honest."""
    return list(_coordinator(market, -1).tasks.values())[place]
