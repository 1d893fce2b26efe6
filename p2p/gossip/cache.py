"""The router's memory of messages: ids it has seen, RPCs it has read, and data it can still give.

Is: three bounded containers, clocked by their caller.
Is not: aware of peers' scores or of the wire.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_RPC_ENTRY_BYTES: Final = 256
"""Bytes that an entry costs besides its RPC, roughly; so that many tiny RPCs are bounded too."""


class ExpiringMap(Generic[K, V]):
    """A map whose entries leave after a fixed time, or when it is full, oldest first.

    :ivar evicted: entries that left because it was full.
    """

    def __init__(self, ttl_ms: int, entries_max: int) -> None:
        self._entries: OrderedDict[K, tuple[int, V]] = OrderedDict()
        self._ttl_ms = ttl_ms
        self._entries_max = entries_max
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def get(self, key: K) -> V | None:
        """The value of a key that has not been swept out, else None."""
        entry = self._entries.get(key)
        return None if entry is None else entry[1]

    def add(self, key: K, value: V, now_ms: int) -> None:
        """Insert a new key, pushing the oldest out if full. An old key keeps its time and takes the value."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries[key] = (entry[0], value)
            return
        while len(self._entries) >= self._entries_max:
            self._entries.popitem(last=False)
            self.evicted += 1
        self._entries[key] = (now_ms + self._ttl_ms, value)

    def discard(self, key: K) -> None:
        """Remove a key if it is there."""
        self._entries.pop(key, None)

    def sweep(self, now_ms: int) -> list[V]:
        """Remove what has expired; entries are in order of expiry. Returns the values removed."""
        removed: list[V] = []
        while self._entries:
            key, (expiry_ms, value) = next(iter(self._entries.items()))
            if expiry_ms > now_ms:
                break
            del self._entries[key]
            removed.append(value)
        return removed


class RecentRpcs(Generic[V]):
    """RPCs as they were read, by their bytes: a copy of one need not be read again.

    Two generations; when the young one has lived long enough, or fills its half of the room, it becomes the
    old one, and the old one is forgotten.
    """

    def __init__(self, bytes_max: int) -> None:
        self._young: dict[bytes, V] = {}
        self._old: dict[bytes, V] = {}
        self._young_bytes = 0
        self._half_bytes_max = bytes_max // 2

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, rpc: bytes) -> V | None:
        """The RPC that these very bytes were before, if it is remembered."""
        found = self._young.get(rpc)
        return self._old.get(rpc) if found is None else found

    def add(self, rpc: bytes, value: V) -> None:
        """Remember an RPC that is not remembered yet."""
        size = len(rpc) + _RPC_ENTRY_BYTES
        if self._young_bytes + size > self._half_bytes_max:
            self.turn()
        if size <= self._half_bytes_max:
            self._young[rpc] = value
            self._young_bytes += size

    def turn(self) -> None:
        """Begin a new generation."""
        self._old, self._young, self._young_bytes = self._young, {}, 0


@dataclass(slots=True)
class CachedMessage:
    """A message that IWANT can fetch. :ivar rpc: as encoded. :ivar given: how often each peer fetched it."""

    topic: str
    rpc: bytes
    given: dict[object, int] = field(default_factory=dict)


class MessageCache:
    """Recent messages, each as the RPC that publishes it, in one window per heartbeat.

    :ivar evicted: messages that left because the cache was full.
    """

    def __init__(self, history_length: int, history_gossip: int, messages_max: int, bytes_max: int) -> None:
        self._windows: list[dict[bytes, None]] = [{} for _ in range(history_length)]
        self._messages: OrderedDict[bytes, CachedMessage] = OrderedDict()
        self._bytes = 0
        self._history_gossip = history_gossip
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def held_bytes(self) -> int:
        """Bytes of RPCs held."""
        return self._bytes

    def put(self, identifier: bytes, topic: str, rpc: bytes) -> None:
        """Keep a message in the newest window."""
        if identifier in self._messages:
            return
        self._messages[identifier] = CachedMessage(topic, rpc)
        self._windows[0][identifier] = None
        self._bytes += len(rpc)
        while len(self._messages) > self._messages_max or self._bytes > self._bytes_max:
            _, oldest = self._messages.popitem(last=False)
            self._bytes -= len(oldest.rpc)
            self.evicted += 1

    def get(self, identifier: bytes) -> CachedMessage | None:
        """A message that is still held."""
        return self._messages.get(identifier)

    def gossip_ids(self, topic: str) -> list[bytes]:
        """Ids of a topic in the windows that are offered, newest window first."""
        return [
            identifier
            for window in self._windows[: self._history_gossip]
            for identifier in window
            if (message := self._messages.get(identifier)) is not None and message.topic == topic
        ]

    def held_ids(self, topic: str, count_max: int) -> list[bytes]:
        """Ids of a topic that can be given, the newest so many of them; in the order in which they came."""
        newest = (
            identifier for identifier, message in reversed(self._messages.items()) if message.topic == topic
        )
        return list(itertools.islice(newest, count_max))[::-1]

    def shift(self) -> None:
        """Open a new window and forget the messages of the oldest."""
        for identifier in self._windows.pop():
            message = self._messages.pop(identifier, None)
            if message is not None:
                self._bytes -= len(message.rpc)
        self._windows.insert(0, {})
