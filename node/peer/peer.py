"""A peer: what every role on the chain stands on. Network, chain, guard and evidence, wired together.

Is: `open_peer`, which starts all of it, and the glue between the mesh and the rules of `protocol/rules`.
Is not: a role; what a peer does beyond relaying is the roles'.
"""

from __future__ import annotations

import random
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import structlog
import trio

from contracts.account import Account
from contracts.clients import Clients
from contracts.rpc import connect
from contracts.transactions import Sender
from node.peer.address_book import BOOK_FILE, keep_saving, kept_book
from node.peer.beacon_watcher import BeaconWatcher
from node.peer.chain_watcher import REGISTRY_FILE, ChainWatcher
from node.peer.clock_exchange import ClockComparison, ClockSources, MachineClocks, serve_clock
from node.peer.doppelganger import Doppelganger
from node.peer.evidence_desk import EvidenceDesk
from node.peer.evidence_shares import EvidenceShares
from node.peer.finding import answer_finding
from node.peer.gossip_policy import gossip_params, peer_policy, stake_of
from node.peer.guard_start import require_guard
from node.peer.leaf_keeper import LeafKeeper
from node.peer.multiaddrs import multiaddrs_of
from node.peer.network import Network
from node.peer.network_status import observe_network
from node.peer.own_record import PublishedRecord
from node.peer.own_statements import OwnStatements
from node.signing.guard import GUARD_FILE, Guard, MustNotSign, open_guard
from node.signing.keys import Key
from node.system.clock import now_ms
from node.system.context import NodeContext
from node.system.events import EventBus
from p2p.identity import PeerId
from p2p.mesh import Mesh, Validation, Validator
from p2p.network import NetworkConfig, PeerNetwork, open_network
from p2p.reachability import ReachabilityMode
from p2p.records import peer_of
from protocol.errors import LocalError, ProtocolError, Refusal
from protocol.evidence import Evidence, Offence
from protocol.evidence.committed_trace import IMAGE_KINDS
from protocol.evidence.makers import step_count
from protocol.guard import TaskTimes
from protocol.hashing import sha256
from protocol.messages import MULTIADDRS_MAX, Message, ResultCommitment, TaskAnnouncement
from protocol.rules import evidence, offers, results, tasks, verdicts
from protocol.rules.view import Contradiction, Misranked, Seen, View
from protocol.statement import Domain, Statement, Unsigned, open_statement, seal

PRUNE_INTERVAL_S = 60
"""Time between two looks for what the guard may forget."""
NO_EPOCH = "the chain has no epoch seed yet"

RULES: dict[str, Callable[[Seen, View, bytes, int], Any]] = {
    offers.TOPIC: offers.validate_offer,
    tasks.TOPIC: tasks.validate_task,
    results.TOPIC: results.validate_result,
    verdicts.TOPIC: verdicts.validate_verdict,
    evidence.TOPIC: evidence.validate_evidence,
}
Listener: TypeAlias = Callable[[Any], None]
"""Called synchronously with what a rule accepted; must neither block nor raise."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Signing:
    """A node's key, and what stands before each of its signatures."""

    key: Key
    guard: Guard
    doppelganger: Doppelganger


