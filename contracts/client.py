"""Staking and slashing as typed Python: one class a contract, one method a function.

Is: what nodes, tools and the portal call. Reads see the newest block. Writes name the `Sender` that pays for
and signs them, and return when the transaction is in a block.
Is not: the token, which is in `cai`. Nothing is cached, and nothing is final: an answer can be undone while
the chain can reorganise.

Every method may raise `ChainUnreachable`, `BadChainAnswer` and `RpcError`; every write also `CostTooHigh`,
`TransactionNotMined` and `ContractReverted`, whose `name` is one of the errors in ``src/interfaces/``.
"""

from __future__ import annotations

from typing import Final

from contracts.contract import Contract
from contracts.errors import BadChainAnswer
from contracts.records import (
    Consent,
    Epoch,
    NodeInfo,
    NodeWeight,
    Role,
    SlashOutcome,
    UnbondingRequest,
)
from contracts.rpc import Receipt, Rpc
from contracts.transactions import Sender

PAGE_NODES: Final = 200
"""Nodes in one read of a list: some 2 million gas, which every RPC allows for a call, and some 15 ms in which
web3 decodes the page and nothing else runs."""


class StakingClient:
    """Registrations, stake, snapshots and epoch seeds.

    :ivar address: 20 bytes, of the contract.
    :ivar chain_id: for consents.
    """

    def __init__(self, rpc: Rpc, address: bytes) -> None:
        self.address = address
        self.chain_id = rpc.chain_id
        self._contract = Contract(rpc, address, "Staking")

    async def node_info(self, node: bytes) -> NodeInfo | None:
        """What is known of a node key; ``None`` if it is not registered."""
        owner, role, jailed, active, own, total, unbonding, metadata = await self._contract.read(
            "nodeInfo", node
        )
        if role == 0:
            return None
        return NodeInfo(
            owner=owner,
            role=_role(role),
            own_stake_wei=own,
            total_stake_wei=total,
            unbonding_stake_wei=unbonding,
            active=active,
            jailed=jailed,
            metadata=metadata,
        )

    async def register(
        self, sender: Sender, consent: Consent, signature: bytes, *, metadata: str, amount_wei: int
    ) -> Receipt:
        """Register a node key with `sender` as its owner; needs the token's allowance for `amount_wei`.

        :param consent: whose owner is `sender`; see `contracts.consent` for the signature.
        :param metadata: at most `METADATA_BYTES_MAX` bytes in UTF-8.
        :param amount_wei: own stake, strictly more than the role's minimum.

        Reverts with ``AlreadyRegistered``, ``ConsentExpired``, ``ConsentNotByNode``, ``MetadataTooLong``,
        ``OwnStakeTooSmall``, ``ERC20InsufficientAllowance``, ``ERC20InsufficientBalance`` or one of ECDSA's.
        """
        arguments = (consent.role, consent.node, metadata, amount_wei, consent.deadline_s, signature)
        return await self._contract.transact(sender, "register", *arguments)

    async def set_metadata(self, sender: Sender, node: bytes, metadata: str) -> Receipt:
        """Replace the metadata of a node of one's own."""
        return await self._contract.transact(sender, "setMetadata", node, metadata)

    async def add_stake(self, sender: Sender, node: bytes, amount_wei: int) -> Receipt:
        """Add to the own stake of a node of one's own. Reverts with ``NotOwner`` or ``NodeJailed``."""
        return await self._contract.transact(sender, "addStake", node, amount_wei)

    async def vote(self, sender: Sender, node: bytes, amount_wei: int) -> int:
        """Stake behind somebody else's active node; returns the shares it gives.

        Reverts with ``NotRegistered``, ``NodeInactive`` or ``OwnerCannotVote``.
        """
        receipt = await self._contract.transact(sender, "vote", node, amount_wei)
        shares: int = self._contract.event(receipt, "Staked").arguments["shares"]
        return shares

    async def shares(self, node: bytes, account: bytes) -> int:
        """Shares of an owner or voter behind a node."""
        shares: int = await self._contract.read("sharesOf", node, account)
        return shares

    async def stake(self, node: bytes, account: bytes) -> int:
        """What an account's shares behind a node are worth, in wei."""
        stake_wei: int = await self._contract.read("stakeOf", node, account)
        return stake_wei

    async def unvote(self, sender: Sender, node: bytes, shares: int) -> UnbondingRequest:
        """Begin to take stake back, an owner's or a voter's. It stays slashable until withdrawn.

        Reverts with ``NotEnoughShares``, or ``NothingToMove`` if they are worth nothing.
        """
        receipt = await self._contract.transact(sender, "unvote", node, shares)
        started = self._contract.event(receipt, "UnbondingStarted").arguments
        return UnbondingRequest(
            request_id=started["requestId"],
            account=started["account"],
            node=started["node"],
            amount_wei=started["amount"],
            release_time_s=started["releaseTime"],
        )

    async def unbonding(self, request_id: int) -> UnbondingRequest | None:
        """A request as it stands; ``None`` if there is none, or it has been withdrawn."""
        account, node, amount_wei, release_time_s = await self._contract.read("unbonding", request_id)
        if not any(account):
            return None
        return UnbondingRequest(
            request_id=request_id,
            account=account,
            node=node,
            amount_wei=amount_wei,
            release_time_s=release_time_s,
        )

    async def withdraw(self, sender: Sender, request_id: int) -> int:
        """Take unbonded stake; returns how much, in wei: less than asked for after a slash, even zero.

        Reverts with ``StillUnbonding`` or ``NotYourRequest``.
        """
        receipt = await self._contract.transact(sender, "withdraw", request_id)
        amount_wei: int = self._contract.event(receipt, "Withdrawn").arguments["amount"]
        return amount_wei

    async def reward(self, account: bytes) -> int:
        """What an account can withdraw as a reporter, in wei."""
        reward_wei: int = await self._contract.read("rewardOf", account)
        return reward_wei

    async def withdraw_reward(self, sender: Sender) -> int:
        """Take what was earned by reporting; returns how much, in wei. Reverts with ``NoReward``."""
        receipt = await self._contract.transact(sender, "withdrawReward")
        amount_wei: int = self._contract.event(receipt, "RewardWithdrawn").arguments["amount"]
        return amount_wei

    async def clock(self) -> int:
        """The current block number as the contract sees it; snapshots are of blocks before it."""
        clock: int = await self._contract.read("clock")
        return clock

    async def current_epoch(self) -> int:
        """Number of the epoch of the current block, seeded or not."""
        number: int = await self._contract.read("currentEpoch")
        return number

    async def latest_epoch(self) -> Epoch | None:
        """The newest epoch with a seed; ``None`` before the first."""
        number: int = await self._contract.read("latestSeededEpoch")
        return await self.epoch(number) if number else None

    async def epoch(self, number: int) -> Epoch | None:
        """One epoch; ``None`` if it has no seed."""
        seed: bytes = await self._contract.read("epochSeed", number)
        if not any(seed):
            return None
        return Epoch(number, seed, await self._contract.read("snapshotBlock", number))

    async def recordable_epoch(self) -> int | None:
        """The epoch whose seed can and should be recorded now; ``None`` if there is none."""
        number: int = await self._contract.read("nextRecordableEpoch")
        seed_block: int = await self._contract.read("seedBlock", number)
        return number if await self.clock() > seed_block else None

    async def record_seed(self, sender: Sender, number: int) -> Epoch:
        """Record the seed of an epoch; harmless if somebody else was faster.

        Reverts with ``SeedNotReady``, ``SeedMissed`` or ``EarlierSeedPending``.
        """
        await self._contract.transact(sender, "recordSeed", number)
        epoch = await self.epoch(number)
        if epoch is None:
            raise BadChainAnswer("epochSeed", "no seed after it was recorded")
        return epoch

    async def nodes(self) -> tuple[bytes, ...]:
        """All node keys that were ever registered, in the order of registration."""
        found: list[bytes] = []
        for start in range(0, await self._contract.read("nodeCount"), PAGE_NODES):
            found += await self._contract.read("nodesPage", start, PAGE_NODES)
        return tuple(found)

    async def snapshot(self, role: Role, block: int) -> tuple[NodeWeight, ...]:
        """Active nodes of a role at the end of a past block, in the order of registration.

        The same for whoever asks whenever, as long as the chain keeps that block: nodes that have
        registered since have no weight at it. Reverts with ``BlockNotPast``.
        """
        found: list[NodeWeight] = []
        for start in range(0, await self._contract.read("nodeCount"), PAGE_NODES):
            page = await self._contract.read("snapshot", role, block, start, PAGE_NODES)
            found += map(NodeWeight, *page)
        return tuple(found)


