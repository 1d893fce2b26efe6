"""A miner as a peer knows it: its stake and offer, the tasks it was drawn for, and why it had no others.

Is: an answer in words and counts from the chain's facts and from what gossip has brought; any peer's, since
all announcements say who was drawn and who was passed over.
Is not: a proof; and of what this peer has forgotten or never heard it says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

import trio

from node.system.control import Control
from protocol.audit import Audits, AuditVerdict, Verdict, verdict_slot
from protocol.audit_draw import AuditedWork, draw_audit
from protocol.draw import EpochView
from protocol.errors import Refusal
from protocol.messages import Kind, Offer, PassedOver, ResultCommitment, TaskAnnouncement
from protocol.rules.view import Seen, View
from protocol.signature import ADDRESS_BYTES
from protocol.statement import Statement, read_envelope

TASKS_TOLD_MAX: Final = 20
"""Tasks that are told of one by one, the newest first."""
DECISION_WORDS: Final = {
    PassedOver.ASSIGNED: "assigned",
    PassedOver.NO_OFFER: "passed over: it has no live offer for this model and kind of work",
    PassedOver.TOO_EXPENSIVE: "passed over: it asks for more than is paid",
    PassedOver.BUSY: "passed over: it works on as many tasks of this coordinator as it takes at a time",
    PassedOver.EXPERIENCE: "passed over: it failed this coordinator a short while ago",
}
"""The coordinator's decision on a drawn miner."""
DELIVERED: Final = "delivered"
FORESTALLED: Final = "another miner delivered"
NOBODY: Final = "no result was heard"


@dataclass(frozen=True, slots=True)
class TaskOfMiner:
    """A task that the miner was drawn for.

    :ivar rank: in the draw, from 0. :ivar decision: the coordinator's, in words.
    :ivar came_to: `DELIVERED`, `FORESTALLED` or `NOBODY`, by the commitments that were heard.
    :ivar audits: of the miner's work, in words; empty without work.
    """

    task_id: bytes
    coordinator: bytes
    announced_at_ms: int
    rank: int
    decision: str
    came_to: str
    price_micro_cai: int
    audits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MinerStory:
    """All of it.

    :ivar epoch: the latest; None before the first.
    :ivar weight_micro_cai: of the miner in its draw. :ivar weights_micro_cai: of all.
    :ivar offer_until_ms: when its offer lapses or has lapsed; 0 if none was heard.
    :ivar models: ids of those it offers.
    :ivar tasks_heard: announcements that this peer remembers. :ivar since_ms: the oldest of them; 0 for none.
    :ivar decisions: how often it was drawn, by what the coordinators made of it, in words.
    :ivar outcomes: of the tasks that it was assigned to, likewise.
    :ivar why_no_work: sentences, the weightiest first; empty if it has delivered.
    :ivar tasks: the newest that it was drawn for.
    """

    miner: bytes
    epoch: int | None
    weight_micro_cai: int
    weights_micro_cai: int
    offer_until_ms: int
    models: tuple[bytes, ...]
    tasks_heard: int
    since_ms: int
    decisions: Mapping[str, int]
    outcomes: Mapping[str, int]
    why_no_work: tuple[str, ...]
    tasks: tuple[TaskOfMiner, ...]


@dataclass(frozen=True, slots=True)
class ExplainMiner:
    """A question. :ivar miner: on-chain address, 20 bytes."""

    miner: bytes


@dataclass(frozen=True, slots=True)
class ExplainedMiner:
    """The answer. :ivar here: what the node itself knows of the miner, by its role; None if nothing."""

    story: MinerStory
    here: object


def answer_explaining(
    control: Control,
    seen: Seen,
    view: Callable[[], View],
    now_ms: Callable[[], int],
    here: Callable[[bytes], object],
) -> None:
    """Have commands ask about miners: the act ``explain_miner``. :param here: see `ExplainedMiner`."""

    async def explain(question: ExplainMiner) -> ExplainedMiner:
        if len(question.miner) != ADDRESS_BYTES:
            raise Refusal("an on-chain address has 20 bytes")
        await trio.lowlevel.checkpoint()
        return ExplainedMiner(story_of(question.miner, seen, view(), now_ms()), here(question.miner))

    control.register("explain_miner", ExplainMiner, explain)


