"""Opens the auditor that its settings describe, and runs it: beside a miner, or by itself.

Is: from settings to packages, workers and the file of audits. Is not: the auditor (`auditor`).
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
import trio

from node.auditor.auditor import Auditor
from node.auditor.journal import AUDITS_FILE, open_audits
from node.inference.backends import backend_of
from node.inference.packages import package
from node.inference.pool.pool import WorkerPool, open_pool
from node.peer.peer import Peer
from node.settings import AuditorSettings
from node.system.lifetime import node_file

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
    async with open_pool(packages, backend, count) as workers:
        await workers.ready()
        peer.context.observable.register("inference", workers.statistics)
        with node_file(settings, peer.key.address, peer.host, peer.context.health_url, portal_url=portal_url):
            await peer.alone.wait()
            peer.context.started()
            log.info("ready", role="auditor", models=[item.name for item in packages])
            await audit_beside(peer, workers, lambda: True)
