"""Keeps a peer's `View` of the chain fresh: the epochs, with who is staked in them, and blocks for audits.

Is: polling, and for coordinators the recording of due epoch seeds, which anybody may do.
Is not: the chain's client (`contracts`) or any judgement of messages (`protocol/rules`).

A chain that cannot be reached is no reason to stop: the last view stays, and its epoch runs out by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import structlog
import trio

from contracts.epochs import EpochsClient
from contracts.errors import ChainError, ContractReverted
from contracts.records import Epoch, Role
from contracts.registry import Registry
from contracts.registry_store import Entry
from contracts.transactions import Sender
from node.peer.beacon_watcher import Beacons
from node.peer.past_epochs import PastEpochs
from node.peer.seed_turns import TURN_POLLS, seed_turn
from node.system import clock
from node.system.events import ChainReorganised, EventBus
from protocol.draw import EpochView, Snapshot
from protocol.registrations import REGISTRATIONS_MAX, Registrations
from protocol.rules.view import SEED_SETTLING_MS, View
from protocol.statement import Domain
from protocol.terms import AuditTerms, TaskTerms

EPOCHS_KEPT = 2
"""The latest, and the one before, which announcements on their way may still name."""

SILENCE_S_MAX = 3.0
"""So long may the chain answer nothing, while it is asked for the newest epoch, before it counts as out of
reach; the question goes on, for as long as the RPC's own time limit allows."""

BEHIND_S_MAX = 10.0
"""So long may a new epoch wait until its nodes are read before the node says that it lags; until then the one
before it serves."""

FIRST_LOOK_S = 10.0
"""So long is the first look at the chain waited for. A list that takes longer is read beside all else."""

