"""Runs one node from its settings: opens the peer and starts the role.

Is: the wiring, in the order in which a newcomer may read the project, and the orderly end at a signal.
Is not: the parsing of flags (`cli`), nor the bootstrap peer (`bootstrap/`), which is not on the chain.
"""

from __future__ import annotations

import structlog
import trio

from node.auditor.opening import audit_beside, run_auditor
from node.coordinator.opening import open_coordinator
from node.miner.miner import Miner
from node.miner.opening import run_miner
from node.peer.network import load_network
from node.peer.peer import Peer, open_peer
from node.portal.serving import OpenedPortal, open_portal
from node.settings import API_HOST, AuditorSettings, CoordinatorSettings, MinerSettings
from node.signing.keys import open_keystore, read_password
from node.system.context import open_context
from node.system.lifetime import KEY_FILE, leave_startup_uncollected, node_file, stopped_by_signals
from node.system.web_server import serve_web

log = structlog.get_logger()


async def run_node(
    settings: CoordinatorSettings | MinerSettings | AuditorSettings, make_miner: type[Miner] = Miner
) -> None:
    """Run until SIGINT or SIGTERM.

    :param make_miner: a miner's class; another one than the honest one is for demonstrations and tests.
    :raises LocalError: something on this machine must be mended first; the text says what.
    """
    network = load_network(settings.network)
    key = open_keystore(settings.data_dir / KEY_FILE, read_password(settings.password_file))
    rpc_urls = settings.rpc_url or (network.parameters.default_rpc_url,)
    async with (
        stopped_by_signals(),
        open_context(settings) as context,
        open_peer(
            key,
            network,
            rpc_urls,
            settings.listen,
            settings.data_dir,
            context,
            announce=settings.announce,
            reachable=settings.reachable,
            relaying=settings.relay,
            mdns=settings.mdns,
        ) as peer,
    ):
        leave_startup_uncollected()
        async with open_portal(settings, peer) as portal:
            match settings:
                case CoordinatorSettings():
                    await serve_coordinator(settings, peer, portal)
                case MinerSettings():
                    await run_miner(settings, peer, audit_beside, make_miner, url_of(portal))
                case AuditorSettings():
                    await run_auditor(settings, peer, url_of(portal))


async def serve_coordinator(
    settings: CoordinatorSettings, peer: Peer, portal: OpenedPortal | None = None
) -> None:
    """Run a coordinator and its API until cancelled.

    :param portal: its portal, if it has one.

    :raises LocalError: the API's port is taken, a flag of it is of another form, or as
        :func:`open_coordinator`.
    """
    # Only this role needs these.
    from node.api.app import Api  # noqa: PLC0415
    from node.api.gate import load_token  # noqa: PLC0415
    from node.api.own_orders import OwnOrders  # noqa: PLC0415
    from node.api.services import ApiOptions  # noqa: PLC0415
    from node.api.tokens.store import TOKENS_FILE, open_tokens  # noqa: PLC0415

    options = ApiOptions.of(settings)
    with open_tokens(settings.data_dir / TOKENS_FILE) as tokens:
        async with (
            open_coordinator(settings, peer) as (coordinator, catalogue),
            trio.open_nursery() as nursery,
        ):
            api = Api(coordinator, catalogue, peer.context, tokens, options)
            nursery.start_soon(api.run)
            if portal is not None:
                portal.own.studio.orders = OwnOrders(api.services)
            application = api.application(load_token(settings.data_dir))
            port = settings.api_port
            api_url = await nursery.start(serve_web, application, API_HOST, port, "the local API")
            log.info("ready", role="coordinator", api=api_url, token=str(settings.data_dir / "api-token"))
            peer.context.started()
            with node_file(
                settings, peer.key.address, peer.host, peer.context.health_url, api_url, url_of(portal)
            ):
                await trio.sleep_forever()


def url_of(portal: OpenedPortal | None) -> str | None:
    """Where a portal is; ``None`` without one."""
    return None if portal is None else portal.url
