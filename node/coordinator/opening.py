"""Opens the coordinator that its settings describe.

Is: from settings to a catalogue, a journal and a purse, and the coordinator on top of them.
Is not: the coordinator (`coordinator`), or the API before it, which `run` serves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from node.coordinator.buyer_auditing import AUDIT_TIMEOUT_MS, AuditTask, checkable
from node.coordinator.card_fetching import fetch_over, keep_fetching
from node.coordinator.catalogue import Catalogue
from node.coordinator.coordinator import (
    NO_DEPOSIT,
    NO_OFFER,
    AuditOptions,
    CancelTask,
    Coordinator,
    run_coordinator,
)
from node.coordinator.journal import Journal, open_journal
from node.coordinator.journal_file import JOURNAL_FILE
from node.coordinator.model_names import open_model_names
from node.pay.audit_promises import AUDIT_PAY_SCHEMA, AuditPromises
from node.pay.ledger import LEDGER_SCHEMA, Ledger
from node.pay.purse import Purse
from node.pay.vouchers import EscrowDomain
from node.peer.miner_story import answer_explaining
from node.peer.peer import Peer
from node.settings import CoordinatorSettings
from node.system.clock import now_ms, steady_ms
from protocol.errors import LocalError
from protocol.rules import evidence, offers, verdicts

DEPOSIT_MISSING = (
    "nothing of the deposit is free; its owner adds to it with: cuckoo-peer chain escrow deposit"
)
PERCENT_MAX = 100
MONEY_SCHEMA = LEDGER_SCHEMA + AUDIT_PAY_SCHEMA
OFFER_MISSING = "no live offer of a miner is known for a model whose card is here"


@asynccontextmanager
async def open_coordinator(
    settings: CoordinatorSettings, peer: Peer
) -> AsyncIterator[tuple[Coordinator, Catalogue]]:
    """A running coordinator and its models, until the context ends.

    :raises LocalError: the journal is held by another process, the chain does not answer, or a folder is not
        a package.
    """
    if not 0 <= settings.audit_percent <= PERCENT_MAX:
        raise LocalError("--audit-percent is from 0 to 100")
    domain = EscrowDomain.of(peer.network.deployment)
    address = peer.key.address
    with (
        open_journal(settings.data_dir / JOURNAL_FILE, peer.domain, address, MONEY_SCHEMA) as opened,
        open_model_names(settings.data_dir) as names,
    ):
        journal, connection = opened
        catalogue = Catalogue.of_folders(settings.model_folders, names, settings.default_model)
        purse = Purse(Ledger(connection, peer.key, domain), peer.clients.escrow, address)
        await purse.refresh()
        audits = AuditOptions(settings.audit_percent, checkable(settings.model_folders))
        promises = AuditPromises(connection, purse)
        price_max = settings.price_max_micro_cai
        coordinator = Coordinator(peer, catalogue, purse, journal, price_max, audits, promises)
        _show(peer, coordinator, purse, journal, catalogue)
        peer.listen(offers.TOPIC, coordinator.note_offer)
        peer.listen(verdicts.TOPIC, coordinator.note_verdict)
        peer.listen(evidence.TOPIC, lambda accepted: coordinator.note_offence(*accepted))
        async with trio.open_nursery() as nursery:
            fetch = fetch_over(peer.host, peer.lookup)
            nursery.start_soon(keep_fetching, catalogue, fetch, steady_ms)
            nursery.start_soon(run_coordinator, coordinator, peer, purse)
            yield coordinator, catalogue
            nursery.cancel_scope.cancel()


def _show(peer: Peer, coordinator: Coordinator, purse: Purse, journal: Journal, catalogue: Catalogue) -> None:
    """Register what is to be seen of the role, what can be asked of it, and what keeps it from working."""
    observable, readiness = peer.context.observable, peer.context.readiness
    observable.register("coordinator", coordinator.status)
    observable.register("journal", journal.statistics)
    observable.register("told", journal.told.statistics)
    observable.register("model_cards", catalogue.queue.status)
    observable.register("request_files", lambda: coordinator.request_files.counts)
    observable.register("pay", purse.status)
    observable.register("buyer_audits", coordinator.buyer_audits.status)
    observable.register("auditors_paid", lambda: coordinator.verdict_pay.counts)
    readiness.register(NO_DEPOSIT, lambda: None if purse.free_wei > 0 else DEPOSIT_MISSING)
    readiness.register(NO_OFFER, lambda: None if coordinator.offered_models() else OFFER_MISSING)
    peer.context.control.register("cancel", CancelTask, coordinator.cancel_task)
    peer.context.control.register("audit", AuditTask, coordinator.auditor.audit, timeout_ms=AUDIT_TIMEOUT_MS)
    answer_explaining(peer.context.control, peer.seen, lambda: peer.view, now_ms, coordinator.know_miner)
