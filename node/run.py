"""Runs one node from its settings: opens the peer and starts the role.

Is: the wiring, in the order in which a newcomer may read the project, and the orderly end at a signal.
Is not: the parsing of flags (`cli`), nor the bootstrap peer (`roles/bootstrap`), which is not on the chain.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
import trio

from node.coordinator.catalogue import Catalogue
from node.coordinator.coordinator import Coordinator, run_coordinator
from node.exchange.protocols import TASK_PROTOCOL
from node.inference.backends import choose_backend
from node.inference.packages import package
from node.inference.pool.pool import open_pool
from node.inference.pool.process import Machine
from node.miner.accelerators import find_accelerator
from node.miner.load_monitor import LoadMonitor
from node.miner.miner import Miner, Terms
from node.miner.throttle import Throttle
from node.miner.work_policy import WorkPolicy, parse_hours
from node.pay.earnings import EARNINGS_FILE, open_earnings
from node.pay.ledger import LEDGER_FILE, open_ledger
from node.pay.payee import CreditTerms, Payee
from node.pay.purse import Purse
from node.pay.vouchers import EscrowDomain
from node.peer.network import load_network
from node.peer.peer import Peer, open_peer
from node.settings import NodeSettings
from node.signing.keys import open_keystore, read_password
from node.system.lifetime import KEY_FILE, leave_startup_uncollected, node_file, stopped_by_signals
from protocol.draw import WEI_PER_MICRO_CAI

if TYPE_CHECKING:
    from starlette.types import ASGIApp

BYTES_PER_MIB = 1 << 20

MINER_CLASS: type[Miner] = Miner
"""Replaced by nobody but `devnet/cheat`, in a process of its own."""

log = structlog.get_logger()


async def run_node(settings: NodeSettings) -> None:
    """Run until SIGINT or SIGTERM.

    :raises LocalError: something on this machine must be mended first; the text says what.
    """
    network = load_network(settings.network)
    key = open_keystore(settings.data_dir / KEY_FILE, read_password(settings.password_file))
    rpc_url = settings.rpc_url or network.parameters.default_rpc_url
    async with (
        stopped_by_signals(),
        open_peer(
            key,
            network,
            rpc_url,
            settings.listen,
            settings.data_dir,
            announce=settings.announce,
            reachable=settings.reachable,
            relaying=settings.relay,
            mdns=settings.mdns,
        ) as peer,
    ):
        leave_startup_uncollected()
        match settings.role:
            case "coordinator":
                await _run_coordinator(settings, peer)
            case "miner":
                packages = [package.load(folder) for folder in settings.model_folders]
                policy = WorkPolicy(
                    parse_hours(settings.active_hours),
                    settings.load_max,
                    settings.device_load_max,
                    settings.power_saving,
                )
                throttle = Throttle(policy, LoadMonitor(find_accelerator(settings.device, os.environ)))
                machines = [
                    Machine(settings.threads, device, settings.memory_mib * BYTES_PER_MIB)
                    for device in settings.device
                ]
                if settings.power_saving:
                    machines = [machine.saving_power() for machine in machines]
                backend, count = await choose_backend(
                    packages,
                    machines,
                    workers=settings.workers,
                    ray_address=settings.ray_address,
                    ray_models=settings.ray_models,
                )
                for item in packages:
                    await trio.to_thread.run_sync(package.verify, item)
                async with open_pool(packages, backend, count) as workers:
                    await workers.ready()
                    with (
                        node_file(settings, peer.key.address, peer.host),
                        _open_payee(settings, peer) as payee,
                    ):
                        terms = Terms(settings.price_micro_cai, settings.capacity, throttle)
                        await MINER_CLASS(peer, workers, packages, terms, payee).run()


@contextmanager
def _open_payee(settings: NodeSettings, peer: Peer) -> Iterator[Payee]:
    task_wei = settings.price_micro_cai * WEI_PER_MICRO_CAI
    terms = CreditTerms(limit_wei=settings.credit_tasks * task_wei, least_wei=task_wei)
    domain = EscrowDomain.of(peer.network.deployment)
    with open_earnings(settings.data_dir / EARNINGS_FILE, peer.key.address, domain) as earnings:
        yield Payee(earnings, peer.clients, peer.sender, terms)


async def _run_coordinator(settings: NodeSettings, peer: Peer) -> None:
    from node.api.app import Api, load_token  # noqa: PLC0415 - only this role needs a web server

    catalogue = Catalogue.of_folders(settings.model_folders)
    domain = EscrowDomain.of(peer.network.deployment)
    with open_ledger(settings.data_dir / LEDGER_FILE, peer.key, domain) as ledger:
        purse = Purse(ledger, peer.clients.escrow, peer.key.address)
        await purse.refresh()
        coordinator = Coordinator(peer, catalogue, purse, settings.price_max_micro_cai)
        peer.host.handle_direct_streams(TASK_PROTOCOL, coordinator.handle_stream)
        application = Api(coordinator, catalogue).application(load_token(settings.data_dir))
        await _serve(settings, peer, coordinator, purse, application)


async def _serve(
    settings: NodeSettings, peer: Peer, coordinator: Coordinator, purse: Purse, application: ASGIApp
) -> None:
    from node.api.server import serve_api  # noqa: PLC0415 - as above

    async with trio.open_nursery() as nursery:
        api_url = await nursery.start(serve_api, application, settings.api_port)
        log.info("ready", role="coordinator", api=api_url, token=str(settings.data_dir / "api-token"))
        with node_file(settings, peer.key.address, peer.host, api_url):
            await run_coordinator(coordinator, peer, purse)
