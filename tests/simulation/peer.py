"""A peer of the market on a simulated node: production rules as validators, a guard before each signature.

Is: what `node/peer/peer.py` is to a real node: judging, remembering, signing, keeping evidence.
Is not: a role; those are in `coordinator`, `miner` and `auditor` of this folder.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from p2p.mesh import Validation
from protocol.audit_draw import BeaconBlock
from protocol.draw import EpochView, Snapshot
from protocol.errors import GossipIgnore, GossipReject, LocalError
from protocol.evidence import Evidence, Offence, verify_evidence
from protocol.guard import Decision, Memory, decide
from protocol.hashing import keccak256
from protocol.messages import Message, TaskAnnouncement
from protocol.rules import evidence, offers, results, tasks, verdicts
from protocol.rules.view import Contradiction, Misranked, Seen, View
from protocol.signature import sign_digest
from protocol.statement import Statement, Unsigned, open_statement, seal
from protocol.terms import PPM, AuditTerms
from tests.protocol.builders import DOMAIN, NOW_MS, TERMS, WEI_PER_CAI, Key, key
from tests.simulation.node import Node

RULES: dict[str, Callable[[Seen, View, bytes, int], Any]] = {
    offers.TOPIC: offers.validate_offer,
    tasks.TOPIC: tasks.validate_task,
    results.TOPIC: results.validate_result,
    verdicts.TOPIC: verdicts.validate_verdict,
    evidence.TOPIC: evidence.validate_evidence,
}
EPOCH = 7


class MustNotSign(LocalError):
    """The guard refused."""


class GuardMemory:
    """What `node/signing/guard.py` is, with a dictionary for its file: it outlives a crash.

    :ivar is_on: False to show what happens without it.
    :ivar counts: of each decision.
    """

    def __init__(self, signer: Key) -> None:
        self.is_on = True
        self.counts: Counter[Decision] = Counter()
        self._key = signer
        self._bodies: dict[tuple[int, bytes], bytes] = {}

    def sign(self, statement: Unsigned) -> bytes:
        """Signature of what the guard allows. :raises MustNotSign: it refuses."""
        if statement.kind.slashable and self.is_on:
            slot = (statement.kind.value, statement.slot)
            # Whoever remembers everything has nothing below a watermark or behind a horizon.
            decision = decide(self._bodies.get(slot), statement.body, 0, Memory())
            self.counts[decision] += 1
            if decision is Decision.REFUSE:
                raise MustNotSign("another statement was signed in this slot")
            self._bodies[slot] = statement.body
        return sign_digest(self._key.secret, statement.digest)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that a peer took in. :ivar time_ms: simulated."""

    number: int
    topic: str
    data: bytes
    time_ms: float


