"""The queue of model cards to fetch: the next one, and the miner to ask.

Is: pure decisions over offers, outcomes and `now_ms`. Is not: the fetching (`card_fetching`), or what is
known already (`catalogue`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

WANTED_MAX: Final = 256
"""Most models whose cards are looked for at a time."""
WANTED_PER_MINER_MAX: Final = 16
"""Most of them that one miner may have brought up."""
MINERS_PER_MODEL_MAX: Final = 8
FETCHES_MAX: Final = 4
"""Fetches at a time; of one model, and from one miner, one."""
BACKOFF_FIRST_MS: Final = 1_000
BACKOFF_MAX_MS: Final = 10 * 60 * 1000
FORGET_MS: Final = 60_000
"""A model that nobody has offered for so long is looked for no more."""


@dataclass(frozen=True, slots=True)
class CardFetch:
    """A card to fetch. :ivar model_id: of the model. :ivar miner: address of the miner to ask."""

    model_id: bytes
    miner: bytes


@dataclass(slots=True)
class _Source:
    failures: int = 0
    not_before_ms: int = 0


@dataclass(slots=True)
class _Wanted:
    brought_by: bytes
    offered_at_ms: int
    sources: dict[bytes, _Source] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CardQueueStatus:
    """Cards that are looked for.

    :ivar wanted: now; :ivar fetching: of them, those that a miner was asked for.
    :ivar too_many: offers since the start that were not followed, because so many were looked for.
    :ivar too_many_of_miner: because one miner had brought up so many of them.
    """

    wanted: int
    fetching: int
    too_many: int
    too_many_of_miner: int


class CardQueue:
    """The cards that are missing."""

    def __init__(self) -> None:
        self._too_many = self._too_many_of_miner = 0
        self._wanted: dict[bytes, _Wanted] = {}
        self._fetching: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._wanted)

    def status(self) -> CardQueueStatus:
        """How it is; see `CardQueueStatus`."""
        return CardQueueStatus(
            wanted=len(self._wanted),
            fetching=len(self._fetching),
            too_many=self._too_many,
            too_many_of_miner=self._too_many_of_miner,
        )

    def note_offer(self, model_id: bytes, miner: bytes, now_ms: int) -> None:
        """A miner offers a model whose card is missing."""
        wanted = self._wanted.get(model_id)
        if wanted is None:
            self._forget(now_ms)
            if len(self._wanted) >= WANTED_MAX:
                self._too_many += 1
                return
            brought = sum(1 for other in self._wanted.values() if other.brought_by == miner)
            if brought >= WANTED_PER_MINER_MAX:
                self._too_many_of_miner += 1
                return
            wanted = self._wanted[model_id] = _Wanted(miner, now_ms)
        wanted.offered_at_ms = now_ms
        if len(wanted.sources) < MINERS_PER_MODEL_MAX:
            wanted.sources.setdefault(miner, _Source())

    def take(self, now_ms: int) -> CardFetch | None:
        """The next fetch to begin now, if there is one; `succeeded` or `failed` must follow."""
        if len(self._fetching) >= FETCHES_MAX:
            return None
        busy = set(self._fetching.values())
        for model_id, wanted in self._wanted.items():
            if model_id in self._fetching:
                continue
            ready = [
                (source.failures, miner)
                for miner, source in wanted.sources.items()
                if miner not in busy and source.not_before_ms <= now_ms
            ]
            if ready:
                self._fetching[model_id] = min(ready)[1]
                return CardFetch(model_id, self._fetching[model_id])
        return None

    def succeeded(self, fetch: CardFetch) -> None:
        """The card is here."""
        self._fetching.pop(fetch.model_id, None)
        self._wanted.pop(fetch.model_id, None)

    def failed(self, fetch: CardFetch, now_ms: int) -> None:
        """That miner did not give it; others may, and this one later."""
        self._fetching.pop(fetch.model_id, None)
        wanted = self._wanted.get(fetch.model_id)
        if wanted is not None:
            source = wanted.sources.setdefault(fetch.miner, _Source())
            source.not_before_ms = now_ms + min(BACKOFF_FIRST_MS << source.failures, BACKOFF_MAX_MS)
            source.failures = min(source.failures + 1, BACKOFF_MAX_MS.bit_length())

    def _forget(self, now_ms: int) -> None:
        stale = [
            model_id
            for model_id, wanted in self._wanted.items()
            if wanted.offered_at_ms + FORGET_MS < now_ms and model_id not in self._fetching
        ]
        for model_id in stale:
            del self._wanted[model_id]
