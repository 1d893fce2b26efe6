"""Acts of the node's socket on tokens, for commands: `token_new`, `token_list`, `token_revoke`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import trio

from node.api.tokens.caller import Limits
from node.api.tokens.store import ListedToken, TokenRefused, TokenStore, Used
from node.system.clock import now_ms
from node.system.control import Control

NUMBER_MAX: Final = 2**53
"""Above any limit that makes sense; what JSON's readers hold exactly."""
DAYS_LISTED: Final = 7


@dataclass(frozen=True, slots=True)
class NewToken:
    """Arguments as of `Limits`. :ivar models: names with commas between."""

    name: str
    images_per_day: int
    requests_per_minute: int
    micro_cai_per_day: int
    price_max_micro_cai: int
    models: str
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class NoArgument:
    """Nothing to be said."""


@dataclass(frozen=True, slots=True)
class RevokedToken:
    """:ivar name: of the token that is to be none."""

    name: str


class TokenActs:
    """The acts on one store."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store

    def register(self, control: Control) -> None:
        """Let commands ask for them."""
        control.register("token_new", NewToken, self.new)
        control.register("token_list", NoArgument, self.listed)
        control.register("token_revoke", RevokedToken, self.revoke)

    async def new(self, wish: NewToken) -> dict[str, str]:
        """Make a token. :raises TokenRefused: it cannot be."""
        await trio.lowlevel.checkpoint()
        numbers = (
            wish.images_per_day,
            wish.requests_per_minute,
            wish.micro_cai_per_day,
            wish.price_max_micro_cai,
        )
        if not all(0 <= number <= NUMBER_MAX for number in (*numbers, wish.expires_at_ms)):
            raise TokenRefused(f"a limit is a whole number of 0 to {NUMBER_MAX}")
        if 0 < wish.expires_at_ms <= now_ms():
            raise TokenRefused("the token would have expired already")
        models = tuple(name.strip() for name in wish.models.split(",") if name.strip())
        limits = Limits(*numbers, models, wish.expires_at_ms)
        return {"token": self._store.new(wish.name, limits, now_ms())}

    async def listed(self, nothing: NoArgument) -> list[dict[str, Any]]:
        """All tokens, with their limits and their last days."""
        del nothing
        await trio.lowlevel.checkpoint()
        return [self._document(item) for item in self._store.listed()]

    async def revoke(self, wish: RevokedToken) -> dict[str, str]:
        """Let a token be none, at once. :raises TokenRefused: there is no such token."""
        await trio.lowlevel.checkpoint()
        self._store.revoke(wish.name, now_ms())
        return {"revoked": wish.name}

    def _document(self, item: ListedToken) -> dict[str, Any]:
        caller = item.caller
        days = self._store.used_by_day(caller.token_id, DAYS_LISTED)
        return {
            "name": caller.name,
            "id": caller.token_id,
            "made_at_ms": item.made_at_ms,
            "revoked_at_ms": item.revoked_at_ms,
            "limits": limits_document(caller.limits),
            "used": [used_document(day) for day in days],
        }


def limits_document(limits: Limits) -> dict[str, Any]:
    """Limits for JSON; null for any."""
    return {
        "images_per_day": limits.images_per_day or None,
        "requests_per_minute": limits.requests_per_minute or None,
        "micro_cai_per_day": limits.micro_cai_per_day or None,
        "price_max_micro_cai": limits.price_max_micro_cai or None,
        "models": list(limits.models) or None,
        "expires_at_ms": limits.expires_at_ms or None,
    }


def used_document(used: Used) -> dict[str, Any]:
    """A day's use for JSON."""
    return {
        "day": used.date,
        "requests": used.requests,
        "images": used.images,
        "spent_wei": str(used.spent_wei),
    }
