"""The desk that every request for pictures passes: what its token may do, counted before the work.

Is: models, prices, rate, pictures and spending of a day; what came to nothing is taken back.
Is not: who the caller is (`gate`), or the file (`store`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Protocol

import trio

from node.api import errors
from node.api.errors import ApiError, Refused
from node.api.tokens.caller import Caller
from node.api.tokens.store import DAY_MS, TokenStore
from node.coordinator.catalogue import Catalogue
from node.coordinator.engine import ORDERS_MAX
from node.coordinator.orders import Order
from node.coordinator.outcomes import Busy
from node.coordinator.quotes import Quote
from node.coordinator.requests import ImageRequest
from node.system import events
from node.system.clock import now_ms, steady_ms
from node.system.events import EventBus
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.bounded import Bounded
from protocol.errors import Refusal

MINUTE_MS: Final = 60_000
LIVE_OF_TOKEN_MAX: Final = ORDERS_MAX // 2
"""Orders of one token at the coordinator, watched or not: half of all that it carries."""
BUCKETS_MAX: Final = 512
"""Tokens whose rate is remembered: more than there can be."""


class Orders(Protocol):
    """The orders behind the desk, and their prices: the coordinator."""

    def quote(self, request: ImageRequest) -> Quote:
        """The price of a request, as the offers stand now."""

    def knows(self, key: str) -> bool:
        """Whether an order of that name would be found, and not placed."""

    def live_orders(self, prefix: str) -> list[Order]:
        """Named orders that are not over, whose names begin so."""

    def order_of_task(self, task_id: bytes) -> Order | None:
        """The order of a live task."""

    def cancel(self, order_id: bytes, reason: str) -> None:
        """Nobody wants an order any more."""


class Admitted:
    """A request that may pass.

    :ivar requests: its pictures, under the ceiling of its token, and of what is held for them.
    """

    def __init__(
        self, desk: Desk, caller: Caller, requests: Sequence[ImageRequest], new: Mapping[int, int], at_ms: int
    ) -> None:
        """:param new: most that each picture may cost that is not known by its name; 0 without a bound.

        :param at_ms: when they were counted: what is taken back is taken from that day.
        """
        self.requests = tuple(
            replace(request, price_max_micro_cai=new[index]) if new.get(index) else request
            for index, request in enumerate(requests)
        )
        self._desk = desk
        self._caller = caller
        self._at_ms = at_ms
        self._new = frozenset(new)
        self._counted = set(new)
        self._kept: set[int] = set()
        self._held = dict(new)
        desk.hold(caller, sum(new.values()))

    def require_counted(self, index: int) -> None:
        """A picture will be placed. :raises Refused: it was known by its name, and is not any more."""
        if index not in self._new:
            reason = "the result under this name was dropped a moment ago; ask again for a new one"
            raise Refused(ApiError(409, "result_dropped", reason))

    def placed(self, index: int, order_id: bytes, key: str, *, is_known: bool) -> None:
        """A picture's order was placed, or found by its name: then somebody has counted it before."""
        if is_known:
            self.lost(index)
        elif key:
            # It goes on when its request has ended, and the coordinator's book says what it may cost.
            self._kept.add(index)
        else:
            self._desk.nameless[order_id] = self._caller.token_id
            return
        self._desk.hold(self._caller, -self._held.pop(index, 0))

    def own(self, task_id: bytes) -> None:
        """A task was announced for one of its pictures."""
        self._desk.store.own(task_id, self._caller.token_id)

    def left(self, order_id: bytes) -> None:
        """An order is not watched any more."""
        self._desk.nameless.pop(order_id, None)

    def begun(self, index: int) -> None:
        """A miner has worked on a picture, and is paid: it counts, though nobody waits for its end."""
        self._kept.add(index)

    def delivered(self, index: int) -> None:
        """A picture came."""
        self._counted.discard(index)

    def lost(self, index: int) -> None:
        """A picture came to nothing, so it was not one."""
        if index in self._counted:
            self._counted.discard(index)
            self._desk.store.count(self._caller.token_id, self._at_ms, images=-1)

    def refused(self, index: int) -> None:
        """A picture's request has ended; it was none, unless it has begun, or goes on under a name."""
        if index not in self._kept:
            self.lost(index)

    def close(self) -> None:
        """The request is over."""
        for index in list(self._counted):
            self.refused(index)
        self._desk.hold(self._caller, -sum(self._held.values()))


