"""Epochs, their seeds, and who weighs how much in them, as typed Python in the manner of `staking`.

Is: what draws are made from; a coordinator also records the seeds here, as anybody may.
Is not: the list of nodes (`registry`): the contract weighs those that it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from contracts.contract import Contract
from contracts.endpoint_health import majority
from contracts.errors import BadChainAnswer
from contracts.records import Epoch
from contracts.rpc import Rpc
from contracts.transactions import Sender

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE_NODES: Final = 500
"""Nodes in one question for weights: some five million gas, which every RPC allows for a call."""


SETTLED_LOOK_BACK: Final = 4
"""Epochs that are looked at for one whose seed is deep enough."""


class EpochsClient:
    """Epochs, as staking counts them and as their seeds are recorded."""

    def __init__(self, rpc: Rpc, epoch_seeds_address: bytes, staking_address: bytes) -> None:
        self._rpc = rpc
        self._seeds_address = epoch_seeds_address
        self._seeds = Contract(rpc, epoch_seeds_address, "EpochSeeds")
        self._staking = Contract(rpc, staking_address, "Staking")

    @property
    def answered_at_s(self) -> float:
        """When the chain answered anything last, by trio's clock; minus infinity before."""
        return self._rpc.answered_at_s

    async def clock(self) -> int:
        """The current block number as the contract sees it; snapshots are of blocks before it."""
        clock: int = await self._seeds.read("clock")
        return clock

    async def current_epoch(self) -> int:
        """Number of the epoch of the current block, seeded or not."""
        number: int = await self._seeds.read("currentEpoch")
        return number

    async def settled_epoch(self, confirmations: int) -> Epoch | None:
        """The newest epoch whose seed's block lies under `confirmations` others; ``None`` before the first.

        :param confirmations: blocks, fewer than two epochs have; what a reorganisation of fewer blocks may
            still change is not given.
        """
        # The clock first: answers after it are of the same block or a newer one, so nothing looks deeper
        # than it is.
        clock = await self.clock()
        newest: int = await self._seeds.read("latestSeededEpoch")
        for number in range(newest, max(newest - SETTLED_LOOK_BACK, 0), -1):
            seed_block: int = await self._seeds.read("seedBlock", number)
            if seed_block + confirmations > clock:
                continue
            epoch = await self.epoch(number)
            if epoch is not None:
                return epoch
        return None

    async def epoch(self, number: int) -> Epoch | None:
        """One epoch; ``None`` if it has no seed."""
        seed: bytes = await self._seeds.read("epochSeed", number)
        if not any(seed):
            return None
        return Epoch(number, seed, await self._seeds.read("snapshotBlock", number))

    async def doubt_about(self, epoch: Epoch) -> str | None:
        """Answers of all endpoints about an epoch's seed, if they leave in doubt which one is true.

        That there is no seed is an answer too: else whoever invents an epoch would be asked about it alone.
        More than half of the answers decide, and whom they contradict is passed over; one that has no seed
        yet where most have this one only lags.

        :returns: the answers, for people; ``None`` without a doubt.
        """
        if not self._rpc.is_several:
            return None

        async def ask(rpc: Rpc) -> bytes:
            seeds = Contract(rpc, self._seeds_address, "EpochSeeds")
            seed: bytes = await seeds.read("epochSeed", epoch.number)
            return seed

        said = await self._rpc.ask_each(ask)
        agreed = majority(said)
        if agreed is not None:
            others = [host for host, seed in said.items() if seed != agreed and any(seed)]
            self._rpc.outvoted(others, f"it has another seed of epoch {epoch.number} than most others")
        if agreed == epoch.seed:
            return None
        told = ", ".join(
            f"{host} says {'0x' + seed[:8].hex() if any(seed) else 'that there is none'}"
            for host, seed in said.items()
        )
        what = f"the seed of epoch {epoch.number}"
        if not said:
            return f"none of the chain's RPCs answers about {what}"
        return f"the chain's RPCs disagree about {what}: {told}"

    async def recordable_epoch(self) -> int | None:
        """The epoch whose seed can and should be recorded now; ``None`` if there is none."""
        number: int = await self._seeds.read("nextRecordableEpoch")
        seed_block: int = await self._seeds.read("seedBlock", number)
        return number if await self.clock() > seed_block else None

    async def record_seed(self, sender: Sender, number: int) -> Epoch:
        """Record the seed of an epoch; harmless if somebody else was faster.

        Reverts with ``SeedNotReady``, ``SeedMissed`` or ``EarlierSeedPending``.
        """
        await self._seeds.transact(sender, "recordSeed", number)
        epoch = await self.epoch(number)
        if epoch is None:
            raise BadChainAnswer("epochSeed", "no seed after it was recorded")
        return epoch

    async def weight(self, node: bytes) -> int:
        """The weight of a node now, in micro-CAI; in draws it counts from the next epoch on."""
        weight_micro_cai: int = await self._staking.read("weightOf", node)
        return weight_micro_cai

    async def weights_at(self, nodes: Sequence[bytes], epoch: int) -> list[int]:
        """The weights of nodes when an epoch began, in micro-CAI; 0 for one that did not take part.

        The same for whoever asks whenever, in pages of `PAGE_NODES`. Reverts with ``EpochNotStarted``,
        or with ``WeightForgotten`` if the weight of one of them has changed in six epochs since.
        """
        weights: list[int] = []
        for start in range(0, len(nodes), PAGE_NODES):
            page = nodes[start : start + PAGE_NODES]
            found = await self._staking.read("weightsAt", page, epoch)
            if len(found) != len(page):
                raise BadChainAnswer("weightsAt", "not one weight for each node")
            weights += found
        return weights