class Peer:
    """One running peer. Made by `open_peer`."""

    def __init__(
        self,
        signing: Signing,
        network: Network,
        peer_network: PeerNetwork,
        chain: ChainWatcher,
        sender: Sender,
        clients: Clients,
        data_dir: Path,
        context: NodeContext,
    ) -> None:
        """:param context: where the node is seen from, and told what to do."""
        self.key = key = signing.key
        self.network = network
        self.host = peer_network.host
        self.lookup = peer_network.lookup
        self.mesh: Mesh = peer_network.gossip
        self.chain = chain
        self.guard = guard = signing.guard
        self.sender = sender
        self.clients = clients
        self.data_dir = data_dir
        self.context = context
        self.seen = Seen()
        self.alone = signing.doppelganger.alone
        self.own_statements = OwnStatements(key.address, network.domain, guard, self.seen.tasks, data_dir)
        self._doppelganger = signing.doppelganger
        self.evidence = EvidenceDesk(
            data_dir / "evidence",
            network.domain,
            lambda: self.view.epochs,
            lambda data: self.publish(evidence.TOPIC, data),
            chain.seed_of,
        )
        self.clock = ClockComparison(
            self.host, _clock_sources(chain, clients), MachineClocks(), random.SystemRandom()
        )
        poll_ms = network.parameters.chain_poll_ms
        self.leaves = LeafKeeper(clients.leaves, lambda: self.view, poll_ms)
        self.beacons = BeaconWatcher(
            clients.blocks,
            chain.view.audit_terms,
            poll_ms,
            network.parameters.seed_confirmations,
            chain.take_beacons,
        )
        self._shares = EvidenceShares(lambda peer: stake_of(self.view, peer) > 0)
        self._listeners: dict[str, list[Listener]] = defaultdict(list)

    @property
    def domain(self) -> Domain:
        """Domain of this network's statements."""
        return self.network.domain

    @property
    def view(self) -> View:
        """The chain's view now."""
        return self.chain.view

    def listen(self, topic: str, listener: Listener) -> None:
        """Call `listener` with whatever the rule of `topic` accepts from now on."""
        self._listeners[topic].append(listener)

    def multiaddrs(self) -> tuple[bytes, ...]:
        """Where this peer can be dialled, binary form, without the peer id."""
        return tuple(address.decapsulate_code(0x01A5).to_bytes() for address in self.host.addresses())[
            :MULTIADDRS_MAX
        ]

    def seal(self, message: Message, task: TaskAnnouncement | None = None) -> Statement[Any]:
        """Sign `message` with this node's key, through the guard. Synchronous.

        :param task: that the message is about, if it is about one.
        :raises MustNotSign: it would contradict an earlier statement, it is not known yet that no other node
            runs with this key (`alone`), or one does or did.
        """

        def sign(statement: Unsigned) -> bytes:
            if not self.alone.is_set():
                raise MustNotSign(self._doppelganger.reason_not_ready() or "")
            if self.own_statements.reason is not None:
                raise MustNotSign(self.own_statements.reason)
            return self.guard.sign(statement, None if task is None else TaskTimes.of(task))

        return open_statement(self.domain, seal(self.domain, message, sign), type(message))

    async def publish(self, topic: str, data: bytes) -> None:
        """Gossip a message of our own; it must pass the rule that all others will judge it by.

        One that has passed it here before is not judged again: after a restart, others may give it back
        before it goes out once more.

        :raises LocalError: it does not.
        """
        try:
            if sha256(data) not in self.seen.messages:
                accepted = RULES[topic](self.seen, self.view, data, now_ms())
                if topic == results.TOPIC:
                    self._want_beacon(accepted)
        except (ProtocolError, Refusal) as error:
            message = f"our own message for {topic} breaks its rule: {error}"
            raise LocalError(message) from error
        await self.mesh.publish(self.network.topic(topic), data)

    def pass_on(self, topic: str, data: bytes) -> None:
        """Gossip another node's message that came to us alone, if it has not come by gossip. Synchronous.

        Nothing goes further that its rule does not accept; a signer that contradicts itself by it is accused.
        """
        if sha256(data) in self.seen.messages:
            return
        try:
            self._judge(topic, data)
            self.mesh.publish_now(self.network.topic(topic), data)
        except (ProtocolError, Refusal) as error:
            log.info("message not passed on", topic=topic, reason=str(error))

    def recall(self, task: Statement[TaskAnnouncement], commitment: Statement[ResultCommitment]) -> None:
        """Know again, after a restart, work that the rules had accepted before it. Synchronous."""
        self.seen.tasks.setdefault(task.digest, task)
        self.seen.commitments.setdefault((task.digest, commitment.signer.address), commitment)
        self.beacons.want(task.message.deadline_ms)

    def join(self) -> None:
        """Join all topics of the network. Listeners get the opened messages from the validators."""
        self.listen(evidence.TOPIC, lambda accepted: self._take_evidence(*accepted))
        self.listen(results.TOPIC, self._want_beacon)
        self.listen(results.TOPIC, self._look_at_count)
        for topic in RULES:
            validator = self._validator(topic)
            if topic == evidence.TOPIC:
                validator = self._shares.guarded(validator, now_ms)
            self.mesh.join(self.network.topic(topic), validator)

    def _validator(self, topic: str) -> Validator:
        def validate(data: bytes, forwarder: PeerId) -> Validation:
            del forwarder
            self._judge(topic, data)
            return Validation.ACCEPT

        return validate

    def _judge(self, topic: str, data: bytes) -> None:
        """Hold a message against its rule, and let listeners hear of it.

        :raises GossipIgnore, GossipReject: as the rule does; what contradicts becomes evidence.
        """
        try:
            accepted = RULES[topic](self.seen, self.view, data, now_ms())
        except (Contradiction, Misranked) as caught:
            self.own_statements.hear_evidence(caught.evidence)
            if self.own_statements.reason is None:
                self.accuse(caught.evidence)
            raise
        if isinstance(accepted, Statement):
            self._hear_own(accepted)
        for listener in self._listeners[topic]:
            listener(accepted)

    def _want_beacon(self, result: Statement[ResultCommitment]) -> None:
        """Somebody has committed to work: learn which block decides whether it is audited."""
        task = self.seen.tasks.get(result.message.task_id)
        if task is not None:
            self.beacons.want(task.message.deadline_ms)

    def _look_at_count(self, result: Statement[ResultCommitment]) -> None:
        """A false count of steps needs no audit: announcement and commitment say all of it."""
        task = self.seen.tasks.get(result.message.task_id)
        if task is None or task.message.work.kind not in IMAGE_KINDS:
            return
        if result.message.units_done != task.message.work.units:
            try:
                self.accuse(step_count(task.message.encode(), result.encoded))
            except ProtocolError as error:
                log.info("a false count does not prove itself", reason=str(error))

    def _hear_own(self, statement: Statement[Any]) -> None:
        if statement.signer.address == self.key.address:
            self.own_statements.hear(statement.encoded)

    def accuse(self, found: Evidence) -> None:
        """Keep evidence that this peer found, and gossip it."""
        self.evidence.found(found)

    def _take_evidence(self, found: Evidence, offence: Offence) -> None:
        """Others have found this, about anybody, or about us."""
        if offence.signer == self.key.address:
            self.own_statements.hear_evidence(found)
        self.evidence.heard(found, offence)

    def show(self) -> None:
        """Register what the chain and the clocks say of us, and what of it keeps us from working."""
        observable, readiness = self.context.observable, self.context.readiness
        observable.register("rpc", self.clients.rpc.status)
        observable.register("chain", self.chain.status)
        observable.register("leaves", self.leaves.status)
        observable.register("beacons", self.beacons.status)
        observable.register("evidence", self.evidence.status)
        observable.register("evidence_shares", lambda: self._shares.counts)
        observable.register("clock", self.clock.status)
        observable.register("own_statements_heard", self.own_statements.status)
        readiness.register("clock", self.clock.reason_not_ready)
        readiness.register("chain_unreachable", lambda: self.chain.unreachable)
        readiness.register("chain_behind", lambda: self.chain.behind)
        readiness.register("rpc_disagree", lambda: self.clients.rpc.disagreement() or self.chain.disagreement)
        readiness.register("no_epoch", lambda: NO_EPOCH if self.view.latest is None else None)
        readiness.register("alone", self._doppelganger.reason_not_ready)
        readiness.register("not_registered", self._why_not_registered)

    def _why_not_registered(self) -> str | None:
        latest = self.view.latest
        if latest is None or any(
            snapshot.weight_of(self.key.address) for snapshot in (latest.miners, latest.coordinators)
        ):
            return None
        return f"no stake of this node counts in epoch {latest.number}; a new one does from the next on"

    async def run(self) -> None:
        """Follow chain and clocks, keep evidence and guard, until cancelled.

        :raises MustStop: a statement of our key was heard that our guard does not know.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.clients.rpc.watch)
            nursery.start_soon(self.chain.run)
            nursery.start_soon(self.beacons.run)
            nursery.start_soon(self.clock.run)
            nursery.start_soon(self.evidence.run)
            nursery.start_soon(self.own_statements.halt_when_foreign)
            nursery.start_soon(self._keep_pruning)

    async def share_chores(self) -> None:
        """Do what the chain needs somebody to do, when it is our turn, until cancelled: seeds and leaves."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.chain.record_seeds, self.sender)
            # Only disputes lock the tree, so without them no leaf is left behind.
            if self.network.deployment.disputes is not None:
                nursery.start_soon(self.leaves.run, self.sender)

    async def _keep_pruning(self) -> None:
        """Have the guard forget what it need not remember, until cancelled."""
        while True:
            self.guard.prune(now_ms())
            await trio.sleep(PRUNE_INTERVAL_S)