class SlashingClient:
    """Reports what signatures alone prove.

    :ivar address: 20 bytes, of the contract: the verifying contract of every statement of the network.
    """

    def __init__(self, rpc: Rpc, address: bytes, staking_address: bytes) -> None:
        self.address = address
        self._contract = Contract(rpc, address, "Slashing")
        self._staking = Contract(rpc, staking_address, "Staking")

    async def submit_equivocation(
        self,
        sender: Sender,
        *,
        kind: int,
        slot: bytes,
        body_a: bytes,
        signature_a: bytes,
        body_b: bytes,
        signature_b: bytes,
    ) -> SlashOutcome:
        """Prove that a node has signed two different bodies for one kind and slot; `sender` is rewarded.

        :param kind: below 64.
        :param slot: 32 bytes.
        :param body_a: 32 bytes, Keccak-256 of the first body's bytes.
        :param signature_a: 65 bytes over the first statement.
        :param body_b: as `body_a`, of the second.
        :param signature_b: as `signature_a`, of the second.

        Reverts with ``KindNotSlashable``, ``SameStatement``, ``DifferentSigners``, ``EvidenceSpent``,
        ``NotRegistered`` or one of ECDSA's.
        """
        arguments = (kind, slot, body_a, signature_a, body_b, signature_b)
        receipt = await self._contract.transact(sender, "equivocation", *arguments)
        slashed = self._staking.event(receipt, "Slashed").arguments
        return SlashOutcome(
            signer=slashed["node"],
            stake_taken_wei=slashed["stakeTaken"],
            unbonding_taken_wei=slashed["unbondingTaken"],
            reward_wei=slashed["reward"],
            burned_wei=slashed["burned"],
            transaction_hash=receipt.transaction_hash,
        )

    async def is_evidence_spent(self, signer: bytes, kind: int, slot: bytes) -> bool:
        """Whether this equivocation was reported already."""
        spent: bool = await self._contract.read("isEvidenceSpent", signer, kind, slot)
        return spent


def _role(number: int) -> Role:
    try:
        return Role(number)
    except ValueError as error:
        raise BadChainAnswer("nodeInfo", f"unknown role {number}") from error
