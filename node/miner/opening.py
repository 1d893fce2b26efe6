"""Opens the miner that its settings describe, and runs it.

Is: from settings to a throttle, a pool of workers, a payee, and the miner on top of them.
Is not: the miner (`miner`).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeAlias

import trio

from node.inference.backends import backend_of
from node.inference.packages import package
from node.inference.pool.pool import WorkerPool, open_pool
from node.miner.accelerators import find_accelerator
from node.miner.load_monitor import LoadMonitor
from node.miner.miner import Miner
from node.miner.terms import ModelTerms
from node.miner.throttle import Throttle
from node.miner.work_policy import WorkPolicy, parse_hours
from node.pay.earnings import EARNINGS_FILE, open_earnings
from node.pay.payee import CreditTerms, Payee
from node.pay.vouchers import EscrowDomain
from node.peer.peer import Peer
from node.settings import MinerSettings
from node.system.lifetime import node_file
from protocol.amounts import WEI_PER_MICRO_CAI

Beside: TypeAlias = Callable[[Peer, WorkerPool, Callable[[], bool]], Awaitable[None]]
"""Other work for a miner's workers, after its own: takes those, and whether the machine may be used now."""


@asynccontextmanager
async def open_miner(
    settings: MinerSettings, peer: Peer, make_miner: type[Miner] = Miner
) -> AsyncIterator[Miner]:
    """A miner whose workers have loaded their models, until the context ends.

    :param make_miner: its class; another one than the honest one is for demonstrations and tests.
    :raises LocalError: a package, the workers or the book of earnings are not as they should be.
    """
    packages = [package.load(folder) for folder in settings.model_folders]
    policy = WorkPolicy(
        parse_hours(settings.active_hours),
        settings.load_max,
        settings.device_load_max,
        settings.power_saving,
    )
    throttle = Throttle(policy, LoadMonitor(find_accelerator(settings.device, os.environ)))
    backend, count = await backend_of(settings, packages, power_saving=settings.power_saving)
    for item in packages:
        await trio.to_thread.run_sync(package.verify, item)
    async with open_pool(packages, backend, count) as workers:
        await workers.ready()
        with _open_payee(settings, peer) as payee:
            terms = ModelTerms(packages, settings.price_micro_cai, settings.capacity)
            miner = make_miner(peer, workers, packages, terms, throttle, payee)
            miner.show(peer.context)
            yield miner


async def run_miner(
    settings: MinerSettings,
    peer: Peer,
    beside: Beside,
    make_miner: type[Miner] = Miner,
    portal_url: str | None = None,
) -> None:
    """Run a miner until cancelled; errors as :func:`open_miner`'s, and those of `beside`.

    :param beside: what its workers do besides.
    :param portal_url: where its portal is, if it has one.
    """
    async with open_miner(settings, peer, make_miner) as miner:
        with node_file(settings, peer.key.address, peer.host, peer.context.health_url, portal_url=portal_url):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(beside, peer, miner.workers, miner.may_work)
                await miner.run()


@contextmanager
def _open_payee(settings: MinerSettings, peer: Peer) -> Iterator[Payee]:
    task_wei = settings.price_micro_cai * WEI_PER_MICRO_CAI
    terms = CreditTerms(limit_wei=settings.credit_tasks * task_wei, least_wei=task_wei)
    domain = EscrowDomain.of(peer.network.deployment)
    with open_earnings(settings.data_dir / EARNINGS_FILE, peer.key.address, domain) as earnings:
        yield Payee(earnings, peer.clients, peer.sender, terms)
