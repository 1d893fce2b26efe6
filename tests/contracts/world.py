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
from contracts.client import SlashingClient, StakingClient
from contracts.consent import sign_consent
from contracts.deploy import DeployParameters, deploy
from contracts.deployment import Deployment
from contracts.records import WEI_PER_CAI, Consent, Role
from contracts.rpc import connect
from contracts.transactions import Sender
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
EPOCH_BLOCKS = 20
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
    token: TokenClient
    staking: StakingClient
    slashing: SlashingClient
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
        signature = self.sign(secret, consent)
        await self.staking.register(self.owner, consent, signature, metadata="{}", amount_wei=amount_wei)
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
        parameters = DeployParameters(
            development=True,
            unbonding_delay_s=UNBONDING_DELAY_S,
            epoch_blocks=EPOCH_BLOCKS,
            seed_delay_blocks=SEED_DELAY_BLOCKS,
        )
        deployment = await deploy(rpc, senders[0], parameters)
        token = deployment.token_client(rpc)
        for sender in senders:
            if sender is not senders[0]:
                await token.transfer(senders[0], sender.address, 10_000_000 * WEI_PER_CAI)
            await token.approve(sender, deployment.staking, 2**255)
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
        try:
            yield World(
                chain=chain,
                deployment=deployment,
                token=deployment.token_client(rpc),
                staking=deployment.staking_client(rpc),
                slashing=deployment.slashing_client(rpc),
                owner=owner,
                ann=ann,
                ben=ben,
                reporter=reporter,
            )
        finally:
            if put_back:
                with trio.CancelScope(shield=True):
                    await chain.revert(snapshot)
