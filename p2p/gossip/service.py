"""Gossip over libp2p streams: the I/O shell around the router.

Is: one writer task per peer, one reader per inbound stream, one heartbeat, and :class:`~p2p.mesh.Mesh`.
Is not: any rule of gossip; those are in :mod:`p2p.gossip.router`, which never waits.

Each side opens a stream of its own and only writes on it, as every libp2p gossip does. What arrives is judged
and queued for others before the next read, so nothing waits between a message's check and its forwarding.
Where nothing waits, no task's turn lies between either: a small piece is handled by the call that brings it,
and written to the streams of others at once. The tasks are for what is more than that.
A peer that reads slowly fills its own queue and loses what matters least; nobody else waits for it.
Publishing waits, for at most PUBLISH_TIMEOUT_MS in all, until the queues of the topic's peers have room.
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from p2p.gossip.actions import Action, Connect, Deliver, Disconnect, Rank, SendRpc, Validate
from p2p.gossip.outbox import Outbox
from p2p.gossip.params import GossipParams
from p2p.gossip.router import MESHSUB_1_0, MESHSUB_1_1, MESHSUB_1_2, Router
from p2p.gossip.wire import FrameSplitter, PxPeer, frame
from p2p.host import NotConnected, StreamRefused
from p2p.mesh import DELIVERY_BUFFER_MAX, Validation, Validator
from p2p.streams import TRANSPORT_ERRORS
from p2p.swarm import reset_stream
from protocol.errors import DecodeError, GossipIgnore, GossipReject, LocalError

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping

    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

    from p2p.host import Host
    from p2p.identity import PeerId
    from p2p.swarm import Stream

PROTOCOLS: Final = (MESHSUB_1_2, MESHSUB_1_1, MESHSUB_1_0)
"""What we offer and accept, the best one first."""
WRITE_BATCH_BYTES: Final = 60 * 1024
"""Bytes written at once: several RPCs share one frame of the muxer, of 64 KiB less its header."""
READ_BYTES: Final = 64 * 1024
"""Bytes read at once."""
INLINE_BYTES_MAX: Final = 4 * 1024
"""Bytes that are handled as they come, before the reading task has its turn; more waits for it."""
INLINE_RPCS_MAX: Final = 16
"""RPCs in such a piece after which the next piece waits for the reading task: others have turns too."""
RPCS_BETWEEN_CHECKPOINTS: Final = 64
"""RPCs handled before other tasks get their turn; tiny ones come by the thousand in one read."""
WRITE_TIMEOUT_MS: Final = 8_000
"""Time for one write; a peer that lets it pass is disconnected."""
PUBLISH_TIMEOUT_MS: Final = 5_000
"""Time that publishing waits for room; then peers without room lose the message, and it is counted."""
OPEN_ATTEMPTS_MAX: Final = 3
"""Attempts in a row to open a stream before a peer counts as not speaking gossip."""
OPEN_RETRY_MS: Final = 250
"""Pause before the second attempt to open a stream; doubles."""
APPLICATION_SCORE_HEARTBEATS: Final = 16
"""Heartbeats after which the application is asked again what it thinks of each peer; about 11 s."""
STREAM_PROVEN_MS: Final = 30_000
"""A stream that lived so long wipes out the failures before it."""

_log = logging.getLogger(__name__)


class _Link:
    """What we hold for one peer.

    :ivar idle: our stream to it while nothing waits to be written; then whoever has something writes it.
    :ivar reading: the scope of the reader of its newest inbound stream.
    """

    def __init__(self, peer: PeerId, dropped: Counter[Rank]) -> None:
        self.peer = peer
        self.outbox = Outbox(dropped)
        self.writing = trio.CancelScope()
        self.idle: Stream | None = None
        self.reading: trio.CancelScope | None = None


class _Topic:
    """A subscription. We keep a receiving end too, to push the oldest out of a full buffer."""

    def __init__(self, validator: Validator) -> None:
        self.validator = validator
        self.sender, self.drain = trio.open_memory_channel[bytes](DELIVERY_BUFFER_MAX)

    def close(self) -> None:
        self.sender.close()
        self.drain.close()


def _trio_clock_ms() -> int:
    return int(trio.current_time() * 1000)


def _unknown(_peer: PeerId) -> float:
    return 0.0


def _without_record(peer: PeerId) -> PxPeer | None:
    return PxPeer(peer.to_bytes())


def _nobody(_peers: tuple[PxPeer, ...], _from_peer: PeerId) -> None:
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class GossipHooks:
    """What gossip asks of the rest of a node. All are synchronous and quick, and must not raise.

    :ivar application_score: what the node thinks of a peer, P5; asked when it connects and every
        APPLICATION_SCORE_HEARTBEATS heartbeats.
    :ivar record: a peer as it is named to others, with its signed record; None if it is not to be named.
    :ivar peers_named: peers to get to know, and who named them; their records are not checked yet.
    """

    application_score: Callable[[PeerId], float] = _unknown
    record: Callable[[PeerId], PxPeer | None] = _without_record
    peers_named: Callable[[tuple[PxPeer, ...], PeerId], None] = _nobody


class GossipService:
    """A :class:`~p2p.mesh.Mesh` over a host. Subscribe at any time; nothing moves before :meth:`run`."""

    def __init__(
        self,
        host: Host,
        rng: random.Random,
        *,
        params: GossipParams | None = None,
        hooks: GossipHooks | None = None,
        clock_ms: Callable[[], int] = _trio_clock_ms,
    ) -> None:
        self._hooks = hooks or GossipHooks()
        self.router = Router(params or GossipParams(), rng, records=self._hooks.record)
        self._host = host
        self._clock_ms = clock_ms
        self._links: dict[PeerId, _Link] = {}
        self._topics: dict[str, _Topic] = {}
        self._counts: Counter[str] = Counter()
        self._dropped: Counter[Rank] = Counter()
        self._nursery: trio.Nursery | None = None
        self._started = False
        self._framed: tuple[bytes, bytes] = (b"", b"\0")

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Gossip until cancelled, once. Consumers then see the end of their channels.

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
            for topic in self._topics.values():
                topic.close()

    # Mesh

    def subscribe(self, topic: str, validator: Validator) -> trio.MemoryReceiveChannel[bytes]:
        """See :meth:`p2p.mesh.Mesh.subscribe`."""
        actions = self.router.subscribe(topic, self._clock_ms())
        subscription = self._topics[topic] = _Topic(validator)
        self._act(actions)
        return subscription.drain.clone()

    async def publish(self, topic: str, data: bytes) -> None:
        """See :meth:`p2p.mesh.Mesh.publish`."""
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(PUBLISH_TIMEOUT_MS / 1000):
            for peer in self.peers(topic):
                link = self._links.get(peer)
                if link is not None:
                    await link.outbox.wait_until_eased()
        self._act(self.router.publish(topic, data, self._clock_ms()))

    def peers(self, topic: str) -> tuple[PeerId, ...]:
        """See :meth:`p2p.mesh.Mesh.peers`."""
        return tuple(self.router.overlay.topic_peers(topic))

    def mesh_peers(self, topic: str) -> tuple[PeerId, ...]:
        """See :meth:`p2p.mesh.Mesh.mesh_peers`."""
        return tuple(self.router.overlay.mesh.get(topic, ()))

    def score(self, peer_id: PeerId) -> float:
        """See :meth:`p2p.mesh.Mesh.score`."""
        return self.router.scores.score(peer_id)

    def statistics(self) -> Mapping[str, int]:
        """See :meth:`p2p.mesh.Mesh.statistics`."""
        outboxes = [link.outbox for link in self._links.values()]
        return {
            "gossip_peers": len(self._links),
            "outbox_frames": sum(map(len, outboxes)),
            "outbox_frames_longest": max(map(len, outboxes), default=0),
            "outbox_bytes": sum(outbox.held_bytes for outbox in outboxes),
            **{f"dropped_outbox_{rank.name.lower()}": count for rank, count in self._dropped.items()},
            **self._counts,
            **self.router.snapshot().flat(),
        }

    # PeerObserver

    def peer_connected(self, peer_id: PeerId, *, outbound: bool) -> None:
        """The host has a new peer; find out whether it speaks gossip by trying."""
        if self._nursery is None or peer_id in self._links:
            return
        link = self._links[peer_id] = _Link(peer_id, self._dropped)
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
        link.writing.cancel()
        if link.reading is not None:
            link.reading.cancel()

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

    async def _write(self, link: _Link) -> None:
        """Open streams to a peer, one after another, and write its outbox to them."""
        unsent = b""
        failures = streams = 0
        with link.writing:
            while failures < OPEN_ATTEMPTS_MAX:
                if failures:
                    await trio.sleep(OPEN_RETRY_MS * 2 ** (failures - 1) / 1000)
                try:
                    stream = await self._host.open_stream(link.peer, PROTOCOLS)
                except (StreamRefused, NotConnected):
                    failures += 1
                    continue
                streams += 1
                self.router.protocol_agreed(link.peer, str(stream.get_protocol()))
                if streams > 1:
                    self._act(self.router.stream_reopened(link.peer))
                opened = trio.current_time()
                unsent = await self._write_stream(link, stream, unsent)
                proven = trio.current_time() - opened > STREAM_PROVEN_MS / 1000
                failures = 1 if proven else failures + 1
            if streams:
                # It speaks gossip and its streams keep breaking: a new connection may do better.
                self._counts["peer_streams_broken"] += 1
                await self._host.disconnect(link.peer)
            else:
                self._counts["peer_without_gossip"] += 1
        if self._links.get(link.peer) is link:
            self.peer_disconnected(link.peer)

    async def _write_stream(self, link: _Link, stream: Stream, unsent: bytes) -> bytes:
        """Write until the stream fails; returns what it failed at. Its receiver drops what comes twice."""
        try:
            while True:
                if not unsent:
                    link.idle = stream
                    unsent = await link.outbox.take(WRITE_BATCH_BYTES)
                    link.idle = None
                if not stream.write_nowait(unsent):
                    with trio.fail_after(WRITE_TIMEOUT_MS / 1000):
                        await stream.write(unsent)
                unsent = b""
        except trio.TooSlowError:
            self._counts["peer_too_slow"] += 1
            await self._host.disconnect(link.peer)
            return unsent
        except TRANSPORT_ERRORS as error:
            self._counts["stream_broken"] += 1
            _log.debug("gossip stream to %s broke: %r", link.peer, error)
            return unsent
        finally:
            link.idle = None
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 0.25):
                await reset_stream(stream)

    async def _read(self, stream: Stream, peer: PeerId) -> None:
        """Serve one inbound stream; a peer's newer stream takes the place of its older one."""
        if peer not in self._links:
            self.peer_connected(peer, outbound=self._host.is_outbound(peer))
        link = self._links.get(peer)
        if link is None:
            await reset_stream(stream)
            return
        if link.reading is not None:
            link.reading.cancel()
        with trio.CancelScope() as link.reading:
            try:
                await self._read_stream(stream, peer)
            except TRANSPORT_ERRORS as error:
                _log.debug("gossip stream from %s ended: %r", peer, error)
        await reset_stream(stream)

    async def _read_stream(self, stream: Stream, peer: PeerId) -> None:
        """Handle what comes: small pieces at once, as they come; what is more, here, in turns with others."""
        splitter = FrameSplitter(self.router.params.rpc_bytes_max)
        busy = False

        def take(data: bytes) -> bool:
            nonlocal busy
            if busy or len(data) > INLINE_BYTES_MAX:
                return False
            try:
                rpcs = splitter.feed(data)
            except DecodeError:
                return False  # the splitter says so again, below
            busy = len(rpcs) > INLINE_RPCS_MAX
            for rpc in rpcs:
                self._act(self.router.rpc_received(peer, rpc, self._clock_ms()))
            return True

        stream.offer(take)
        try:
            while data := await stream.read(READ_BYTES):
                busy = True
                try:
                    rpcs = splitter.feed(data)
                except DecodeError:
                    self._act(self.router.framing_broken(peer, self._clock_ms()))
                    return
                for index, rpc in enumerate(rpcs, start=1):
                    self._act(self.router.rpc_received(peer, rpc, self._clock_ms()))
                    if index % RPCS_BETWEEN_CHECKPOINTS == 0:
                        await trio.lowlevel.checkpoint()
                busy = False
        finally:
            stream.offer(None)

    # Actions

    def _act(self, actions: Iterable[Action]) -> None:
        todo = deque(actions)
        while todo:
            action = todo.popleft()
            match action:
                case SendRpc():
                    self._send(action)
                case Validate():
                    verdict = self._judge(action)
                    todo += self.router.validation_result(action.message_id, verdict, self._clock_ms())
                case Deliver():
                    todo += self._deliver(action)
                case Disconnect():
                    self._counts["disconnected"] += 1
                    _log.info("disconnecting %s: %s", action.peer, action.reason)
                    if self._nursery is not None:
                        self._nursery.start_soon(self._host.disconnect, action.peer)
                case Connect():
                    self._hooks.peers_named(action.peers, action.from_peer)

    def _send(self, action: SendRpc) -> None:
        link = self._links.get(action.peer)
        if link is None:
            self._counts["dropped_no_link"] += 1
            return
        # One message goes to many peers as the same object: frame it once.
        if self._framed[0] is not action.rpc:
            self._framed = (action.rpc, frame(action.rpc))
        # Without a task's turn in between where nothing waits, which is nearly always.
        if link.idle is None or link.outbox or not link.idle.write_nowait(self._framed[1]):
            link.outbox.put(self._framed[1], action.rank)

    def _judge(self, message: Validate) -> Validation:
        topic = self._topics.get(message.topic)
        if topic is None:
            return Validation.IGNORE
        try:
            return topic.validator(message.data, message.from_peer)
        except GossipReject as error:
            _log.debug("rejected on %s: %s", message.topic, error.reason)
            return Validation.REJECT
        except GossipIgnore:
            return Validation.IGNORE
        except Exception:  # noqa: BLE001
            # A validator's own fault is not its sender's, and must not end the node.
            self._counts["validator_failed"] += 1
            _log.exception("the validator of %s failed", message.topic)
            return Validation.IGNORE

    def _deliver(self, message: Deliver) -> list[Action]:
        topic = self._topics.get(message.topic)
        if topic is None:
            return []
        statistics = topic.sender.statistics()
        if statistics.open_receive_channels == 1:  # only our own end: the consumer has closed its channel
            topic.close()
            del self._topics[message.topic]
            return self.router.unsubscribe(message.topic, self._clock_ms())
        if statistics.current_buffer_used >= DELIVERY_BUFFER_MAX:
            topic.drain.receive_nowait()
            self._counts["dropped_delivery_full"] += 1
        topic.sender.send_nowait(message.data)
        return []
