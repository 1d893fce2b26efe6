"""The desk that every request for pictures passes: what its token may do, counted before the work.

Is: models, prices, rate, pictures and spending of a day; what came to nothing is taken back.
Is not: who the caller is (`gate`), or the file (`store`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Protocol

import trio

from node.api.errors import ApiError, Refused
from node.api.tokens.caller import Caller
from node.api.tokens.store import DAY_MS, TokenStore
from node.coordinator.catalogue import Catalogue
from node.coordinator.quotes import Quote
from node.coordinator.requests import ImageRequest
from node.system import events
from node.system.clock import now_ms, steady_ms
from node.system.events import EventBus
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.bounded import Bounded
from protocol.errors import Refusal

MINUTE_MS: Final = 60_000
BUCKETS_MAX: Final = 512
"""Tokens whose rate is remembered: more than there can be."""


class Quotes(Protocol):
    """A source of prices: the coordinator."""

    def quote(self, request: ImageRequest) -> Quote:
        """The price of a request, as the offers stand now."""


class Admitted:
    """A request that may pass.

    :ivar requests: its pictures, under the ceiling of its token.
    """

    def __init__(self, store: TokenStore, caller: Caller, requests: tuple[ImageRequest, ...]) -> None:
        self.requests = requests
        self._store = store
        self._caller = caller
        self._open: dict[int, str] = {}

    def charge(self, index: int, key: str) -> bool:
        """A picture is about to be asked for; says whether it counts. One of a known name does not."""
        if key and not self._store.note_named(key):
            return False
        self._open[index] = key
        return True

    def own(self, task_id: bytes) -> None:
        """A task was announced for one of its pictures."""
        self._store.own(task_id, self._caller.token_id)

    def delivered(self, index: int) -> None:
        """A picture came."""
        self._open.pop(index, None)

    def failed(self, index: int) -> None:
        """A picture came to nothing, so it was not one."""
        key = self._open.pop(index, None)
        if key is not None:
            if key:
                self._store.forget_named(key)
            self._store.count(self._caller.token_id, now_ms(), images=-1)

    def discharge(self) -> None:
        """Nothing of it was counted after all."""
        for key in filter(None, self._open.values()):
            self._store.forget_named(key)

    def close(self) -> None:
        """The request is over. An order that has a name goes on, and counts; one without was cancelled."""
        for index, key in list(self._open.items()):
            if not key:
                self.failed(index)


class Desk:
    """The desk of one node."""

    def __init__(self, store: TokenStore, catalogue: Catalogue, quotes: Quotes) -> None:
        self._store = store
        self._catalogue = catalogue
        self._quotes = quotes
        self._buckets: Bounded[str, tuple[float, int]] = Bounded(BUCKETS_MAX)
        self._held_micro_cai: dict[str, int] = {}

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
        at_ms, capped = now_ms(), tuple(self.capped(caller, request) for request in requests)
        for request in capped:
            if not self.may_use(caller, request.model.model_id):
                reason = f"this token may not use {request.model.name}"
                raise Refused(ApiError(403, "model_not_allowed", reason, "model"))
        self._require_rate(caller, steady_ms())
        most = self._require_spending(caller, capped, at_ms)
        admitted = Admitted(self._store, caller, capped)
        images = sum(admitted.charge(index, key) for index, key in enumerate(keys))
        try:
            self._require_images(caller, images, at_ms)
        except Refusal:
            admitted.discharge()
            raise
        self._store.count(caller.token_id, at_ms, requests=1, images=images)
        self._hold(caller, most)
        try:
            yield admitted
        finally:
            self._hold(caller, -most)
            admitted.close()

    async def run(self, bus: EventBus) -> None:
        """Count what is paid, until cancelled."""
        with bus.subscribe(events.TaskPaid) as paid:
            while True:
                published = await paid.receive()
                event = published.event
                if isinstance(event, events.TaskPaid):
                    self._store.note_paid(event.task_id, event.miner, event.paid_wei, published.at_ms)
                await trio.lowlevel.checkpoint()

    # Internals

    def _id_of(self, name: str) -> bytes:
        try:
            return self._catalogue.peek(name).model_id
        except Refusal:
            return b""

    def _require_rate(self, caller: Caller, steadily_ms: int) -> None:
        """A bucket of as many requests as a minute has, which fills by and by.

        :param steadily_ms: by a clock that nobody sets: one set back would empty the bucket.
        """
        rate = caller.limits.requests_per_minute
        if not rate:
            return
        left, seen_ms = self._buckets.get(caller.token_id, (float(rate), steadily_ms))
        left = min(float(rate), left + (steadily_ms - seen_ms) * rate / MINUTE_MS)
        if left < 1:
            reason = f"this token may ask {rate} times a minute"
            wait_ms = int((1 - left) * MINUTE_MS / rate) + 1
            raise Refused(ApiError(429, "rate_limit_exceeded", reason, retry_ms=wait_ms))
        self._buckets[caller.token_id] = (left - 1, steadily_ms)

    def _require_images(self, caller: Caller, images: int, at_ms: int) -> None:
        most = caller.limits.images_per_day
        used = self._store.used(caller.token_id, at_ms).images if most else 0
        if most and used + images > most:
            reason = f"this token may have {most} pictures a day, and {max(0, most - used)} are left today"
            raise Refused(ApiError(429, "quota_exceeded", reason, retry_ms=_until_tomorrow_ms(at_ms)))

    def _require_spending(self, caller: Caller, requests: Sequence[ImageRequest], at_ms: int) -> int:
        """The most that a request may cost, in micro-CAI, where its token's day has a bound; else 0."""
        bound = caller.limits.micro_cai_per_day
        if not bound:
            return 0
        most = 0
        for request in requests:
            quote = self._quotes.quote(request)
            most += quote.ceiling_micro_cai if quote.most_micro_cai is None else quote.most_micro_cai
        spent = -(-self._store.used(caller.token_id, at_ms).spent_wei // WEI_PER_MICRO_CAI)
        left = bound - spent - self._held_micro_cai.get(caller.token_id, 0)
        if most > left:
            reason = (
                f"this token may spend {bound} micro-CAI a day, {max(0, left)} are left, this may cost {most}"
            )
            raise Refused(ApiError(429, "spending_exceeded", reason, retry_ms=_until_tomorrow_ms(at_ms)))
        return most

    def _hold(self, caller: Caller, micro_cai: int) -> None:
        held = self._held_micro_cai.get(caller.token_id, 0) + micro_cai
        if held:
            self._held_micro_cai[caller.token_id] = held
        else:
            self._held_micro_cai.pop(caller.token_id, None)


def _until_tomorrow_ms(at_ms: int) -> int:
    return DAY_MS - at_ms % DAY_MS
