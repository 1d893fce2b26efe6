"""A market's contracts on a real chain, with some people who have money, and short verbs for the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio
from hypothesis import settings

from contracts.account import Account
from contracts.anvil import Anvil, AnvilProcess
from contracts.cai import TokenClient
from contracts.clients import Clients
from contracts.consent import sign_consent
from contracts.deploy import DeployParameters, TokenKind, deploy
from contracts.deployment import Deployment
from contracts.disputes import DisputesClient
from contracts.epochs import EpochsClient
from contracts.escrow import EscrowClient
from contracts.records import Consent, Role
from contracts.rewards import RewardsClient
from contracts.rpc import connect
from contracts.slashing import SlashingClient
from contracts.staking import StakingClient
from contracts.transactions import Sender
from protocol.amounts import WEI_PER_CAI
from protocol.hashing import keccak256
from protocol.signature import sign_digest
from protocol.statement import Domain

lawful = settings(deadline=None)
"""For laws: the machine may be busy, so time is no criterion."""

NODE_SECRET = keccak256(b"node")
OTHER_NODE_SECRET = keccak256(b"other node")
NODE = Account(NODE_SECRET).address
OTHER_NODE = Account(OTHER_NODE_SECRET).address
MINER_STAKE_WEI = 20_001 * WEI_PER_CAI
COORDINATOR_STAKE_WEI = 2_000_001 * WEI_PER_CAI
UNBONDING_DELAY_S = 3_600
EPOCH_BLOCKS = 40
SEED_DELAY_BLOCKS = 5
SLOT = keccak256(b"slot")


@dataclass(frozen=True, slots=True)
class Statement:
    """One signed statement, as the slashing contract takes it."""

    body: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    chain: Anvil
    deployment: Deployment
    clients: Clients
    token: TokenClient
    staking: StakingClient
    epochs: EpochsClient
    rewards: RewardsClient
    slashing: SlashingClient
    escrow: EscrowClient
    disputes: DisputesClient
    owner: Sender
    ann: Sender
    ben: Sender
    reporter: Sender

    async def consent(self, secret: bytes = NODE_SECRET, role: Role = Role.MINER) -> Consent:
        deadline_s = await self.chain.time_s() + 600
        node = Account(secret).address
        return Consent(owner=self.owner.address, node=node, role=role, deadline_s=deadline_s)

    def sign(self, secret: bytes, consent: Consent) -> bytes:
        return sign_consent(secret, consent, self.staking.chain_id, self.staking.address)

    async def register(
        self, secret: bytes = NODE_SECRET, role: Role = Role.MINER, amount_wei: int = MINER_STAKE_WEI
    ) -> bytes:
        consent = await self.consent(secret, role)
        await self.staking.stake(self.owner, consent.node, amount_wei)
        await self.staking.register(self.owner, consent, self.sign(secret, consent), metadata="{}")
        return consent.node

    def statement(
        self, text: bytes, *, secret: bytes = NODE_SECRET, kind: int = 2, slot: bytes = SLOT
    ) -> Statement:
        body = keccak256(text)
        domain = Domain(self.staking.chain_id, self.slashing.address)
        return Statement(body, sign_digest(secret, domain.digest(kind, slot, body)))


async def deploy_for_tests(process: AnvilProcess) -> Deployment:
    """Deploy, and give everybody ten million CAI and an allowance for staking."""
    async with connect(process.endpoint) as rpc:
        chain = Anvil(rpc, process)
        senders = [Sender(rpc, account) for account in chain.accounts()[:4]]
        parameters = DeployParameters.for_delay(
            UNBONDING_DELAY_S,
            token=TokenKind.DEVELOPMENT,
            epoch_blocks=EPOCH_BLOCKS,
            seed_delay_blocks=SEED_DELAY_BLOCKS,
            disputes=True,
        )
        deployment = await deploy(rpc, senders[0], parameters)
        token = Clients(rpc, deployment).token
        for sender in senders:
            if sender is not senders[0]:
                await token.transfer(senders[0], sender.address, 10_000_000 * WEI_PER_CAI)
            for spender in (deployment.staking, deployment.escrow, deployment.disputes):
                await token.approve(sender, spender, 2**255)
        return deployment


@asynccontextmanager
async def visit(
    process: AnvilProcess, deployment: Deployment, *, put_back: bool = True
) -> AsyncIterator[World]:
    """The world as it was deployed, whatever the test before did to it.

    :param put_back: undo everything afterwards; a chain that was reorganised has nothing to go back to.
    """
    async with connect(process.endpoint) as rpc:
        chain = Anvil(rpc, process)
        snapshot = await chain.snapshot()
        owner, ann, ben, reporter = (Sender(rpc, account) for account in chain.accounts()[:4])
        clients = Clients(rpc, deployment)
        try:
            yield World(
                chain=chain,
                deployment=deployment,
                clients=clients,
                token=clients.token,
                staking=clients.staking,
                epochs=clients.epochs,
                rewards=clients.rewards,
                slashing=clients.slashing,
                escrow=clients.escrow,
                disputes=clients.disputes,
                owner=owner,
                ann=ann,
                ben=ben,
                reporter=reporter,
            )
        finally:
            if put_back:
                with trio.CancelScope(shield=True):
                    await chain.revert(snapshot)
