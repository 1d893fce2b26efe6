"""Requests that go on after their answer: each has an id that nobody can guess, and is kept for a while.

Is: bounds of number, of bytes and of time. Is not: kept over a restart; the pictures' receipts are.
"""

from __future__ import annotations

import base64
import secrets
import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog
import trio

from node.api import errors
from node.api.errors import ApiError, Refused
from node.api.horde.payload import Asked
from node.api.jobs import Job
from node.api.links import LINK_PATH, PictureLinks, heaviest
from node.api.picture_formats import PictureFormat
from node.api.serving import RequestName, Serving
from node.api.tokens.caller import Caller
from node.api.webhooks import Hook, Webhooks
from node.system.clock import now_ms
from protocol.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

UNDER_WAY_MAX: Final = 512
"""Requests under way, of all tokens."""
FINISHED_MAX: Final = 512
"""Finished requests that are remembered; beyond, the oldest of the token that has most of them goes."""
ENTRIES_OF_TOKEN_MAX: Final = 64
"""Requests under way of one token."""
RESULT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Pictures of finished requests, together, in base64; beyond, likewise by bytes."""
KEPT_MS: Final = 20 * 60 * 1000
"""How long a finished request is remembered."""
FORMAT: Final = PictureFormat("webp")
"""Of all pictures, as clients of AI Horde expect."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BoardStatus:
    """:ivar under_way: requests. :ivar kept: finished ones. :ivar refused: since the start, beyond a bound.
    :ivar dropped: finished ones that were forgotten before their time.
    :ivar failed: that ended by our fault, since the start; the log says why.
    """

    under_way: int
    kept: int
    refused: int
    dropped: int
    failed: int


@dataclass(frozen=True, slots=True)
class Made:
    """A picture. :ivar image: its bytes in base64, or its link. :ivar task_id, miner: 32 and 20 bytes."""

    image: str
    seed: int
    model: str
    task_id: bytes
    miner: bytes


@dataclass(eq=False)
class Entry:
    """One request.

    :ivar by_link: whether its pictures are given as links.
    :ivar kudos: the most that it may cost, as it was told.
    :ivar job: while it is under way; then its pictures are here alone, and nothing of what was sent.
    :ivar made: pictures by number.
    :ivar fault: why there are no pictures.
    :ivar over: set at its end.
    :ivar ended_at_ms: 0 while it is under way.
    :ivar hook: what is called with each picture, when all are made.
    """

    caller: Caller
    by_link: bool
    kudos: int
    job: Job | None
    entry_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    made: dict[int, Made] = field(default_factory=dict)
    fault: str = ""
    over: trio.Event = field(default_factory=trio.Event)
    ended_at_ms: int = 0
    hook: Hook | None = None


