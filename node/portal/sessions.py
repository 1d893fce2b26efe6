"""Sessions of the portal: who has this node's own prompts, pictures and receipts shown.

Is: one-use codes that the node's own user gets over its control socket, and the secrets that they are
exchanged for. In memory: a restart ends them all. Pure but for chance.
Is not: HTTP (`own`), or a right that hangs on where a request comes from. Whoever has the secret is in, from
whatever address and under whatever name; whoever has not is out, on this machine too.

Codes and secrets have 256 random bits, so that nobody can guess one however often he asks, and guesses need
no lock, by which a stranger could keep the owner out. The node keeps their SHA-256 alone, and compares all of
them in constant time, so that an answer's delay says nothing (CWE-208).
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from node.portal.errors import PortalRefusal
from node.system.clock import steady_ms
from protocol.hashing import sha256

TOKEN_BYTES: Final = 32
"""Random bytes of a code and of a secret."""
TOKEN_TEXT_MAX: Final = 64
"""Longest text that is looked at; 32 bytes make 43 characters of base64url."""
CODE_LIFE_MS: Final = 60_000
CODES_MAX: Final = 8
"""Codes that are good at a time; a further one ends the oldest."""
SESSION_LIFE_MS: Final = 12 * 60 * 60 * 1000
SESSIONS_MAX: Final = 8
"""Sessions at a time; a further one ends the oldest."""


@dataclass(slots=True)
class SessionCounts:
    """:ivar codes: given out. :ivar begun: sessions. :ivar refused: codes and secrets that were none."""

    codes: int = 0
    begun: int = 0
    refused: int = 0
    open: int = 0


@dataclass(slots=True)
class Sessions:
    """One portal's. :ivar counts: since the start."""

    clock_ms: Callable[[], int] = steady_ms
    counts: SessionCounts = field(default_factory=SessionCounts)
    _codes: OrderedDict[bytes, int] = field(default_factory=OrderedDict)
    _secrets: OrderedDict[bytes, int] = field(default_factory=OrderedDict)

    def new_code(self) -> str:
        """A code that is good once, for `CODE_LIFE_MS`. For whoever may read the control socket."""
        self.counts.codes += 1
        return self._add(self._codes, CODES_MAX, CODE_LIFE_MS)

    def exchange(self, code: str) -> str:
        """The secret of a new session, for a code, which is good no more.

        :raises PortalRefusal: ``bad_code``: it was used, is too old, or never was one.
        """
        known = self._find(self._codes, code)
        if known is None:
            self.counts.refused += 1
            raise PortalRefusal("bad_code")
        del self._codes[known]
        self.counts.begun += 1
        return self._add(self._secrets, SESSIONS_MAX, SESSION_LIFE_MS)

    def require(self, secret: str) -> int:
        """Make sure that a secret is a session's; how many milliseconds that still lasts.

        :raises PortalRefusal: ``no_session``.
        """
        known = self._find(self._secrets, secret)
        if known is None:
            self.counts.refused += 1
            raise PortalRefusal("no_session")
        return self._secrets[known] - self.clock_ms()

    def end(self, secret: str) -> None:
        """End a session. :raises PortalRefusal: ``no_session``."""
        self.require(secret)
        del self._secrets[_digest(secret)]

    def status(self) -> SessionCounts:
        """For people and monitors."""
        self._forget_old(self._secrets)
        self.counts.open = len(self._secrets)
        return self.counts

    # Internals

    def _add(self, kept: OrderedDict[bytes, int], most: int, life_ms: int) -> str:
        self._forget_old(kept)
        while len(kept) >= most:
            kept.popitem(last=False)
        text = secrets.token_urlsafe(TOKEN_BYTES)
        kept[_digest(text)] = self.clock_ms() + life_ms
        return text

    def _find(self, kept: OrderedDict[bytes, int], text: str) -> bytes | None:
        self._forget_old(kept)
        digest, found = _digest(text), None
        for known in kept:  # all of them, whichever it is
            if hmac.compare_digest(known, digest):
                found = known
        return found

    def _forget_old(self, kept: OrderedDict[bytes, int]) -> None:
        now_ms = self.clock_ms()
        for digest in [digest for digest, until_ms in kept.items() if until_ms <= now_ms]:
            del kept[digest]


def _digest(text: str) -> bytes:
    return sha256(text[:TOKEN_TEXT_MAX].encode(errors="replace"))
