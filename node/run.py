"""Runs one node from its settings: opens the peer and starts the role.

Is: the wiring, in the order in which a newcomer may read the project, and the orderly end at a signal.
Is not: the parsing of flags (`cli`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
import trio

from node.catalogue import Catalogue
from node.files import write_private
from node.inference import package
from node.inference.pool import Machine, open_pool
from node.keys import open_keystore, read_password
from node.network import load_network
from node.peer import Peer, open_peer
from node.protocols import TASK_PROTOCOL
from node.roles.bootstrap import run_bootstrap
from node.roles.coordinator import Coordinator, run_coordinator
from node.roles.miner import Miner, Terms
from node.settings import NodeSettings
from protocol.errors import CuckooError

if TYPE_CHECKING:
    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

NODE_FILE = "node.json"
"""In the data directory while the node runs: its process, its addresses and its API."""
BYTES_PER_MIB = 1 << 20
KEY_FILE = "node-key.json"

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
            with_mesh=settings.role != "bootstrap",
        ) as peer,
    ):
        match settings.role:
            case "bootstrap":
                with node_file(settings, peer):
                    await run_bootstrap(peer)
            case "coordinator":
                await _run_coordinator(settings, peer)
            case "miner":
                packages = [package.load(folder) for folder in settings.model_folders]
                machine = Machine(settings.threads, settings.device, settings.memory_mib * BYTES_PER_MIB)
                for item in packages:
                    await trio.to_thread.run_sync(package.verify, item)
                async with open_pool(packages, machine) as workers:
                    await workers.ready()
                    with node_file(settings, peer):
                        terms = Terms(settings.price_micro_cai, settings.capacity)
                        await MINER_CLASS(peer, workers, packages, terms).run()


async def _run_coordinator(settings: NodeSettings, peer: Peer) -> None:
    from node.api.app import Api, load_token  # noqa: PLC0415 - only this role needs a web server
    from node.api.server import serve_api  # noqa: PLC0415

    catalogue = Catalogue.of_folders(settings.model_folders)
    coordinator = Coordinator(peer, catalogue)
    peer.host.handle_direct_streams(TASK_PROTOCOL, coordinator.handle_stream)
    application = Api(coordinator, catalogue).application(load_token(settings.data_dir))
    async with trio.open_nursery() as nursery:
        api_url = await nursery.start(serve_api, application, settings.api_port)
        log.info("ready", role="coordinator", api=api_url, token=str(settings.data_dir / "api-token"))
        with node_file(settings, peer, api_url):
            await run_coordinator(coordinator, peer)


@contextlib.contextmanager
def node_file(settings: NodeSettings, peer: Peer, api_url: str | None = None) -> Iterator[None]:
    """Say in the data directory that and where this node runs, as long as it does."""
    path = settings.data_dir / NODE_FILE
    document = {
        "role": settings.role,
        "process": os.getpid(),
        "address": "0x" + peer.key.address.hex(),
        "multiaddrs": [str(address) for address in peer.host.addresses()],
        "api_url": api_url,
    }
    write_private(path, json.dumps(document, indent=2).encode() + b"\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


@asynccontextmanager
async def stopped_by_signals() -> AsyncIterator[None]:
    """Cancel the body at SIGINT or SIGTERM; the context then ends without an error.

    What fails in the body from then on is a consequence, and logged only: Ctrl-C may reach a child process
    before us, and its death is no news then.
    """
    stopping = False

    async def watch(*, task_status: TaskStatus[None]) -> None:
        nonlocal stopping
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                stopping = True
                log.info("stopping", signal=signal.Signals(number).name)
                nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(watch)
            yield
            nursery.cancel_scope.cancel()
    except* CuckooError as failures:
        if not stopping:
            raise
        log.info("failed while stopping", errors=[str(error) for error in failures.exceptions])
