"""What one thing to fuzz is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from protocol.errors import GossipIgnore, ProtocolError


@dataclass(frozen=True, slots=True)
class Target:
    """Something that takes bytes from anybody. :ivar seeds: valid inputs to begin with."""

    name: str
    judge: Callable[[bytes], None]
    seeds: tuple[bytes, ...]

    def __call__(self, data: bytes) -> None:
        """Try `data`; raises what no peer's bytes may raise."""
        with suppress(ProtocolError, GossipIgnore):
            self.judge(data)
