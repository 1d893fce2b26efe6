"""The coordinator: places apps' orders with its engine, and lets them be watched.

Is: what apps see of the role: models, prices, orders, receipts.
Is not: the engine's streams, calls and clock (`shell`), HTTP (`api/`), or a decision about a task.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

import trio

from node.coordinator.audit_reserve import TASKS_MAX, AuditReserve
from node.coordinator.buyer_auditing import BuyerAuditor
from node.coordinator.buyer_audits import BuyerAudits
from node.coordinator.catalogue import Catalogue
from node.coordinator.core import EngineCounts, EngineParameters
from node.coordinator.drawing import NotReady
from node.coordinator.ended_orders import EndedOrder
from node.coordinator.engine import CoordinatorEngine
from node.coordinator.journal import Journal
from node.coordinator.journal_file import JournalUnavailable
from node.coordinator.offered import OfferedModel, offered_models
from node.coordinator.orders import Order
from node.coordinator.outcomes import Announced
from node.coordinator.peer_ports import PeerMarket, PeerSigner
from node.coordinator.quotes import Quote, quote
from node.coordinator.records import FailureKind, OrderPlaced
from node.coordinator.request_files import RequestFiles, fetch_over
from node.coordinator.requests import ImageRequest
from node.coordinator.shell import EngineShell
from node.coordinator.told import Told
from node.coordinator.verdict_pay import VerdictPay
from node.coordinator.watching import Watch
from node.inference.packages.package import ModelPackage
from node.pay.audit_promises import AuditPromises
from node.pay.purse import Purse
from node.peer.peer import Peer
from node.system.clock import now_ms, steady_ms
from protocol.audit import AuditVerdict, Verdict
from protocol.audit_words import explain_audit
from protocol.errors import Refusal
from protocol.evidence import Evidence, Offence
from protocol.hashing import sha256
from protocol.messages import Offer, Source
from protocol.receipt import Receipt
from protocol.rules.tasks import TASK_LIFE_MS_MAX
from protocol.statement import Statement
from protocol.terms import PPM
from protocol.work import SourceRole

RESERVE_LOOK_S: Final = 5.0
"""Between two looks at what is set aside for auditors."""
NO_DEPOSIT: Final = "no_deposit"
NO_OFFER: Final = "no_offer"
TOLD_OTHERWISE: Final = frozenset({NO_DEPOSIT, NO_OFFER, "starting"})
"""Reasons of readiness that a request hears by an error of its own, or that keep nobody from announcing."""


@dataclass(frozen=True, slots=True)
class CoordinatorStatus:
    """How the role is.

    :ivar live_offers: miners whose offer has not lapsed.
    :ivar orders: that are not over; each with a live task counts among `tasks_active`.
    :ivar miners_passed_over: for what this coordinator saw of them.
    :ivar counts: since the start.
    """

    live_offers: int
    orders: int
    tasks_active: int
    miners_passed_over: int
    counts: EngineCounts


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """The buyer's own audits. :ivar percent: of delivered work. :ivar packages: whose work can be checked."""

    percent: int
    packages: Sequence[ModelPackage]


@dataclass(frozen=True, slots=True)
class MinerHere:
    """A miner as this coordinator knows it.

    :ivar failures: turns in which it gave nothing, since it last delivered.
    :ivar passed_over_ms: how long it is still passed over for them; 0 if it is not.
    :ivar busy: tasks of this coordinator that it works on, or is awaited for.
    :ivar promised_wei: by all vouchers that it was ever given here; None if that is not known.
    :ivar price_max_micro_cai: most that is paid here for a model's default work.
    """

    failures: int
    passed_over_ms: int
    busy: int
    promised_wei: int | None
    price_max_micro_cai: int


@dataclass(frozen=True, slots=True)
class CancelTask:
    """The argument of the act `cancel`. :ivar task_id: in hexadecimal."""

    task_id: str


class KeyConflict(Refusal):
    """An app's name for an order stands for another request."""


