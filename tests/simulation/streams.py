"""Direct streams between simulated peers: payloads in order, after one latency, and how streams end.

Is: dialling, carrying, ending; and the loss of a stream by a crash or a partition.
Is not: what the payloads say; the engines of the roles know.

A stream has one number for both its ends. Nothing on it is lost alone: what a partition swallows takes the
stream with it, since a stream cannot go on behind a gap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.simulation.randomness import Randomness
from tests.simulation.world import STALE_CONNECTION_MS, World

DIAL_TIMEOUT_MS = 5_000.0
"""After so long a dial into a partition is given up."""


class End(Protocol):
    """A role at one end of streams."""

    def stream_heard(self, stream_id: int, payload: bytes) -> None:
        """A payload has come."""

    def stream_ended(self, stream_id: int, reason: str, *, refused: bool) -> None:
        """The stream has ended, and not by us.

        :param refused: the other end did it on purpose, and says why.
        """


@dataclass(eq=False, slots=True)
class _Stream:
    """:ivar gone: ends that hear nothing of it any more. :ivar is_cut: something on it was swallowed."""

    number: int
    ends: tuple[int, int]
    latency_ms: float
    gone: set[int] = field(default_factory=set)
    is_cut: bool = False

    def other(self, end: int) -> int:
        return self.ends[self.ends[0] == end]


class Streams:
    """All streams of a world. :ivar roles: by number of their node; likewise `addresses`."""

    def __init__(self, world: World, rng: Randomness) -> None:
        self.roles: dict[int, End] = {}
        self.addresses: dict[int, bytes] = {}
        self._world = world
        self._rng = rng
        self._streams: dict[int, _Stream] = {}
        self._last = 0
        self._lives: dict[int, int] = {}
        world.on_partition.append(self._partitioned)

    def dial(
        self, source: int, target: int, opened: Callable[[int], None], failed: Callable[[str], None]
    ) -> None:
        """Open a stream, which takes a round trip. A caller that crashes meanwhile hears of nothing."""
        latency_ms, life = self._latency_ms(source, target), self._lives.get(source, 0)

        def answer() -> None:
            if life != self._lives.get(source, 0):
                return
            if not self._world.can_connect(source, target):
                failed("it cannot be reached")
                return
            self._last += 1
            self._streams[self._last] = _Stream(self._last, (source, target), latency_ms)
            opened(self._last)

        is_apart = not self._world.can_connect(source, target) and not self._world.is_down(target)
        self._world.events.after(DIAL_TIMEOUT_MS if is_apart else 2 * latency_ms, answer)

    def address_at(self, stream_id: int, end: int) -> bytes:
        """Address of the peer at the other end, which the connection has authenticated."""
        return self.addresses[self._streams[stream_id].other(end)]

    def send(self, stream_id: int, source: int, payload: bytes) -> None:
        """Put a payload on its way."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._world.events.after(stream.latency_ms, self._arrive, stream, source, payload)

    def end(self, stream_id: int, source: int, reason: str = "") -> None:
        """End a stream behind all that was sent on it.

        :param reason: why, if the other end did something wrong.
        """
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._leave(stream, source)
            self._world.events.after(stream.latency_ms, self._arrive, stream, source, None, reason)

    def call(self, source: int, target: int, action: Callable[[], None]) -> bool:
        """Have something happen at a connected peer one latency from now. False: there is no connection."""
        link = self._world.links[source].get(target)
        is_connected = link is not None or any(
            set(stream.ends) == {source, target} and not stream.gone for stream in self._streams.values()
        )
        if is_connected and self._world.can_connect(source, target):
            life = self._lives.get(target, 0)
            self._world.events.after(
                self._latency_ms(source, target),
                lambda: (
                    life == self._lives.get(target, 0)
                    and self._world.can_connect(source, target)
                    and action()
                ),
            )
        return is_connected

    def crash(self, number: int) -> None:
        """A process is gone, and its streams with it; the other ends notice."""
        self._lives[number] = self._lives.get(number, 0) + 1
        for stream in list(self._streams.values()):
            if number in stream.ends and number not in stream.gone:
                self._leave(stream, number)
                self._world.events.after(stream.latency_ms, self._break, stream, stream.other(number))

    # Internals

    def _latency_ms(self, source: int, target: int) -> float:
        link, params = self._world.links[source].get(target), self._world.params
        return link.latency_ms if link else self._rng.uniform(params.latency_ms_min, params.latency_ms_max)

    def _arrive(self, stream: _Stream, source: int, payload: bytes | None, reason: str = "") -> None:
        target = stream.other(source)
        if target in stream.gone or stream.is_cut:
            return
        if self._world.are_apart(source, target):
            stream.is_cut = True
            self._world.events.after(STALE_CONNECTION_MS, self._give_up, stream)
            return
        self._world.note("stream", source, target, payload or reason)
        if payload is not None:
            self.roles[target].stream_heard(stream.number, payload)
        else:
            self._leave(stream, target)
            said = reason or "it ended the stream"
            self.roles[target].stream_ended(stream.number, said, refused=bool(reason))

    def _partitioned(self) -> None:
        for stream in self._streams.values():
            if self._world.are_apart(*stream.ends):
                self._world.events.after(STALE_CONNECTION_MS, self._give_up, stream)

    def _give_up(self, stream: _Stream) -> None:
        if stream.is_cut or self._world.are_apart(*stream.ends):
            for end in stream.ends:
                self._lose(stream, end)

    def _break(self, stream: _Stream, end: int) -> None:
        """The end of a crashed process arrives, unless a partition swallows it, too."""
        if self._world.are_apart(*stream.ends):
            self._world.events.after(STALE_CONNECTION_MS, self._lose, stream, end)
        else:
            self._lose(stream, end)

    def _lose(self, stream: _Stream, end: int) -> None:
        if end not in stream.gone:
            self._leave(stream, end)
            self._world.note("stream lost", *stream.ends, end)
            self.roles[end].stream_ended(stream.number, "the connection broke", refused=False)

    def _leave(self, stream: _Stream, end: int) -> None:
        stream.gone.add(end)
        if len(stream.gone) == len(stream.ends):
            self._streams.pop(stream.number, None)


class Process:
    """The part of a role that dies with its process. Its subclass is an :class:`End`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._life = 0

    def die(self) -> None:
        """The process is gone: nothing that it wanted to do later happens."""
        self._life += 1

    def later(self, delay_ms: float, action: Callable[..., Any], *arguments: Any) -> None:
        """Do something in so many milliseconds, if this process still runs then."""
        life = self._life

        def act() -> None:
            if life == self._life:
                action(*arguments)

        self._world.events.after(delay_ms, act)