class Desk:
    """The desk of one node. :ivar nameless: token of each order that has no name and is watched."""

    def __init__(self, store: TokenStore, catalogue: Catalogue, orders: Orders) -> None:
        self.store = store
        self.nameless: dict[bytes, str] = {}
        self._catalogue = catalogue
        self._orders = orders
        self._buckets: Bounded[str, tuple[float, int]] = Bounded(BUCKETS_MAX)
        self._held_micro_cai: dict[str, int] = {}
        store.when_revoked = self._cancel_all

    def may_use(self, caller: Caller, model_id: bytes) -> bool:
        """Whether a token may have work done by a model."""
        names = caller.limits.models
        return not names or any(self._id_of(name) == model_id for name in names)

    def capped(self, caller: Caller, request: ImageRequest) -> ImageRequest:
        """A request under its token's ceiling."""
        ceiling = caller.limits.price_max_micro_cai
        if not ceiling:
            return request
        wished = request.price_max_micro_cai
        return replace(request, price_max_micro_cai=ceiling if wished is None else min(wished, ceiling))

    @contextmanager
    def admitted(
        self, caller: Caller, requests: Sequence[ImageRequest], keys: Sequence[str]
    ) -> Iterator[Admitted]:
        """Let a request pass, and count it.

        :param keys: name of each picture's order; empty for none.
        :raises Refused: its token may not do this, or not today, or not so soon.
        """
        self.require_working(caller)
        at_ms, capped = now_ms(), tuple(self.capped(caller, request) for request in requests)
        for request in capped:
            if not self.may_use(caller, request.model.model_id):
                reason = f"this token may not use {request.model.name}"
                raise Refused(ApiError(403, "model_not_allowed", reason, "model"))
        self.require_rate(caller)
        # What is known by its name costs nothing, and is not counted again.
        new = [index for index, key in enumerate(keys) if not (key and self._orders.knows(key))]
        most = self._require_spending(caller, [capped[index] for index in new], at_ms)
        self._require_images(caller, len(new), at_ms)
        self.store.count(caller.token_id, at_ms, requests=1, images=len(new))
        admitted = Admitted(self, caller, capped, dict(zip(new, most, strict=True)), at_ms)
        try:
            yield admitted
        finally:
            admitted.close()

    def require_working(self, caller: Caller) -> None:
        """:raises Refused: its token was revoked, or has expired, since the request came."""
        if caller.ended.is_set() or not caller.works_at(now_ms()):
            raise Refused(errors.WRONG_TOKEN)

    def require_few(self, caller: Caller) -> None:
        """:raises Busy: as many orders of its token are under way as one token may have."""
        nameless = sum(token_id == caller.token_id for token_id in self.nameless.values())
        if nameless + len(self._orders.live_orders(f"{caller.token_id}/")) >= LIVE_OF_TOKEN_MAX:
            raise Busy(f"too many orders of this token are under way (limit {LIVE_OF_TOKEN_MAX})")

    def require_rate(self, caller: Caller) -> None:
        """A bucket of as many requests as a minute has, which fills by and by.

        By a clock that nobody sets: one set back would empty the bucket.

        :raises Refused: it is empty.
        """
        rate, steadily_ms = caller.limits.requests_per_minute, steady_ms()
        if not rate:
            return
        left, seen_ms = self._buckets.get(caller.token_id, (float(rate), steadily_ms))
        left = min(float(rate), left + (steadily_ms - seen_ms) * rate / MINUTE_MS)
        if left < 1:
            reason = f"this token may ask {rate} times a minute"
            wait_ms = int((1 - left) * MINUTE_MS / rate) + 1
            raise Refused(ApiError(429, "rate_limit_exceeded", reason, retry_ms=wait_ms))
        self._buckets[caller.token_id] = (left - 1, steadily_ms)

    def hold(self, caller: Caller, micro_cai: int) -> None:
        """Count what a token's requests may still cost, but their named orders; negative numbers let go."""
        held = self._held_micro_cai.get(caller.token_id, 0) + micro_cai
        if held:
            self._held_micro_cai[caller.token_id] = held
        else:
            self._held_micro_cai.pop(caller.token_id, None)

    async def run(self, bus: EventBus) -> None:
        """Count what is paid, until cancelled."""
        with bus.subscribe(events.TaskAnnounced, events.TaskPaid) as heard:
            while True:
                published = await heard.receive()
                event = published.event
                if isinstance(event, events.TaskAnnounced | events.TaskPaid):
                    self._own(event.task_id)
                if isinstance(event, events.TaskPaid):
                    self.store.note_paid(event.task_id, event.miner, event.paid_wei, published.at_ms)
                await trio.lowlevel.checkpoint()

    # Internals

    def _own(self, task_id: bytes) -> None:
        """Note whose a live task is, though nobody watches its order, or reads what is told of it."""
        order = self._orders.order_of_task(task_id)
        if order is None:
            return
        token_id = order.key.partition("/")[0] if order.key else self.nameless.get(order.order_id)
        if token_id is not None:
            self.store.own(task_id, token_id)

    def _cancel_all(self, token_id: str) -> None:
        for order in self._orders.live_orders(f"{token_id}/"):
            self._orders.cancel(order.order_id, "its token was revoked")

    def _id_of(self, name: str) -> bytes:
        try:
            return self._catalogue.peek(name).model_id
        except Refusal:
            return b""

    def _require_images(self, caller: Caller, images: int, at_ms: int) -> None:
        most = caller.limits.images_per_day
        used = self.store.used(caller.token_id, at_ms).images if most else 0
        if most and images and used + images > most:
            reason = f"this token may have {most} pictures a day, and {max(0, most - used)} are left today"
            raise Refused(ApiError(429, "quota_exceeded", reason, retry_ms=_until_tomorrow_ms(at_ms)))

    def _require_spending(self, caller: Caller, requests: Sequence[ImageRequest], at_ms: int) -> list[int]:
        """The most that each may cost, in micro-CAI, where its token's day has a bound; else 0.

        :raises Refused: the token's day does not have as much left.
        """
        bound = caller.limits.micro_cai_per_day
        if not bound or not requests:
            return [0] * len(requests)
        quotes = [self._orders.quote(request) for request in requests]
        each = [
            quote.ceiling_micro_cai if quote.most_micro_cai is None else quote.most_micro_cai
            for quote in quotes
        ]
        most = sum(each)
        spent = -(-self.store.used(caller.token_id, at_ms).spent_wei // WEI_PER_MICRO_CAI)
        named = self._orders.live_orders(f"{caller.token_id}/")
        held = self._held_micro_cai.get(caller.token_id, 0)
        left = bound - spent - held - sum(order.request.price_max_micro_cai for order in named)
        if most > left:
            reason = (
                f"this token may spend {bound} micro-CAI a day, {max(0, left)} are left, this may cost {most}"
            )
            raise Refused(ApiError(429, "spending_exceeded", reason, retry_ms=_until_tomorrow_ms(at_ms)))
        return each


def _until_tomorrow_ms(at_ms: int) -> int:
    return DAY_MS - at_ms % DAY_MS