class Coordinator:
    """The role's state."""

    def __init__(
        self,
        peer: Peer,
        catalogue: Catalogue,
        purse: Purse,
        journal: Journal,
        price_max_micro_cai: int,
        audits: AuditOptions,
        promises: AuditPromises,
    ) -> None:
        """:param price_max_micro_cai: most that is paid for a model's default work."""
        self._peer = peer
        self._journal = journal
        self._catalogue = catalogue
        self._purse = purse
        self._price_max_micro_cai = price_max_micro_cai
        packages = {item.model_id: item for item in audits.packages}
        # A verdict that cannot be checked is not paid.
        self.reserve = AuditReserve(purse, lambda model_id: bool(audits.percent) and model_id in packages)
        parameters = peer.network.parameters
        self.engine = CoordinatorEngine(
            EngineParameters(
                parameters.assigned_miners, parameters.progress_timeout_ms, parameters.offer_interval_ms
            ),
            PeerMarket(peer, self.reason_not_ready),
            PeerSigner(peer),
            purse,
            journal,
            lambda: os.urandom(32),
            self.reserve,
        )
        self.request_files = RequestFiles(
            peer.data_dir, fetch_over(peer.host, peer.lookup), self._miners_that_offer
        )
        self._shell = EngineShell(self.engine, peer, purse, journal)
        self.buyer_audits = BuyerAudits(
            audits.percent,
            self.engine.experience,
            can_check=packages.__contains__,
            coin=lambda: secrets.randbelow(PPM),
            new_dice=lambda: os.urandom(32),
        )
        self.verdict_pay = VerdictPay(peer, purse, promises, self.reserve)
        self.auditor = BuyerAuditor(peer, self.buyer_audits, packages, self.receipt, self.verdict_pay)
        self._shell.on_delivered = self.auditor.delivered

    # What apps see

    @property
    def told(self) -> Told:
        """The stories of tasks, as they are kept."""
        return self._journal.told

    def explain_audits(self, task_id: bytes) -> list[str]:
        """Sentences about the audits of a task: of each work that was committed to for it, and our own."""
        found = self.buyer_audits.findings.get(task_id)
        paid = self.verdict_pay.words.get(task_id, ())
        return [*self._explain_dice(task_id), *([] if found is None else [found.words]), *paid]

    def _explain_dice(self, task_id: bytes) -> list[str]:
        seen, view = self._peer.seen, self._peer.view
        task = seen.tasks.get(task_id)
        if task is None:
            receipt = self.receipt(task_id)
            if receipt is None:
                return ["nothing is known of this task's audits any more"]
            return list(explain_audit(view, receipt.announcement.message, receipt.commitment))
        works = [seen.commitments.get((task_id, miner)) for miner in task.message.assigned]
        if any(works):
            works = [commitment for commitment in works if commitment is not None]
        words = (explain_audit(view, task.message, commitment) for commitment in works)
        return list(dict.fromkeys(line for sentences in words for line in sentences))

    def know_miner(self, miner: bytes) -> MinerHere:
        """A miner, by address, as it is known here."""
        experience = self.engine.experience
        return MinerHere(
            failures=experience.failures(miner),
            passed_over_ms=max(0, experience.passed_until_ms(miner) - steady_ms()),
            busy=self.engine.busy()[miner],
            promised_wei=self._purse.total_after(miner, 0) if self._purse.knows(miner) else None,
            price_max_micro_cai=self._price_max_micro_cai,
        )

    def reason_not_ready(self) -> str | None:
        """Why an order could not be announced now; None if it could."""
        if not self._shell.has_resumed:
            return "this node has not read its orders yet"
        latest = self._peer.view.latest
        if latest is None:
            return "the chain has no epoch seed yet"
        if not latest.coordinators.weight_of(self._peer.key.address):
            return "this node is not a coordinator of the current epoch: register it and have it staked for"
        reasons = self._peer.context.readiness.status().reasons
        return next((reason for name, reason in reasons.items() if name not in TOLD_OTHERWISE), None)

    def status(self) -> CoordinatorStatus:
        """For people and monitors."""
        engine = self.engine
        return CoordinatorStatus(
            live_offers=sum(offer.valid_until_ms > now_ms() for _, offer in engine.market.offers()),
            orders=len(engine.book.orders),
            tasks_active=len(engine.book.tasks),
            miners_passed_over=len(engine.experience),
            counts=replace(engine.counts),
        )

    def offered_models(self) -> list[OfferedModel]:
        """Models of all live offers, by name."""
        return offered_models(self.engine.market.offers(), self._catalogue, now_ms())

    def quote(self, request: ImageRequest) -> Quote:
        """The price of a request, as the offers stand now."""
        latest = self._peer.view.latest
        miners = None if latest is None else latest.miners
        order = request.order(self._price_max_micro_cai)
        return quote(self.engine.market.offers(), order, miners, now_ms())

    def note_offer(self, offer: Statement[Offer]) -> None:
        """A valid offer was heard: cards of its models that are missing will be fetched."""
        for model in offer.message.models:
            self._catalogue.note_offer(model.model_id, offer.signer.address, steady_ms())

    def note_verdict(self, verdict: Statement[AuditVerdict]) -> None:
        """A drawn auditor has said something of a miner: that is no proof, and a reason to look."""
        said, heard = verdict.message, self._peer.seen.tasks.get(verdict.message.task_id)
        is_ours = heard is not None and heard.message.coordinator == self._peer.key.address
        if is_ours:
            self.auditor.heard(verdict)
        if said.verdict != Verdict.HONEST:
            self.buyer_audits.suspect(said.miner)

    def note_offence(self, evidence: Evidence, offence: Offence) -> None:
        """Evidence that its rule has accepted: who is to lose its stake gets no work meanwhile."""
        del evidence
        if offence.slashable_by_contract:
            self.engine.experience.note_false(offence.signer, steady_ms())

    def _miners_that_offer(self, model_id: bytes) -> list[bytes]:
        live = (
            (miner, offer) for miner, offer in self.engine.market.offers() if offer.valid_until_ms > now_ms()
        )
        return [miner for miner, offer in live if any(model.model_id == model_id for model in offer.models)]

    def receipt(self, task_id: bytes) -> Receipt | None:
        """Receipt of a delivered task, while it is remembered."""
        ended = self._journal.ended.find_task(task_id)
        return None if ended is None else ended.receipt

    def output(self, task_id: bytes) -> bytes | None:
        """Result of a delivered task, while it is kept."""
        ended = self._journal.ended.find_task(task_id)
        return None if ended is None or ended.delivered is None else ended.delivered.output

    def named_tasks(self, prefix: str, offset: int, limit: int) -> list[bytes]:
        """Ids of delivered tasks of orders whose names begin so, the newest first."""
        return self._journal.ended.named_tasks(prefix, offset, limit)

    def is_named(self, prefix: str, task_id: bytes) -> bool:
        """Whether a task was delivered for an order whose name begins so."""
        return self._journal.ended.is_named(prefix, task_id)

    def forget(self, task_id: bytes) -> None:
        """Forget a delivered task, its result and its receipt; nothing happens if it is not known."""
        self._journal.forget(task_id)

    @asynccontextmanager
    async def submit(
        self, request: ImageRequest, *, key: str = "", body_hash: bytes = b""
    ) -> AsyncIterator[Watch]:
        """Place an order and watch it; leaving before its outcome cancels it, unless it has a name.

        :param key: the app's name for the order; asking again under it finds the order, or what it came to.
        :param body_hash: SHA-256 of the app's request.
        :raises KeyConflict: the name stands for another request.
        :raises Refusal: as `CoordinatorEngine.place`.
        """
        watch = self._find(key, body_hash) if key else None
        if watch is None:
            watch = self._place(request, key, body_hash)
        try:
            yield watch
        finally:
            self._shell.leave(watch)
            if not watch.over and not key:
                self.cancel(watch.order_id, "the app went away")

    def knows(self, key: str) -> bool:
        """Whether an order of that name would be found, live or delivered, and not placed."""
        if any(order.key == key for order in self.engine.book.orders.values()):
            return True
        ended = self._journal.ended.find_key(key)
        return ended is not None and ended.delivered is not None

    def live_orders(self, prefix: str) -> list[Order]:
        """Named orders that are not over, whose names begin so."""
        return [order for order in self.engine.book.orders.values() if order.key.startswith(prefix)]

    def is_live(self, order_id: bytes) -> bool:
        """Whether an order is not over, watched or not."""
        return order_id in self.engine.book.orders

    def order_of_task(self, task_id: bytes) -> Order | None:
        """The order of a live task."""
        return self.engine.book.tasks.get(task_id)

    async def cancel_task(self, task: CancelTask) -> dict[str, bool]:
        """The operator does not want a live task any more: whether there was one of that id."""
        order = self.engine.book.tasks.get(_bytes_of(task.task_id))
        if order is not None:
            reason = "the operator of this node cancelled it"
            self._shell.perform(self.engine.fail(order, FailureKind.CANCELLED, reason, steady_ms()))
        await trio.lowlevel.checkpoint()
        return {"cancelled": order is not None}

    def cancel(self, order_id: bytes, reason: str) -> None:
        """The app does not want an order any more. Nothing happens if it is over."""
        self._shell.perform(self.engine.cancel(order_id, reason, steady_ms()))

    async def run(self) -> None:
        """Take up the orders of the journal, and go on until cancelled.

        :raises JournalUnavailable: the journal failed; what was written is read at the next start.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.request_files.run)
            self._set_aside_again()
            nursery.start_soon(self.auditor.run)
            nursery.start_soon(self._keep_reserve)
            await self._shell.run()

    def _set_aside_again(self) -> None:
        """After a restart: for auditors of work that was delivered and of which verdicts may count."""
        terms = self._peer.view.audit_terms
        since_ms = now_ms() - terms.window_ms - TASK_LIFE_MS_MAX
        for task, commitment in self._journal.ended.delivered_since(since_ms, TASKS_MAX):
            if terms.ends_at_ms(task.message.deadline_ms) > now_ms():
                self.reserve.hold(task.digest, task.message)
                self.reserve.delivered(task.digest, commitment)

    async def _keep_reserve(self) -> None:
        while True:
            await trio.sleep(RESERVE_LOOK_S)
            self.reserve.look(self._peer.view, now_ms())

    def _place(self, request: ImageRequest, key: str, body_hash: bytes) -> Watch:
        sources = {sha256(source): source for source in (request.source,) if source}
        placed = OrderPlaced(
            order_id=os.urandom(32),
            key=key,
            body_hash=body_hash,
            request=request.order(self._price_max_micro_cai),
            sources=tuple(Source(SourceRole.IMAGE, len(data), digest) for digest, data in sources.items()),
            placed_at_ms=now_ms(),
        )
        if not self._catalogue.is_own(request.model.model_id):
            self.request_files.use(request.model)
        watch = self._shell.watch(placed.order_id)
        try:
            self._shell.perform(self.engine.place(placed, sources, steady_ms()))
        except JournalUnavailable as error:
            self._shell.leave(watch)
            raise NotReady(f"this node cannot write down what it takes: {error}") from error
        except Refusal:
            self._shell.leave(watch)
            raise
        return watch

    def _find(self, key: str, body_hash: bytes) -> Watch | None:
        """A watch on the order of that name: live, or delivered. One that failed may be placed again."""
        for order in self.engine.book.orders.values():
            if order.key == key:
                _require_same(order.body_hash, body_hash)
                watch = self._shell.watch(order.order_id)
                if order.task is not None:
                    watch.tell(Announced(order.task.task_id, order.task.message.assigned))
                return watch
        ended: EndedOrder | None = self._journal.ended.find_key(key)
        if ended is None or ended.delivered is None:
            return None
        _require_same(ended.body_hash, body_hash)
        watch = Watch(ended.order_id)
        task = ended.delivered.receipt.announcement
        watch.tell(Announced(task.digest, task.message.assigned))
        watch.finish(ended.delivered)
        return watch


def _bytes_of(text: str) -> bytes:
    """Bytes of hexadecimal; of anything else, none."""
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        return b""


def _require_same(known: bytes, body_hash: bytes) -> None:
    """:raises KeyConflict: they differ."""
    if known != body_hash:
        raise KeyConflict("this name was given to another request; give each request a name of its own")


async def run_coordinator(coordinator: Coordinator, peer: Peer, purse: Purse) -> None:
    """Keep the role's own tasks running until cancelled: orders, money, and chores on the chain."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(coordinator.run)
        nursery.start_soon(purse.run, peer.network.parameters.chain_poll_ms / 1000)
        nursery.start_soon(peer.share_chores)