class Peer:
    """One peer of the market.

    :ivar skew_ms: how far its clock is ahead of the true time.
    :ivar seen: of the running process.
    :ivar found: evidence that it made itself or heard, by offence; kept on disk, so it outlives a crash.
    :ivar refused: what the rules said, by reason.
    """

    def __init__(self, node: Node, signer: Key, view: View, skew_ms: int = 0) -> None:
        self.node = node
        self.key = signer
        self.view = view
        self.skew_ms = skew_ms
        self.guard = GuardMemory(signer)
        self.seen = Seen()
        self.found: dict[Offence, Evidence] = {}
        self.refused: Counter[str] = Counter()
        self.observer: Callable[[Accepted], None] | None = None
        self._listeners: dict[str, list[Callable[[Any], None]]] = defaultdict(list)
        self._restarts: list[Callable[[], None]] = []
        self._crashes: list[Callable[[], None]] = []
        node.application = self

    @property
    def now_ms(self) -> int:
        """Unix time by this peer's clock."""
        return NOW_MS + int(self.node.world.now_ms) + self.skew_ms

    def listen(self, topic: str, listener: Callable[[Any], None]) -> None:
        """Call a role with whatever the rule of a topic accepts."""
        self._listeners[topic].append(listener)

    def on_restart(self, action: Callable[[], None]) -> None:
        """Call a role when the process has started."""
        self._restarts.append(action)

    def on_crash(self, action: Callable[[], None]) -> None:
        """Call a role when the process is gone."""
        self._crashes.append(action)

    @property
    def is_up(self) -> bool:
        """Whether its process runs."""
        return self.node.router is not None

    def seal(self, message: Message, task: TaskAnnouncement | None = None) -> Statement[Any]:
        """Sign through the guard. :raises MustNotSign: it refuses."""
        del task  # this guard remembers everything, whenever a task is over
        return open_statement(DOMAIN, seal(DOMAIN, message, self.guard.sign), type(message))

    def publish(self, topic: str, data: bytes) -> bool:
        """Gossip a message of our own, if it passes the rule that others judge it by."""
        try:
            RULES[topic](self.seen, self.view, data, self.now_ms)
        except (GossipIgnore, GossipReject) as error:
            self.refused[f"own: {error.reason}"] += 1
            return False
        self._observe(topic, data)
        self.node.publish(topic, data)
        return True

    def pass_on(self, topic: str, data: bytes) -> None:
        """Gossip another peer's message that came to us alone, if its rule takes it."""
        if self.judge(topic, data, self.node.number) is Validation.ACCEPT:
            self.node.publish(topic, data)

    def keep(self, evidence_found: Evidence) -> Offence:
        """Note evidence, after checking it."""
        offence = verify_evidence(DOMAIN, evidence_found, self.view.epochs)
        self.found.setdefault(offence, evidence_found)
        return offence

    def found_contradiction(self, evidence_found: Evidence) -> None:
        """Note evidence of our own making, and publish it."""
        self.keep(evidence_found)
        self.node.world.events.after(0.0, self._tell, evidence_found)

    # Application

    def judge(self, topic: str, data: bytes, forwarder: int) -> Validation:
        """The rule's verdict; what it accepts goes to the roles, what contradicts becomes evidence."""
        try:
            accepted = RULES[topic](self.seen, self.view, data, self.now_ms)
        except (Contradiction, Misranked) as caught:
            self.refused[caught.reason] += 1
            self.found_contradiction(caught.evidence)
            return Validation.REJECT if isinstance(caught, Misranked) else Validation.IGNORE
        except GossipReject as error:
            self.refused[error.reason] += 1
            return Validation.REJECT
        except GossipIgnore as error:
            self.refused[error.reason] += 1
            if error.reason == "a newer offer is known":
                self._observe(topic, data)  # it came, and was right; its successor was quicker
            return Validation.IGNORE
        if topic == evidence.TOPIC:
            self.keep(accepted[0])
        for listener in self._listeners[topic]:
            listener(accepted)
        self._observe(topic, data)
        return Validation.ACCEPT

    def deliver(self, topic: str, data: bytes) -> None:
        """See :class:`~tests.simulation.node.Application`; the roles heard of it in `judge`."""

    def restarted(self) -> None:
        """See :class:`~tests.simulation.node.Application`."""
        self.seen = Seen()
        for action in self._restarts:
            action()

    def crashed(self) -> None:
        """See :class:`~tests.simulation.node.Application`."""
        for action in self._crashes:
            action()

    def _tell(self, found: Evidence) -> None:
        self.publish(evidence.TOPIC, found.encode())

    def _observe(self, topic: str, data: bytes) -> None:
        if self.observer is not None:
            self.observer(Accepted(self.node.number, topic, data, self.node.world.now_ms))


def chain_view(miners: list[Key], coordinators: list[Key]) -> View:
    """What the chain says to all: one epoch, in which stakes differ by up to ten times."""
    stakes = [
        (miner.address, (20_001 * (1 + place % 10)) * WEI_PER_CAI) for place, miner in enumerate(miners)
    ]
    epoch = EpochView(
        EPOCH,
        keccak256(b"seed of a simulated epoch"),
        Snapshot.of(stakes),
        Snapshot.of([(coordinator.address, 2_000_001 * WEI_PER_CAI) for coordinator in coordinators]),
    )
    return View(DOMAIN, {EPOCH: epoch}, TERMS, audit_terms=ALL_WORK, beacons=SimulatedBlocks())


ALL_WORK = AuditTerms(selected_ppm=PPM, newcomer_ppm=PPM)
"""All work is audited, so that verdicts travel."""


class SimulatedBlocks(Mapping[int, BeaconBlock]):
    """The block that decides for each deadline, told as soon as it is asked for: here nobody tries again."""

    def __getitem__(self, deadline_ms: int) -> BeaconBlock:
        return BeaconBlock(0, keccak256(b"a simulated block %d" % deadline_ms), deadline_ms)

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 0


def keys(purpose: str, count: int) -> list[Key]:
    """Keys made from names."""
    return [key(f"{purpose} {number}") for number in range(count)]