REGISTRY_FILE = "registry.sqlite"
"""List of nodes, in the data directory."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """The chain's last answer.

    :ivar epoch: the latest with a seed; None before the first.
    :ivar miners: with stake in it. :ivar coordinators: likewise.
    :ivar unreachable: why the chain does not answer now; None when it does.
    :ivar behind: how far a new epoch is read that is not used yet, if it takes long; None when it does not.
    :ivar disagreement: what its RPC endpoints say differently of the newest seed; None when nothing.
    """

    epoch: int | None
    miners: int
    coordinators: int
    unreachable: str | None
    behind: str | None
    disagreement: str | None


class ChainWatcher:
    """The present `view`, and the tasks that renew it.

    :ivar disagreement: what several RPC endpoints say differently of the newest seed, which therefore is not
        used; None when nothing.
    """

    def __init__(
        self,
        epochs: EpochsClient,
        registry: Registry,
        domain: Domain,
        terms: TaskTerms,
        poll_ms: int,
        confirmations: int,
        events: EventBus | None = None,
        now_ms: Callable[[], int] = clock.now_ms,
        audit_terms: AuditTerms | None = None,
    ) -> None:
        """
        :param audit_terms: of the network; None for those of most.
        :param registry: with the file in which it is kept from one run to the next.
        :param confirmations: blocks under which a seed's block lies before the seed is used.
        """
        self._confirmations = confirmations
        self._now_ms = now_ms
        self._fault: str | None = None
        self._asked_at_s: float | None = None
        self._behind_since_s: float | None = None
        self._events = events or EventBus()
        self._epochs = epochs
        self._registry = registry
        self._poll_s = poll_ms / 1000
        self._told_fault: str | None = None
        self._past = PastEpochs()
        self._registrations = Registrations()
        self.disagreement: str | None = None
        self.view = View(domain, {}, terms, audit_terms=audit_terms or AuditTerms())

    @property
    def unreachable(self) -> str | None:
        """Why the chain did not answer when it was asked last, or does not yet; None when it did."""
        if self._fault is not None or self._asked_at_s is None:
            return self._fault
        # The question is several requests: one that is slow and answers each of them is not silent.
        silence_s = trio.current_time() - max(self._asked_at_s, self._epochs.answered_at_s)
        return f"the chain has not answered for {silence_s:.0f} s" if silence_s >= SILENCE_S_MAX else None

    @property
    def behind(self) -> str | None:
        """How far the list of a new epoch's nodes is read, if that takes long; None when it does not."""
        if self._behind_since_s is None or trio.current_time() - self._behind_since_s < BEHIND_S_MAX:
            return None
        return f"a new epoch waits for its list of nodes: {self._registry.progress()}"

    def nodes(self, role: Role | None = None) -> tuple[Entry, ...]:
        """Nodes of a role, or all, that were ever registered, in that order, as of the newest epoch's
        look.
        """
        return self._registry.nodes(role)

    async def look_first(self) -> None:
        """Have an epoch before peers are met, if it is to be had soon; otherwise `run` catches up."""
        with trio.move_on_after(FIRST_LOOK_S):
            try:
                await self.refresh()
            except (ChainError, ContractReverted) as error:
                log.warning("the chain tells no epoch yet; asking again", error=str(error))

    async def refresh(self) -> None:
        """Ask the chain once.

        :raises ChainError: it cannot be reached or answers nonsense.
        """
        self._asked_at_s = trio.current_time()
        try:
            epoch = await self._epochs.settled_epoch(self._confirmations)
        finally:
            self._asked_at_s = None
        if epoch is None:
            return
        known = self.view.epochs.get(epoch.number)
        # After a reorganisation an epoch may have another seed than the one that we have read.
        if known is not None and known.seed == epoch.seed:
            self.disagreement = self._behind_since_s = None
            return
        latest = self.view.latest
        if known is None and latest is not None and epoch.number < latest.number:
            return  # an RPC that lags, or a reorganisation that will bring the newer one back
        doubt = await self._epochs.doubt_about(epoch)
        if doubt is not None and self.disagreement is None:
            log.warning("the newest seed is in doubt; the last epoch stays", reason=doubt)
        self.disagreement = doubt
        if doubt is not None:
            return
        if self._behind_since_s is None:
            self._behind_since_s = trio.current_time()
        await self._registry.sync()
        self._tell_fault()
        if not self._registry.is_complete:
            reason = self._registry.progress()
            log.warning("the list of nodes is too short; asking again", epoch=epoch.number, reason=reason)
            return
        fresh = await self._weighed(epoch)
        if fresh is None:
            return
        kept = [number for number in sorted(self.view.epochs) if number != epoch.number][-(EPOCHS_KEPT - 1) :]
        others = {number: await self._as_it_is_now(self.view.epochs[number]) for number in kept}
        self._renew(others | {epoch.number: fresh})
        self._behind_since_s = None
        log.info("epoch", number=epoch.number, miners=len(fresh.miners), coordinators=len(fresh.coordinators))

    async def seed_of(self, epoch: int) -> bytes | None:
        """The seed of an epoch, by number, as the chain has it now: 32 bytes; None if it has none.

        :raises ChainError: it cannot be reached or answers nonsense.
        """
        found = await self._epochs.epoch(epoch)
        return None if found is None else found.seed

    async def _as_it_is_now(self, known: EpochView) -> EpochView:
        """An epoch that was read before. A seed depends on the one before it, so two may change at once."""
        now = await self._epochs.epoch(known.number)
        if now is None or now.seed == known.seed:
            return known
        return await self._weighed(now) or known

    async def _weighed(self, epoch: Epoch) -> EpochView | None:
        """An epoch with who is staked in it; None if it is so old that the chain cannot tell."""
        try:
            miners, coordinators = [
                await self._snapshot(role, epoch.number) for role in (Role.MINER, Role.COORDINATOR)
            ]
        except ContractReverted as refusal:
            if refusal.name != "WeightForgotten":
                raise
            # Nobody has recorded a seed for so long that the chain cannot tell that epoch's weights any more.
            log.warning("the newest seed is too old: waiting for the next one", epoch=epoch.number)
            return None
        return EpochView(epoch.number, epoch.seed, miners, coordinators, await self._owners())

    def _renew(self, epochs: dict[int, EpochView]) -> None:
        before = self.view
        changed = [
            number
            for number, epoch in epochs.items()
            if number in before.epochs and before.epochs[number].seed != epoch.seed
        ]
        until = {number: self._now_ms() + SEED_SETTLING_MS for number in changed}
        settling = {number: end for number, end in before.settling_until_ms.items() if number in epochs}
        # One assignment of a new value: whoever holds the old view goes on with a consistent one.
        life_ms = before.terms.life_ms_max + before.audit_terms.window_ms
        past = self._past.renew(before.epochs, epochs, life_ms, self._now_ms())
        self.view = replace(before, epochs=epochs, settling_until_ms=settling | until, past_epochs=past)
        for number in changed:
            self._events.publish(ChainReorganised(number))
            log.warning("the seed of an epoch has changed: the chain was reorganised", epoch=number)

    def take_beacons(self, beacons: Beacons) -> None:
        """Put the blocks that decide about audits into the view."""
        self.view = replace(
            self.view,
            beacons=beacons.known,
            beacons_settling_until_ms=beacons.settling_until_ms,
            newest_block_ms=beacons.newest_block_ms,
        )

    def status(self) -> ChainStatus:
        """For people and monitors."""
        latest = self.view.latest
        miners, coordinators = (0, 0) if latest is None else (len(latest.miners), len(latest.coordinators))
        number = None if latest is None else latest.number
        return ChainStatus(number, miners, coordinators, self.unreachable, self.behind, self.disagreement)

    async def _owners(self) -> Registrations:
        """Of all nodes; epochs share one table while it is the same.

        One node more than a table holds, and none has a known owner: who works does not hang on it.
        """
        entries = [(entry.address, entry.owner, entry.block_number) for entry in self._registry.nodes()]
        if len(entries) > REGISTRATIONS_MAX:
            log.warning("too many nodes are registered to tell their owners", nodes=len(entries))
            return Registrations()
        # In a thread: a hundred thousand are sorted in a tenth of a second.
        made = await trio.to_thread.run_sync(Registrations.of, entries)
        if made != self._registrations:
            self._registrations = made
        return self._registrations

    async def _snapshot(self, role: Role, epoch: int) -> Snapshot:
        nodes = [node.address for node in self._registry.nodes(role)]
        weights = await self._epochs.weights_at(nodes, epoch)
        return Snapshot.of_arrays(b"".join(nodes), np.array(weights, dtype=np.uint64))

    def _tell_fault(self) -> None:
        fault = self._registry.fault
        if fault is not None and fault != self._told_fault:
            log.warning("the list of nodes is not kept: the next start reads it anew", error=fault)
        self._told_fault = fault

    async def run(self) -> None:
        """Refresh for as long as the peer runs."""
        while True:
            try:
                await self.refresh()
                if self._fault is not None:
                    log.info("chain is reachable again")
                self._fault = None
            # A contract's refusal is a state between two blocks, or between two nodes behind one address.
            except (ChainError, ContractReverted) as fault:
                if self._fault is None:
                    log.warning("chain is not reachable; the last epoch stays", error=str(fault))
                self._fault = str(fault)
            await trio.sleep(self._poll_s)

    async def record_seeds(self, sender: Sender) -> None:
        """Record each epoch's seed that nobody records before our turn comes, for as long as the role runs.

        :param sender: pays the gas.
        """
        due_before: int | None = None
        waits_until_s = 0.0
        while True:
            try:
                due = await self._epochs.recordable_epoch()
                if due is not None and due != due_before:
                    turn = seed_turn(self.view.latest, due, sender.address)
                    waits_until_s = trio.current_time() + turn * TURN_POLLS * self._poll_s
                due_before = due
                if due is not None and trio.current_time() >= waits_until_s:
                    await self._epochs.record_seed(sender, due)
                    log.info("epoch seed recorded", epoch=due)
            except (ChainError, ContractReverted) as error:
                log.warning("epoch seed not recorded; trying again", error=str(error))
            await trio.sleep(self._poll_s)
