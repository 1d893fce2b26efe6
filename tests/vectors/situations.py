"""One message in front of one rule: the form of a rule's test, and of the vector made from it.

A test of a rule returns a `Situation`; the decorators `accept`, `ignore` and `reject` judge it, assert the
exact outcome and keep it, so that `generate` writes what was tested and nothing else.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from protocol.audit_draw import BeaconBlock
from protocol.draw import EpochView, Snapshot
from protocol.errors import GossipIgnore, GossipReject
from protocol.registrations import Registrations
from protocol.rules import evidence, offers, results, tasks, verdicts
from protocol.rules.view import Contradiction, Misranked, Seen, View
from tests.protocol.builders import NOW_MS, view

RULES: dict[str, Callable[[Seen, View, bytes, int], Any]] = {
    offers.TOPIC: offers.validate_offer,
    tasks.TOPIC: tasks.validate_task,
    results.TOPIC: results.validate_result,
    verdicts.TOPIC: verdicts.validate_verdict,
    evidence.TOPIC: evidence.validate_evidence,
}


@dataclass(frozen=True, slots=True)
class Gossip:
    """A message on a topic.

    :ivar padded_to: zero bytes follow up to this length; 0 for none.
    :ivar now_ms: when it is judged.
    """

    topic: str
    data: bytes
    padded_to: int = 0
    now_ms: int = NOW_MS

    @property
    def padded(self) -> bytes:
        return self.data.ljust(self.padded_to, b"\x00")


@dataclass(frozen=True, slots=True)
class Situation:
    """A message, and all that its rule may look at.

    :ivar before: messages that the same peer accepted before.
    :ivar later_view: what it knows when `message` comes, if the chain has gone on since.
    """

    message: Gossip
    before: tuple[Gossip, ...] = ()
    view: View | None = None
    later_view: View | None = None

    @property
    def known(self) -> View:
        return view() if self.view is None else self.view


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule decided. :ivar reason: empty when accepted. :ivar evidence: of an equivocation, encoded."""

    expected: str
    reason: str = ""
    evidence: bytes = b""


def judge(situation: Situation) -> Outcome:
    """What the rules of a fresh peer say; what goes before must be accepted."""
    seen = Seen()
    for gossip in situation.before:
        RULES[gossip.topic](seen, situation.known, gossip.padded, gossip.now_ms)
    remembered = memory(seen)
    try:
        message = situation.message
        known = situation.known if situation.later_view is None else situation.later_view
        RULES[message.topic](seen, known, message.padded, message.now_ms)
    except GossipIgnore as ignored:
        outcome = Outcome("ignore", ignored.reason)
        if isinstance(ignored, Contradiction):
            outcome = Outcome("ignore", ignored.reason, ignored.evidence.encode())
    except GossipReject as rejected:
        caught = rejected.evidence.encode() if isinstance(rejected, Misranked) else b""
        outcome = Outcome("reject", rejected.reason, caught)
    else:
        assert memory(seen) != remembered, "what is accepted is remembered"
        return Outcome("accept")
    assert memory(seen) == remembered, "what is not accepted leaves no trace"
    return outcome


def memory(seen: Seen) -> list[Any]:
    """All that a peer remembers, but for draws, which follow from what it has accepted."""
    return [
        list(getattr(seen, field.name).items())
        for field in dataclasses.fields(seen)
        if field.name not in {"audits", "audit_seeds"}
    ]


Make = Callable[[], Situation]
Test = Callable[[], None]


def _expecting(expected: Outcome, make: Make) -> Test:
    topic, _, why = make.__name__.removeprefix("test_").partition("__")
    assert why.startswith(expected.expected), f"{make.__name__} does not say {expected.expected}"
    assert topic in RULES

    @functools.wraps(make)
    def test() -> None:
        situation = make()
        assert situation.message.topic == topic
        outcome = judge(situation)
        assert (outcome.expected, outcome.reason) == (expected.expected, expected.reason)

    test.situation = make  # type: ignore[attr-defined]
    return test


def accept(make: Make) -> Test:
    return _expecting(Outcome("accept"), make)


def ignore(reason: str) -> Callable[[Make], Test]:
    return functools.partial(_expecting, Outcome("ignore", reason))


def reject(reason: str) -> Callable[[Make], Test]:
    return functools.partial(_expecting, Outcome("reject", reason))


def view_document(known: View, *, audits: bool = False) -> dict[str, Any]:
    """A view as JSON: hexadecimal bytes, decimal strings for weights.

    :param audits: with what audits need besides.
    """
    document = {
        "chain_id": known.domain.chain_id,
        "slashing_contract": known.domain.verifying_contract.hex(),
        "head_start_ms": known.terms.head_start_ms,
        "life_ms_max": known.terms.life_ms_max,
        "epochs": [epoch_document(epoch) for epoch in known.epochs.values()],
        "settling_until_ms": {str(number): until for number, until in known.settling_until_ms.items()},
    }
    return document | audits_document(known) if audits else document


def audits_document(known: View) -> dict[str, Any]:
    """The part of a view that audits need. All epochs have the same nodes with the same owners."""
    epochs = {**known.epochs, **known.past_epochs}.values()
    return {
        "past_epochs": [epoch_document(epoch) for epoch in known.past_epochs.values()],
        "registrations": registrations_document(next(iter(epochs)).registrations),
        "audit_terms": dataclasses.asdict(known.audit_terms),
        "beacons": {str(deadline_ms): block_document(block) for deadline_ms, block in known.beacons.items()},
        "beacons_settling_until_ms": known.beacons_settling_until_ms,
        "newest_block_ms": known.newest_block_ms,
    }


def epoch_document(epoch: EpochView) -> dict[str, Any]:
    return {
        "number": epoch.number,
        "seed": epoch.seed.hex(),
        "miners": snapshot_document(epoch.miners),
        "coordinators": snapshot_document(epoch.coordinators),
    }


def registrations_document(registrations: Registrations) -> list[dict[str, Any]]:
    starts = range(0, len(registrations.nodes), 20)
    nodes = [registrations.nodes[start : start + 20] for start in starts]
    return [
        {
            "node": node.hex(),
            "owner": registrations.owner_of(node).hex(),
            "block": registrations.block_of(node),
        }
        for node in nodes
    ]


def block_document(block: BeaconBlock) -> dict[str, Any]:
    return {"number": block.number, "hash": block.hash.hex(), "time_ms": block.time_ms}


def snapshot_document(snapshot: Snapshot) -> list[dict[str, str]]:
    return [
        {"address": miner.hex(), "weight_micro_cai": str(weight)}
        for miner, weight in zip(snapshot.miners, snapshot.weights, strict=True)
    ]


def view_without_epoch(number: int) -> View:
    whole = view()
    others = {other: epoch for other, epoch in whole.epochs.items() if other != number}
    return dataclasses.replace(whole, epochs=others)


def view_settling(number: int, until_ms: int) -> View:
    """The seed of an epoch has just changed."""
    return dataclasses.replace(view(), settling_until_ms={number: until_ms})


def view_with(epoch: EpochView) -> View:
    whole = view()
    return dataclasses.replace(whole, epochs={**whole.epochs, epoch.number: epoch})