class Board:
    """All requests of this dialect."""

    def __init__(self, serving: Serving, links: PictureLinks, webhooks: Webhooks) -> None:
        self._serving = serving
        self._links = links
        self._webhooks = webhooks
        self._entries: dict[str, Entry] = {}
        self._refused = self._dropped = self._failed = 0
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Let requests go on, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await trio.sleep_forever()

    async def start(
        self, asked: Asked, name: RequestName, base_url: str, kudos: int, hook: Hook | None = None
    ) -> Entry:
        """Begin a request; returns when its orders were taken.

        :param base_url: of links.
        :param kudos: as it is told.
        :param hook: what to call with its pictures.
        :raises Refusal: it was refused.
        """
        self._sweep()
        under_way = self._under_way()
        mine = [item for item in under_way if item.caller.token_id == name.caller.token_id]
        if len(mine) >= ENTRIES_OF_TOKEN_MAX or len(under_way) >= UNDER_WAY_MAX:
            self._refused += 1
            reason = f"at most {ENTRIES_OF_TOKEN_MAX} requests of a token are under way"
            raise Refused(ApiError(429, "too_many_requests", reason))
        assert self._nursery is not None  # the node answers nobody before it runs
        job = Job(asked.generation.requests)
        entry = Entry(name.caller, asked.by_link, kudos, job, hook=hook)
        self._entries[entry.entry_id] = entry
        try:
            await self._nursery.start(self._work, entry, job, name, base_url)
        except BaseException:  # also the app's going away: nobody would find it, or end it
            self._entries.pop(entry.entry_id, None)
            raise
        return entry

    def find(self, entry_id: str) -> Entry | None:
        """A request that is remembered."""
        self._sweep()
        return self._entries.get(entry_id)

    def status(self) -> BoardStatus:
        """How it is; see `BoardStatus`."""
        under_way = len(self._under_way())
        kept = len(self._entries) - under_way
        return BoardStatus(under_way, kept, self._refused, self._dropped, self._failed)

    # Internals

    def _under_way(self) -> list[Entry]:
        return [entry for entry in self._entries.values() if not entry.ended_at_ms]

    async def _work(
        self,
        entry: Entry,
        job: Job,
        name: RequestName,
        base_url: str,
        *,
        task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        answered = trio.Event()

        def answer() -> None:
            answered.set()
            task_status.started()

        try:
            refusal = await self._followed(entry, job, name, answer)
            if refusal is not None:
                entry.fault = errors.of_refusal(refusal).message
            if not answered.is_set():
                answer()  # its token was revoked at once
            await self._take(entry, job, base_url)
        except Exception:
            if not answered.is_set():
                raise  # as the answer to the request
            # As the application does with every other request: it alone fails, and the log says why.
            log.exception("a request failed by our fault", token=name.caller.name)
            self._failed += 1
            entry.fault = errors.INTERNAL_ERROR.message
        entry.job, entry.ended_at_ms = None, now_ms()
        del job  # what was sent and made would be kept, unbounded, as long as calls wait
        entry.over.set()
        self._sweep()
        try:
            await self._call(entry)
        except Exception:  # likewise; its pictures are there all the same
            log.exception("a webhook failed by our fault", token=name.caller.name)
            self._failed += 1

    async def _call(self, entry: Entry) -> None:
        """Tell the app's webhook of each picture, unless it or its token is gone when its turn comes."""
        if entry.hook is None:
            return
        for index in sorted(entry.made):
            document = partial(_told_document, entry, index)
            await self._webhooks.tell(entry.hook, document, entry.caller.token_id)

    async def _followed(
        self, entry: Entry, job: Job, name: RequestName, placed: Callable[[], None]
    ) -> Refusal | None:
        """Have the pictures made, until the token is revoked; None, or why one was not.

        :raises Refusal: before all orders were taken.
        """
        refused: list[Refusal] = []

        async def watch_token() -> None:
            await entry.caller.ended.wait()
            job.interrupt()

        # A nursery would raise a group; a refusal is an answer, and leaves by itself.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch_token)
            try:
                await job.run(self._serving, name, placed)
            except Refusal as refusal:
                refused.append(refusal)
            nursery.cancel_scope.cancel()
        if refused and not job.is_placed:
            raise refused[0]
        return refused[0] if refused else None

    async def _take(self, entry: Entry, job: Job, base_url: str) -> None:
        """Keep the pictures that came."""
        for index, delivered in sorted(job.delivered.items()):
            receipt, request = delivered.receipt, job.requests[index]
            entry.made[index] = Made(
                await self._shown(delivered.output, entry, base_url),
                request.seed,
                request.model.name,
                receipt.announcement.digest,
                receipt.commitment.signer.address,
            )

    async def _shown(self, png: bytes, entry: Entry, base_url: str) -> str:
        data = await FORMAT.of_png(png)
        if not entry.by_link:
            return base64.b64encode(data).decode()
        name = f"{secrets.token_urlsafe(24)}.{FORMAT.name}"
        self._links.keep(name, data, FORMAT.media_type, entry.caller.token_id, now_ms())
        return f"{base_url}{LINK_PATH}/{name}"

    def _sweep(self) -> None:
        """Forget finished requests: old ones, and as far as a bound asks for it, from whoever has most."""
        ended = sorted(
            (entry for entry in self._entries.values() if entry.ended_at_ms),
            key=lambda item: item.ended_at_ms,
        )
        while ended and ended[0].ended_at_ms + KEPT_MS <= now_ms():
            self._forget(ended.pop(0))
        while len(ended) > FINISHED_MAX:
            self._drop(ended, lambda _: 1)
        while sum(map(_size_of, ended)) > RESULT_BYTES_MAX:
            self._drop(ended, _size_of)

    def _drop(self, ended: list[Entry], weight: Callable[[Entry], int]) -> None:
        token_id = heaviest((entry.caller.token_id, weight(entry)) for entry in ended)
        entry = next(entry for entry in ended if entry.caller.token_id == token_id)
        ended.remove(entry)
        self._forget(entry)
        self._dropped += 1

    def _forget(self, entry: Entry) -> None:
        del self._entries[entry.entry_id]
        entry.made.clear()  # calls that wait still have the entry


def generation_document(made: Made) -> dict[str, Any]:
    """A picture, for JSON, in AI Horde's fields."""
    return {
        "img": made.image,
        "seed": str(made.seed),
        "id": made.task_id.hex(),
        "censored": False,
        "model": made.model,
        "worker_id": f"0x{made.miner.hex()}",
        "worker_name": f"0x{made.miner.hex()}",
        "state": "ok",
        "gen_metadata": [],
    }


def _told_document(entry: Entry, index: int) -> dict[str, Any] | None:
    """A picture as its webhook is told of it, made when its turn comes; None if it is told nothing."""
    made = entry.made.get(index)
    if made is None or entry.caller.ended.is_set():
        return None
    return generation_document(made) | {"request": entry.entry_id, "kudos": entry.kudos}


def _size_of(entry: Entry) -> int:
    return sum(len(made.image) for made in entry.made.values())
