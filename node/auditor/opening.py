"""Opens the auditor that its settings describe, and runs it: beside a miner, or by itself.

Is: from settings to packages, workers, the file of audits, and the pay of a node that does nothing else.
Is not: the auditor (`auditor`), nor a miner's pay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
import trio

from node.auditor.auditor import Auditor
from node.auditor.journal import AUDITS_FILE, open_audits
from node.exchange.audit_paying import AUDIT_PAY_ADMISSION, AuditPayee
from node.exchange.protocols import AUDIT_PAY_PROTOCOL
from node.inference.backends import backend_of
from node.inference.packages import package
from node.inference.pool.pool import WorkerPool, open_pool
from node.pay.earnings import EARNINGS_FILE, open_earnings
from node.pay.payee import CreditTerms, Payee
from node.pay.vouchers import EscrowDomain
from node.peer.peer import Peer
from node.settings import AuditorSettings
from node.system.lifetime import node_file
from protocol.amounts import WEI_PER_CAI

PAY_TERMS: Final = CreditTerms(limit_wei=WEI_PER_CAI, least_wei=WEI_PER_CAI // 100)
"""Vouchers of a coordinator are redeemed from half of the limit on. Nothing is given on credit."""

log = structlog.get_logger()


async def audit_beside(peer: Peer, workers: WorkerPool, may_check: Callable[[], bool]) -> None:
    """Audit with the workers of another role, after its own work, until cancelled.

    :raises LocalError: the file of audits cannot be used.
    """
    with open_audits(peer.data_dir / AUDITS_FILE, peer.domain) as journal:
        auditor = Auditor(peer, workers, journal, may_check)
        auditor.show(peer.context)
        await auditor.run()


async def run_auditor(settings: AuditorSettings, peer: Peer, portal_url: str | None = None) -> None:
    """Run an auditor, which takes no tasks, until cancelled.

    :param portal_url: where its portal is, if it has one.
    :raises LocalError: a package, the workers or the file of audits are not as they should be.
    """
    packages = [package.load(folder) for folder in settings.model_folders]
    backend, count = await backend_of(settings, packages)
    for item in packages:
        await trio.to_thread.run_sync(package.verify, item)
    domain = EscrowDomain.of(peer.network.deployment)
    with open_earnings(settings.data_dir / EARNINGS_FILE, peer.key.address, domain) as earnings:
        payee = Payee(earnings, peer.clients, peer.sender, PAY_TERMS)
        async with open_pool(packages, backend, count) as workers, trio.open_nursery() as nursery:
            await workers.ready()
            pay = AuditPayee(peer.key.address, peer.seen, payee.take)
            observable = peer.context.observable
            observable.register("inference", workers.statistics)
            observable.register("pay", payee.status)
            observable.register("audit_pay", lambda: pay.counts)
            health_url = peer.context.health_url
            with node_file(settings, peer.key.address, peer.host, health_url, portal_url=portal_url):
                await peer.alone.wait()
                peer.host.handle_direct_streams(AUDIT_PAY_PROTOCOL, pay.handle, admission=AUDIT_PAY_ADMISSION)
                nursery.start_soon(payee.run, peer.network.parameters.chain_poll_ms)
                peer.context.started()
                log.info("ready", role="auditor", models=[item.name for item in packages])
                await audit_beside(peer, workers, lambda: True)