def story_of(miner: bytes, seen: Seen, view: View, now_ms: int) -> MinerStory:
    """The story of a miner, by address. :param now_ms: Unix milliseconds."""
    heard = list(seen.tasks.values())
    places = {task.digest: _rank(task.message, miner) for task in heard}
    drawn = [task for task in heard if places[task.digest] is not None]
    deliverers = dict(seen.commitments.keys())
    decisions: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    for task in drawn:
        decision = _decision(task.message, places[task.digest])
        decisions[decision] += 1
        if miner in task.message.assigned:
            outcomes[_came_to(task, miner, seen, deliverers)] += 1
    stated = seen.offers.get(miner)
    offer = None if stated is None else stated.message
    latest = view.latest
    return MinerStory(
        miner=miner,
        epoch=None if latest is None else latest.number,
        weight_micro_cai=0 if latest is None else latest.miners.weight_of(miner),
        weights_micro_cai=0 if latest is None else latest.miners.total,
        offer_until_ms=0 if offer is None else offer.valid_until_ms,
        models=() if offer is None else tuple(model.model_id for model in offer.models),
        tasks_heard=len(heard),
        since_ms=min((task.message.announced_at_ms for task in heard), default=0),
        decisions=dict(decisions),
        outcomes=dict(outcomes),
        why_no_work=tuple(_why_no_work(miner, latest, offer, heard, decisions, outcomes, now_ms)),
        tasks=tuple(
            TaskOfMiner(
                task_id=task.digest,
                coordinator=task.message.coordinator,
                announced_at_ms=task.message.announced_at_ms,
                rank=places[task.digest] or 0,
                decision=_decision(task.message, places[task.digest]),
                came_to=_came_to(task, miner, seen, deliverers),
                price_micro_cai=task.message.price_micro_cai,
                audits=_audits(task, seen.commitments.get((task.digest, miner)), seen, view),
            )
            for task in islice(reversed(drawn), TASKS_TOLD_MAX)
        ),
    )


def _rank(task: TaskAnnouncement, miner: bytes) -> int | None:
    return next((rank for rank, place in enumerate(task.ranking) if place.miner == miner), None)


def _decision(task: TaskAnnouncement, rank: int | None) -> str:
    return DECISION_WORDS[PassedOver(task.ranking[rank or 0].passed_over)]


def _came_to(
    task: Statement[TaskAnnouncement], miner: bytes, seen: Seen, deliverers: Mapping[bytes, bytes]
) -> str:
    if (task.digest, miner) in seen.commitments:
        return DELIVERED
    return FORESTALLED if task.digest in deliverers else NOBODY


def _why_no_work(
    miner: bytes,
    latest: EpochView | None,
    offer: Offer | None,
    heard: list[Statement[TaskAnnouncement]],
    decisions: Counter[str],
    outcomes: Counter[str],
    now_ms: int,
) -> list[str]:
    """Sentences, the weightiest first; none of a miner that has delivered."""
    if outcomes[DELIVERED]:
        return []
    if latest is None:
        return ["this node knows no epoch yet"]
    weight, total = latest.miners.weight_of(miner), latest.miners.total
    if not weight:
        return [f"no stake of it counts in epoch {latest.number}, so no draw finds it"]
    why = _why_not_offered(offer, heard, now_ms)
    if not heard:
        why.append("this node has heard of no task of anybody")
    elif not decisions:
        share = f"with {weight * 100 / total:.3g} % of the stake it is first in one of {-(-total // weight)}"
        why.append(f"no draw of {len(heard)} has come to it; {share}")
    passed_over = Counter(decisions)
    del passed_over[DECISION_WORDS[PassedOver.ASSIGNED]]
    why += [f"{count} x {words}" for words, count in passed_over.most_common()]
    why += [f"{count} x assigned, and {words}" for words, count in outcomes.most_common()]
    return why


def _why_not_offered(offer: Offer | None, heard: list[Statement[TaskAnnouncement]], now_ms: int) -> list[str]:
    if offer is None:
        return ["this node has heard no offer of it: it does not run, is paused, or is not connected"]
    if offer.valid_until_ms <= now_ms:
        return [f"its offer has lapsed {(now_ms - offer.valid_until_ms) // 1000} s ago"]
    offered = {model.model_id for model in offer.models}
    if heard and not any(task.message.model_id in offered for task in heard):
        return [f"none of {len(heard)} tasks is for a model that it offers"]
    return []


def _audits(
    task: Statement[TaskAnnouncement],
    commitment: Statement[ResultCommitment] | None,
    seen: Seen,
    view: View,
) -> tuple[str, ...]:
    """The dice's word on some work, and the verdicts that were heard."""
    if commitment is None:
        return ()
    if task.message.audits != Audits.PUBLIC:
        return ("its buyer's alone to audit",)
    beacon = view.beacons.get(task.message.deadline_ms)
    epoch = view.epoch_of(task.message)
    if beacon is None or epoch is None:
        return ("its dice are not known",)
    draw = seen.audits.get((commitment.digest, beacon.hash)) or draw_audit(
        epoch, AuditedWork.of(task.message, commitment), beacon, view.audit_terms
    )
    if not draw.is_selected:
        return ("not selected",)
    slot = verdict_slot(task.digest, commitment.signer.address)
    return tuple(f"0x{auditor.hex()}: {_verdict(seen, auditor, slot)}" for auditor, _ in draw.auditors)


def _verdict(seen: Seen, auditor: bytes, slot: bytes) -> str:
    encoded = seen.statements.get((Kind.AUDIT_VERDICT.value, auditor, slot))
    if encoded is None:
        return "no verdict was heard"
    _, message = read_envelope(encoded)
    assert isinstance(message, AuditVerdict)
    return Verdict(message.verdict).name.lower().replace("_", " ")