@asynccontextmanager
async def open_peer(
    key: Key,
    network: Network,
    rpc_urls: Sequence[str],
    listen: Sequence[str],
    data_dir: Path,
    context: NodeContext,
    *,
    announce: Sequence[str] = (),
    reachable: ReachabilityMode = "auto",
    relaying: bool = False,
    mdns: bool = False,
) -> AsyncIterator[Peer]:
    """A running peer on `network`, until the context ends.

    :param rpc_urls: of the chain, in the order in which they are preferred.
    :param listen: multiaddrs to listen on, such as ``/ip4/127.0.0.1/tcp/0``.
    :param context: where the node is seen from; the peer registers itself there.
    :param announce: multiaddrs at which others can dial us, if they are other ones.
    :param reachable: whether others can dial us, or ``auto`` to ask them.
    :param relaying: whether to relay for those whom nobody can dial.
    :param mdns: whether to look for peers on the local network, too.
    :raises LocalError: the guard is held, an address is taken or not a multiaddr, or the chain is another
        one.
    :raises MustStop: there is no history of what this key has signed, or it is or was in use elsewhere.
    """
    started_at_ms, instance = now_ms(), 2 * secrets.randbits(63) or 2  # without the bit of one that signs
    config = replace(
        _network_config(network, listen, announce),
        reachable=reachable,
        relaying=relaying,
        mdns=mdns,
        instance=instance,
    )
    async with connect(rpc_urls, chain_id=network.deployment.chain_id) as rpc:
        clients, sender = Clients(rpc, network.deployment), Sender(rpc, Account(key.secret))

        async def is_known(address: bytes) -> bool:
            return await clients.staking.node_info(address) is not None

        await require_guard(data_dir, key, is_known)
        with open_guard(data_dir / GUARD_FILE, key) as guard:
            watcher = _chain_watcher(clients, network, data_dir, context.events)
            policy = peer_policy(lambda: watcher.view, {peer_of(item) for item in config.bootnodes})
            async with open_network(
                key.secret, config, rng=random.SystemRandom(), policy=policy
            ) as peer_network:
                await watcher.look_first()
                record = PublishedRecord(peer_network, guard.note_record, now_ms)
                past = guard.begin_instance(instance)
                interval_ms = network.parameters.offer_interval_ms
                rng = random.SystemRandom()
                doppelganger = Doppelganger(record, started_at_ms, past, interval_ms, rng)
                signing = Signing(key, guard, doppelganger)
                peer = Peer(signing, network, peer_network, watcher, sender, clients, data_dir, context)
                peer.join()
                serve_clock(peer_network.host, now_ms)
                observe_network(context, peer_network, key.address)
                answer_finding(context.control, peer_network)
                peer.show()
                book = data_dir / BOOK_FILE
                with kept_book(book, peer_network.records):
                    async with trio.open_nursery() as nursery:
                        await nursery.start(peer_network.run)
                        nursery.start_soon(peer.run)
                        nursery.start_soon(doppelganger.run)
                        nursery.start_soon(keep_saving, book, peer_network.records)
                        yield peer
                        nursery.cancel_scope.cancel()


