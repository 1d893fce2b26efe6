"""Opens the coordinator that its settings describe.

Is: from settings to a catalogue, a ledger and a purse, and the coordinator on top of them.
Is not: the coordinator (`coordinator`), or the API before it, which `run` serves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from node.coordinator.card_fetching import fetch_over, keep_fetching
from node.coordinator.catalogue import Catalogue
from node.coordinator.coordinator import Coordinator, run_coordinator
from node.coordinator.model_names import open_model_names
from node.exchange.protocols import TASK_PROTOCOL
from node.pay.ledger import LEDGER_FILE, open_ledger
from node.pay.purse import Purse
from node.pay.vouchers import EscrowDomain
from node.peer.peer import Peer
from node.settings import CoordinatorSettings
from node.system.clock import now_ms
from protocol.rules import offers

NO_DEPOSIT = "nothing of the deposit is free; its owner adds to it with: cuckoo-peer chain escrow deposit"
NO_OFFER = "no live offer of a miner is known for a model whose card is here"


@asynccontextmanager
async def open_coordinator(
    settings: CoordinatorSettings, peer: Peer
) -> AsyncIterator[tuple[Coordinator, Catalogue]]:
    """A running coordinator and its models, until the context ends.

    :raises LocalError: the ledger is held by another process, the chain does not answer, or a folder is not a
        package.
    """
    domain = EscrowDomain.of(peer.network.deployment)
    with (
        open_ledger(settings.data_dir / LEDGER_FILE, peer.key, domain) as ledger,
        open_model_names(settings.data_dir) as names,
    ):
        catalogue = Catalogue.of_folders(settings.model_folders, names, settings.default_model)
        purse = Purse(ledger, peer.clients.escrow, peer.key.address)
        await purse.refresh()
        coordinator = Coordinator(peer, catalogue, purse, settings.price_max_micro_cai)
        peer.host.handle_direct_streams(TASK_PROTOCOL, coordinator.handle_stream)
        _show(peer, coordinator, purse)
        peer.listen(offers.TOPIC, coordinator.note_offer)
        async with trio.open_nursery() as nursery:
            fetch = fetch_over(peer.host, peer.lookup)
            nursery.start_soon(keep_fetching, catalogue, fetch, now_ms)
            nursery.start_soon(run_coordinator, coordinator, peer, purse)
            yield coordinator, catalogue
            nursery.cancel_scope.cancel()


def _show(peer: Peer, coordinator: Coordinator, purse: Purse) -> None:
    """Register what is to be seen of the role, and what keeps it from working."""
    observable, readiness = peer.context.observable, peer.context.readiness
    observable.register("coordinator", coordinator.status)
    observable.register("calls", lambda: coordinator.caller.counts)
    observable.register("pay", purse.status)
    readiness.register("no_deposit", lambda: None if purse.free_wei > 0 else NO_DEPOSIT)
    readiness.register("no_offer", lambda: None if coordinator.ready else NO_OFFER)
