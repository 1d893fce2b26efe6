"""Every slashable act, committed by somebody in a simulated market.

Is: one function an act; each signs without a guard and says one thing here, another there.
Is not: detection; the honest peers' rules do that, and what passes by a stream, the coordinator's engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from p2p.gossip.wire import encode_messages
from protocol.audit import AuditReason, Verdict
from protocol.draw import rank_for_task, task_seed
from protocol.evidence import Fault
from protocol.hashing import sha256
from protocol.merkle import merkle_root
from protocol.messages import Offer, ResultCommitment, TaskAcceptance, TaskAnnouncement
from protocol.rules import offers, results, tasks, verdicts
from protocol.statement import Statement
from tests.protocol.builders import everybody, model_offer, opened, sealed
from tests.simulation.auditor import audit_of, verdict_on
from tests.simulation.coordinator import ASSIGNED, STEPS, Coordinator, work
from tests.simulation.market import Market
from tests.simulation.miner import OFFER_LIFE_MS, Miner
from tests.simulation.peer import Peer

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
    one, other = (_next(market, coordinator, work=work(steps)) for steps in (STEPS, STEPS + 1))
    key = coordinator.peer.key
    say_to_half(coordinator.peer, tasks.TOPIC, sealed(key, one), sealed(key, other))
    return coordinator.peer


def broken_sequence(market: Market) -> Peer:
    """A coordinator's task names another predecessor than it had: there were two chains."""
    coordinator = _coordinator(market, 1)
    data = sealed(coordinator.peer.key, _next(market, coordinator, previous=sha256(b"another task")))
    say_to_half(coordinator.peer, tasks.TOPIC, data, data)
    return coordinator.peer


def wrong_ranking(market: Market) -> Peer:
    """A coordinator puts a miner first that was not drawn first."""
    coordinator = _coordinator(market, 2)
    honest = _next(market, coordinator)
    data = sealed(coordinator.peer.key, replace(honest, ranking=honest.ranking[::-1]))
    say_to_half(coordinator.peer, tasks.TOPIC, data, data)
    return coordinator.peer


def two_commitments(market: Market) -> Peer:
    """A miner commits to two images for one task."""
    task = _task(market, 0)
    cheat = _somebody_new(market, task.message.assigned[1:]).peer
    one, other = (_commitment(task.digest, image) for image in (b"one", b"other"))
    say_to_half(cheat, results.TOPIC, sealed(cheat.key, one), sealed(cheat.key, other))
    return cheat


def two_verdicts(market: Market) -> Peer:
    """An auditor finds one piece of work honest and a fault in it."""
    seen = _coordinator(market, -1).peer.seen
    for result in seen.commitments.values():
        task = seen.tasks[result.message.task_id].message
        # Not the first one drawn: it gives honest verdicts of its own.
        auditor, steps = audit_of(market.network.view, task, result).auditors[1]
        if auditor not in market.cheats:
            break
    cheat = _somebody_new(market, [auditor]).peer
    one, other = (
        verdict_on(result, steps, *said)
        for said in ((Verdict.HONEST, AuditReason.NONE), (Verdict.FAULT, AuditReason.IMAGE))
    )
    say_to_half(cheat, verdicts.TOPIC, sealed(cheat.key, one), sealed(cheat.key, other))
    return cheat


def two_acceptances(market: Market) -> Peer:
    """A miner that works on a task accepts it again, at another rank, on a second stream."""
    coordinator, miner = _work_begins(market)
    number, streams = miner.peer.node.number, market.streams

    def accept_again(task_id: bytes) -> None:
        second = opened(miner.peer.key, TaskAcceptance(task_id, ASSIGNED)).encoded
        streams.dial(
            number,
            coordinator.peer.node.number,
            lambda stream_id: streams.send(stream_id, number, second),
            lambda reason: None,
        )

    miner.on_job = accept_again
    return miner.peer


def false_image(market: Market) -> Peer:
    """A miner streams one image and commits to another."""
    _, miner = _work_begins(market)

    def another(honest: ResultCommitment) -> bytes:
        return sealed(miner.peer.key, _commitment(honest.task_id, b"kept"))

    miner.lie = another
    return miner.peer


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


def _somebody_new(market: Market, addresses: Iterable[bytes]) -> Miner:
    """The first of some miners that has not cheated yet."""
    address = next(address for address in addresses if address not in market.cheats)
    market.cheats.add(address)
    return market.miners[address]


def _coordinator(market: Market, place: int) -> Coordinator:
    return list(market.coordinators.values())[place]


def _task(market: Market, place: int) -> Statement[TaskAnnouncement]:
    """A task of the last coordinator, which stays honest."""
    return list(_coordinator(market, -1).announced.values())[place]


def _work_begins(market: Market) -> tuple[Coordinator, Miner]:
    """The last coordinator takes an order, and the first miner of its draw is new among cheats."""
    coordinator = _coordinator(market, -1)
    while True:
        task = coordinator.engine.book.orders[coordinator.ask().order_id].live_task
        first = task.message.assigned[0]
        if first not in market.cheats:
            return coordinator, _somebody_new(market, [first])


def _next(market: Market, coordinator: Coordinator, **changes: Any) -> TaskAnnouncement:
    """The announcement that would follow the coordinator's last one, with fields changed; past its engine."""
    last = list(coordinator.announced.values())[-1]
    number, now_ms = last.message.number + 1, coordinator.peer.now_ms
    seed = task_seed(market.epoch.seed, last.message.coordinator, number)
    honest = replace(
        last.message,
        number=number,
        previous=last.digest,
        announced_at_ms=now_ms,
        deadline_ms=now_ms + last.message.deadline_ms - last.message.announced_at_ms,
        ranking=rank_for_task(market.epoch.miners, seed, everybody, ASSIGNED),
    )
    return replace(honest, **changes)


def _commitment(task_id: bytes, image: bytes) -> ResultCommitment:
    """The commitment to an image that is one part long."""
    return ResultCommitment(
        task_id, merkle_root([image]), len(image), sha256(image), sha256(b"trace" + image), STEPS
    )
