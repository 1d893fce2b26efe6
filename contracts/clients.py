"""The typed clients of one network's contracts, and the check that they are where they should be.

Is: where an RPC and a deployment meet.
Is not: any of the calls; each contract has its module.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from contracts.blocks import BlocksClient
from contracts.cai import TokenClient
from contracts.calls import Calls
from contracts.contract import Contract
from contracts.deployment import NOBODY, BadDeployment, Deployment
from contracts.disputes import DisputesClient
from contracts.epochs import EpochsClient
from contracts.escrow import EscrowClient
from contracts.leaves import LeavesClient
from contracts.metadata import MetadataReader
from contracts.positions import Positions
from contracts.registry import Registry
from contracts.rewards import RewardsClient
from contracts.rpc import Rpc
from contracts.slashing import SlashingClient
from contracts.staking import StakingClient


class Clients:
    """Everything that can be called, made when it is first asked for.

    :ivar rpc: the connection.
    :ivar deployment: the addresses.
    """

    def __init__(self, rpc: Rpc, deployment: Deployment) -> None:
        self.rpc = rpc
        self.deployment = deployment

    @cached_property
    def token(self) -> TokenClient:
        """CAI."""
        return TokenClient(self.rpc, self.deployment.cai)

    @cached_property
    def staking(self) -> StakingClient:
        """Nodes and stake."""
        return StakingClient(self.rpc, self.deployment.staking)

    @cached_property
    def blocks(self) -> BlocksClient:
        """Blocks by number."""
        return BlocksClient(self.rpc)

    @cached_property
    def epochs(self) -> EpochsClient:
        """Epochs, their seeds and weights."""
        return EpochsClient(self.rpc, self.deployment.epoch_seeds, self.deployment.staking)

    @cached_property
    def rewards(self) -> RewardsClient:
        """Rewards, of the staking contract."""
        return RewardsClient(self.rpc, self.deployment.staking)

    @cached_property
    def leaves(self) -> LeavesClient:
        """The tree of weights, of the staking contract."""
        return LeavesClient(self.rpc, self.deployment.staking, self.deployment.deployed_at_block)

    @cached_property
    def slashing(self) -> SlashingClient:
        """Penalties for what signatures alone prove."""
        return SlashingClient(self.rpc, self.deployment.slashing, self.deployment.staking)

    @cached_property
    def escrow(self) -> EscrowClient:
        """Deposits and vouchers."""
        return EscrowClient(self.rpc, self.deployment.escrow)

    @cached_property
    def disputes(self) -> DisputesClient:
        """Accusations that a jury judges. :raises BadDeployment: this network has none."""
        if self.deployment.disputes is None:
            message = "this network has no disputes"
            raise BadDeployment(message)
        return DisputesClient(self.rpc, self.deployment.disputes)

    @cached_property
    def metadata(self) -> MetadataReader:
        """Owners' descriptions of their nodes."""
        return MetadataReader(self.rpc, self.deployment)

    @cached_property
    def calls(self) -> Calls:
        """Calls as data, for wallets."""
        return Calls(self.rpc, self.deployment)

    def positions(self) -> Positions:
        """The table of who has stake behind which node, to be read from the chain."""
        return Positions(self.rpc, self.deployment)

    def registry(self, file: Path | None = None) -> Registry:
        """The list of nodes, to be read from the chain.

        :param file: where it is kept from one run to the next.
        """
        return Registry(self.rpc, self.deployment.staking, self.deployment.deployed_at_block, file)


async def check_deployment(rpc: Rpc, deployment: Deployment) -> None:
    """Make sure that the contracts stand where they should, and belong to each other.

    :raises BadDeployment: they do not.
    """
    if rpc.chain_id != deployment.chain_id:
        message = f"the contracts are on chain {deployment.chain_id}, the RPC serves {rpc.chain_id}"
        raise BadDeployment(message)
    for name, address in deployment.contracts().items():
        if not await rpc.code(address):
            message = f"there is no contract at the address of {name}"
            raise BadDeployment(message)
    staking = Contract(rpc, deployment.staking, "Staking")
    seeds = Contract(rpc, deployment.epoch_seeds, "EpochSeeds")
    linked = [
        await staking.read("TOKEN") == deployment.cai,
        await seeds.read("STAKING") == deployment.staking,
    ]
    for name in ("slashing", "escrow", "disputes"):
        address = getattr(deployment, name)
        linked.append(await staking.read(name.upper()) == (NOBODY if address is None else address))
        if address is not None:
            other = Contract(rpc, address, name.capitalize())
            linked.append(await other.read("STAKING") == deployment.staking)
    if not all(linked):
        message = "the contracts do not belong to each other"
        raise BadDeployment(message)