def _network_config(network: Network, listen: Sequence[str], announce: Sequence[str]) -> NetworkConfig:
    return NetworkConfig(
        listen=multiaddrs_of(listen),
        announce=multiaddrs_of(announce),
        bootnodes=multiaddrs_of(network.bootnodes),
        loopback_exempt=network.parameters.loopback_exempt,
        publishes_record=False,  # `Doppelganger` does, more often
        gossip=gossip_params(network),
    )


def _clock_sources(chain: ChainWatcher, clients: Clients) -> ClockSources:
    async def owner_of(address: bytes) -> bytes | None:
        info = await clients.staking.node_info(address)
        return None if info is None else info.owner

    async def head_ms() -> int:
        return 1000 * await clients.rpc.head_time_s()

    return ClockSources(lambda peer: stake_of(chain.view, peer), owner_of, head_ms)


def _chain_watcher(clients: Clients, network: Network, data_dir: Path, events: EventBus) -> ChainWatcher:
    """The chain's view as far as an earlier run read it; not looked at yet."""
    parameters = network.parameters
    return ChainWatcher(
        clients.epochs,
        clients.registry(data_dir / REGISTRY_FILE),
        network.domain,
        parameters.task_terms,
        parameters.chain_poll_ms,
        parameters.seed_confirmations,
        events,
        audit_terms=network.audit_terms,
    )
