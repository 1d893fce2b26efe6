"""Keeps a peer's `View` of the chain fresh: the epochs, with who is staked in them.

Is: polling, and for coordinators the recording of due epoch seeds, which anybody may do.
Is not: the chain's client (`contracts`) or any judgement of messages (`protocol/rules`).

A chain that cannot be reached is no reason to stop: the last view stays, and its epoch runs out by itself.
"""

from __future__ import annotations

import structlog
import trio

from contracts.client import StakingClient
from contracts.errors import ChainError, ContractReverted
from contracts.records import Role
from contracts.transactions import Sender
from protocol.draw import EpochView, Snapshot
from protocol.rules.view import View
from protocol.statement import Domain

EPOCHS_KEPT = 2
"""The latest, and the one before, which announcements on their way may still name."""

log = structlog.get_logger()


class ChainWatcher:
    """The present `view`, and the tasks that renew it."""

    def __init__(self, staking: StakingClient, domain: Domain, poll_ms: int) -> None:
        self._staking = staking
        self._poll_s = poll_ms / 1000
        self.view = View(domain, {})

    async def refresh(self) -> None:
        """Ask the chain once.

        :raises ChainError: it cannot be reached or answers nonsense.
        """
        epoch = await self._staking.latest_epoch()
        if epoch is None or epoch.number in self.view.epochs:
            return
        miners, coordinators = [
            Snapshot.of(
                (node.address, node.stake_wei)
                for node in await self._staking.snapshot(role, epoch.snapshot_block)
            )
            for role in (Role.MINER, Role.COORDINATOR)
        ]
        fresh = EpochView(epoch.number, epoch.seed, miners, coordinators)
        kept = sorted(self.view.epochs)[-(EPOCHS_KEPT - 1) :]
        # One assignment of a new value: whoever holds the old view goes on with a consistent one.
        self.view = View(
            self.view.domain, {number: self.view.epochs[number] for number in kept} | {epoch.number: fresh}
        )
        log.info(
            "epoch", number=epoch.number, miners=len(miners.miners), coordinators=len(coordinators.miners)
        )

    async def run(self) -> None:
        """Refresh for as long as the peer runs."""
        reachable = True
        while True:
            try:
                await self.refresh()
                if not reachable:
                    log.info("chain is reachable again")
                reachable = True
            except ChainError as fault:
                if reachable:
                    log.warning("chain is not reachable; the last epoch stays", error=str(fault))
                reachable = False
            await trio.sleep(self._poll_s)

    async def record_seeds(self, sender: Sender) -> None:
        """Record each epoch's seed when it is due, for as long as the role runs; `sender` pays the gas."""
        while True:
            try:
                due = await self._staking.recordable_epoch()
                if due is not None:
                    await self._staking.record_seed(sender, due)
                    log.info("epoch seed recorded", epoch=due)
            except (ChainError, ContractReverted) as error:
                log.warning("epoch seed not recorded; trying again", error=str(error))
            await trio.sleep(self._poll_s)
