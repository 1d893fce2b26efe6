"""Gossip over libp2p streams: the I/O shell around the router.

Is: a link per peer (:mod:`p2p.gossip.link`), one heartbeat, and :class:`~p2p.mesh.Mesh`.
Is not: any rule of gossip; those are in :mod:`p2p.gossip.router`, which never waits.

A message that arrives is judged and queued for others before the next read, so nothing waits between a
message's check and its forwarding. Others get it as soon as everything that is there has been read; a message
of our own goes out at once. A peer that reads slowly fills its own queue and loses what matters least; nobody
else waits for it. Publishing waits, for at most PUBLISH_TIMEOUT_MS in all, until the queues of the topic's
peers have room.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import trio

from p2p.gossip.actions import Action, Connect, Deliver, Disconnect, Forward, Rank, SendRpc, Spare, Validate
from p2p.gossip.framing import frame
from p2p.gossip.hooks import APPLICATION_SCORE_HEARTBEATS, GossipHooks
from p2p.gossip.link import PROTOCOLS, Link
from p2p.gossip.params import GossipParams
from p2p.gossip.router import Router
from p2p.gossip.snapshot import DroppedFrames, GossipCounts, GossipStatistics
from p2p.library.streams import reset_stream
from p2p.mesh import Validation, Validator
from protocol.errors import GossipIgnore, GossipReject, LocalError

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

    from p2p.host import Host
    from p2p.identity import PeerId
    from p2p.library.streams import Stream

PUBLISH_TIMEOUT_MS: Final = 5_000
"""Time that publishing waits for room; then peers without room lose the message, and it is counted."""

_log = logging.getLogger(__name__)


class GossipService:
    """A :class:`~p2p.mesh.Mesh` over a host. Join topics at any time; nothing moves before :meth:`run`."""

    def __init__(
        self,
        host: Host,
        rng: random.Random,
        *,
        params: GossipParams | None = None,
        hooks: GossipHooks | None = None,
        clock_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
    ) -> None:
        self._hooks = hooks or GossipHooks()
        self.router = Router(params or GossipParams(), rng, records=self._hooks.record)
        self._host = host
        self._clock_ms = clock_ms
        self._links: dict[PeerId, Link] = {}
        self._validators: dict[str, Validator] = {}
        self._counts = GossipCounts()
        self._dropped: Counter[Rank] = Counter()
        self._nursery: trio.Nursery | None = None
        self._started = False
        self._framed: tuple[bytes, bytes] = (b"", b"\0")
        self._forwards: dict[bytes, tuple[bytes, dict[Link, None]]] = {}

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Gossip until cancelled, once.

        :raises LocalError: it runs already, or has run.
        """
        if self._started:
            raise LocalError("a gossip service runs once")
        self._started = True
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for protocol in PROTOCOLS:
                    self._host.handle_streams(protocol, self._read)
                self._host.observe(self)
                task_status.started()
                await self._beat()
        finally:
            self._nursery = None
            self._host.unobserve(self)
            for peer in tuple(self._links):
                self.peer_disconnected(peer)

    # Mesh

    def join(self, topic: str, validator: Validator) -> None:
        """See :meth:`p2p.mesh.Mesh.join`."""
        actions = self.router.subscribe(topic, self._clock_ms())
        self._validators[topic] = validator
        self._act(actions)

    async def publish(self, topic: str, data: bytes) -> None:
        """See :meth:`p2p.mesh.Mesh.publish`."""
        await trio.lowlevel.checkpoint()
        links = [self._links[peer] for peer in self.router.overlay.topic_peers(topic) if peer in self._links]
        if any(link.outbox.is_busy for link in links):
            with trio.move_on_after(PUBLISH_TIMEOUT_MS / 1000):
                for link in links:
                    await link.outbox.wait_until_eased()
        self.publish_now(topic, data)

    def publish_now(self, topic: str, data: bytes) -> None:
        """See :meth:`p2p.mesh.Mesh.publish_now`."""
        self._act(self.router.publish(topic, data, self._clock_ms()))
        self._host.hub.flush()

    def peers(self, topic: str) -> tuple[PeerId, ...]:
        """See :meth:`p2p.mesh.Mesh.peers`."""
        return tuple(self.router.overlay.topic_peers(topic))

    def mesh_peers(self, topic: str) -> tuple[PeerId, ...]:
        """See :meth:`p2p.mesh.Mesh.mesh_peers`."""
        return tuple(self.router.overlay.mesh.get(topic, ()))

    def is_mesh_peer(self, peer_id: PeerId) -> bool:
        """Whether we exchange any topic's messages in full with a peer."""
        return any(peer_id in members for members in self.router.overlay.mesh.values())

    def score(self, peer_id: PeerId) -> float:
        """See :meth:`p2p.mesh.Mesh.score`."""
        return self.router.scores.score(peer_id)

    def statistics(self) -> GossipStatistics:
        """All that an operator may want to see, now."""
        outboxes = [link.outbox for link in self._links.values()]
        return GossipStatistics(
            peers=len(self._links),
            outbox_frames=sum(map(len, outboxes)),
            outbox_frames_longest=max(map(len, outboxes), default=0),
            outbox_bytes=sum(outbox.held_bytes for outbox in outboxes),
            outbox_dropped=DroppedFrames(
                control=self._dropped[Rank.CONTROL],
                own=self._dropped[Rank.OWN],
                forward=self._dropped[Rank.FORWARD],
                gossip=self._dropped[Rank.GOSSIP],
            ),
            counts=replace(self._counts),
            router=self.router.snapshot(),
        )

    # PeerObserver

    def peer_connected(self, peer_id: PeerId, *, outbound: bool) -> None:
        """The host has a new peer; find out whether it speaks gossip by trying."""
        if self._nursery is None or peer_id in self._links:
            return
        link = self._links[peer_id] = Link(self._host, peer_id, self._dropped, self._counts)
        self._nursery.start_soon(self._write, link)
        source = self._host.source_of(peer_id)
        now_ms = self._clock_ms()
        self._act(self.router.peer_connected(peer_id, outbound=outbound, now_ms=now_ms, ip=source))
        self.router.set_application_score(peer_id, self._hooks.application_score(peer_id))

    def peer_disconnected(self, peer_id: PeerId) -> None:
        """The host has lost a peer."""
        link = self._links.pop(peer_id, None)
        if link is None:
            return
        self.router.peer_disconnected(peer_id)
        link.cancel()

    # Tasks

    async def _beat(self) -> None:
        period_s = self.router.params.heartbeat_ms / 1000
        due = trio.current_time()
        for beat in itertools.count(1):
            # A late heartbeat is not made up for: time arguments carry the truth.
            due = max(due + period_s, trio.current_time())
            await trio.sleep_until(due)
            if beat % APPLICATION_SCORE_HEARTBEATS == 0:
                for peer in self._links:
                    self.router.set_application_score(peer, self._hooks.application_score(peer))
            self._act(self.router.heartbeat(self._clock_ms()))

    async def _write(self, link: Link) -> None:
        def opened(protocol: str, again: bool) -> None:
            self.router.protocol_agreed(link.peer, protocol)
            if again:
                self._act(self.router.stream_reopened(link.peer))

        await link.write(opened)
        if self._links.get(link.peer) is link:
            self.peer_disconnected(link.peer)

    async def _read(self, stream: Stream, peer: PeerId) -> None:
        """Serve one inbound stream."""
        if peer not in self._links:
            self.peer_connected(peer, outbound=self._host.is_outbound(peer))
        link = self._links.get(peer)
        if link is not None:

            def take(rpc: bytes) -> None:
                actions = self.router.rpc_received(peer, rpc, self._clock_ms())
                if actions:
                    self._act(actions)

            if not await link.read(stream, self.router.params.rpc_bytes_max, take):
                self._act(self.router.framing_broken(peer, self._clock_ms()))
        await reset_stream(stream)

    # Actions

    def _act(self, actions: Sequence[Action]) -> None:
        todo = list(actions)
        for action in todo:  # and what it adds at the end
            match action:
                case SendRpc():
                    self._send(action)
                case Forward():
                    self._hold(action)
                case Spare():
                    self._spare(action)
                case Validate():
                    verdict = self._judge(action)
                    todo += self.router.validation_result(action.message_id, verdict, self._clock_ms())
                case Deliver():
                    pass  # its validator has handed it on
                case Disconnect():
                    self._hang_up(action)
                case Connect():
                    self._hooks.peers_named(action.peers, action.from_peer)

    def _hang_up(self, action: Disconnect) -> None:
        self._counts.disconnected += 1
        _log.info("disconnecting %s: %s", action.peer, action.reason)
        if self._nursery is not None:
            self._nursery.start_soon(self._host.disconnect, action.peer)

    def _send(self, action: SendRpc) -> None:
        link = self._links.get(action.peer)
        if link is None:
            self._counts.dropped_no_link += 1
            return
        # One message goes to many peers as the same object: frame it once.
        if self._framed[0] is not action.rpc:
            self._framed = (action.rpc, frame(action.rpc))
        link.send(self._framed[1], action.rank)

    # Forwards are held until everything that was there has been read: by then many need not go.

    def _hold(self, action: Forward) -> None:
        if not self._forwards:
            self._host.hub.write_later(self._forward)
        links = [self._links.get(peer) for peer in action.peers]
        held = {link: None for link in links if link is not None}
        self._forwards[action.message_id] = (frame(action.rpc), held)

    def _spare(self, action: Spare) -> None:
        link = self._links.get(action.peer)
        if link is None:
            return
        _, held = self._forwards.get(action.message_id, (b"", {}))
        if link in held:
            del held[link]
            self._counts.forwards_spared += 1
        else:
            link.spare(action.message_id)

    def _forward(self) -> None:
        forwards, self._forwards = self._forwards, {}
        for message_id, (framed, held) in forwards.items():
            for link in held:
                link.send(framed, Rank.FORWARD, message_id)

    # Judging

    def _judge(self, message: Validate) -> Validation:
        validator = self._validators.get(message.topic)
        if validator is None:
            return Validation.IGNORE
        try:
            return validator(message.data, message.from_peer)
        except GossipReject as error:
            _log.debug("rejected on %s: %s", message.topic, error.reason)
            return Validation.REJECT
        except GossipIgnore:
            return Validation.IGNORE
        except Exception:  # noqa: BLE001
            # A validator's own fault is not its sender's, and must not end the node.
            self._counts.validator_failed += 1
            _log.exception("the validator of %s failed", message.topic)
            return Validation.IGNORE
