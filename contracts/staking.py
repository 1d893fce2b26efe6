"""Registrations, stake, votes and jail as typed Python: one method a function of the contract.

Is: what nodes, tools and the portal call. Reads see the newest block. Writes name the `Sender` that pays for
and signs them, and return when the transaction is in a block.
Is not: epochs and weights (`epochs`), rewards (`rewards`) or the list of nodes (`registry`), which are of the
same contract; nor the token (`cai`). Nothing is cached, and nothing is final: an answer can be undone while
the chain can reorganise.

Every method may raise `ChainUnreachable`, `BadChainAnswer` and `RpcError`; every write also `CostTooHigh`,
`TransactionNotMined` and `ContractReverted`, whose `name` is one of the errors in ``src/interfaces/``.
"""

from __future__ import annotations

from contracts.contract import Contract
from contracts.errors import BadChainAnswer
from contracts.records import Consent, NodeInfo, Role, UnbondingRequest
from contracts.rpc import Receipt, Rpc
from contracts.transactions import Sender


class StakingClient:
    """Stake behind nodes.

    :ivar address: 20 bytes, of the contract.
    :ivar chain_id: for consents.
    """

    def __init__(self, rpc: Rpc, address: bytes) -> None:
        self.address = address
        self.chain_id = rpc.chain_id
        self._contract = Contract(rpc, address, "Staking")

    # Nodes

    async def node_info(self, node: bytes) -> NodeInfo | None:
        """The contract's entry of a node key; ``None`` if it is not registered."""
        owner, role, active, left, jailed_until_s, leaf, own, total, unbonding = await self._contract.read(
            "nodeInfo", node
        )
        if role == 0:
            return None
        return NodeInfo(
            owner=owner,
            role=_role(role),
            active=active,
            left=left,
            jailed_until_s=jailed_until_s,
            leaf=leaf,
            own_stake_wei=own,
            total_stake_wei=total,
            unbonding_stake_wei=unbonding,
        )

    async def register(self, sender: Sender, consent: Consent, signature: bytes, *, metadata: str) -> Receipt:
        """Register a node key with `sender` as its owner, who has staked for it (`stake`).

        :param consent: whose owner is `sender`; see `contracts.consent` for the signature.
        :param metadata: at most `METADATA_BYTES_MAX` bytes in UTF-8; by convention a small JSON text.

        Reverts with ``AlreadyRegistered``, ``ConsentExpired``, ``ConsentNotByNode``, ``MetadataTooLong``,
        ``OwnStakeTooSmall`` or one of ECDSA's.
        """
        arguments = (consent.role, consent.node, metadata, consent.deadline_s, signature)
        return await self._contract.transact(sender, "register", *arguments)

    async def deregister(self, sender: Sender, node: bytes) -> Receipt:
        """Take a node of one's own off the network, for good; its stake stays until it is unvoted."""
        return await self._contract.transact(sender, "deregister", node)

    async def set_metadata(self, sender: Sender, node: bytes, metadata: str) -> Receipt:
        """Replace the metadata of an active node of one's own, once an epoch.

        Reverts with ``NotOwner``, ``NodeInactive``, ``MetadataSet`` or ``MetadataTooLong``.
        """
        return await self._contract.transact(sender, "setMetadata", node, metadata)

    async def unjail(self, sender: Sender, node: bytes) -> Receipt:
        """Take a node of one's own out of jail when its time is over. Reverts with ``NodeJailed``."""
        return await self._contract.transact(sender, "unjail", node)

    # Stake

    async def stake(self, sender: Sender, node: bytes, amount_wei: int) -> int:
        """Stake behind a node of one's own, or behind a key that is to become one; returns the shares.

        Needs the token's allowance. Reverts with ``NotOwner``, ``NodeJailed``, ``NodeHasLeft``,
        ``ERC20InsufficientAllowance`` or ``ERC20InsufficientBalance``.
        """
        return await self._deposit(sender, "stake", node, amount_wei)

    async def vote(self, sender: Sender, node: bytes, amount_wei: int) -> int:
        """Stake behind somebody else's active node; returns the shares it gives.

        Reverts with ``NotRegistered``, ``NodeInactive`` or ``OwnerCannotVote``, or as `stake`.
        """
        return await self._deposit(sender, "vote", node, amount_wei)

    async def _deposit(self, sender: Sender, function: str, node: bytes, amount_wei: int) -> int:
        receipt = await self._contract.transact(sender, function, node, amount_wei)
        shares: int = self._contract.event(receipt, "Staked").arguments["shares"]
        return shares

    async def shares(self, node: bytes, account: bytes) -> int:
        """Shares of an owner or voter behind a node."""
        shares: int = await self._contract.read("sharesOf", node, account)
        return shares

    async def stake_of(self, node: bytes, account: bytes) -> int:
        """The worth of an account's shares behind a node, in wei."""
        stake_wei: int = await self._contract.read("stakeOf", node, account)
        return stake_wei

    async def unvote(self, sender: Sender, node: bytes, shares: int) -> UnbondingRequest:
        """Begin to take stake back, an owner's or a voter's. It stays slashable until withdrawn.

        Reverts with ``NotEnoughShares``, ``TooManyRequests``, or ``NothingToMove`` if they are worth nothing.
        """
        receipt = await self._contract.transact(sender, "unvote", node, shares)
        started = self._contract.event(receipt, "UnbondingStarted").arguments
        return UnbondingRequest(
            node=started["node"],
            account=started["account"],
            request_id=started["requestId"],
            amount_wei=started["amount"],
            release_time_s=started["releaseTime"],
        )

    async def unbonding(self, node: bytes, account: bytes, request_id: int) -> UnbondingRequest | None:
        """A request as it stands; ``None`` if there is none, or it has been withdrawn."""
        amount_wei, release_time_s = await self._contract.read("unbonding", node, account, request_id)
        if not release_time_s:
            return None
        return UnbondingRequest(
            node=node,
            account=account,
            request_id=request_id,
            amount_wei=amount_wei,
            release_time_s=release_time_s,
        )

    async def withdraw(self, sender: Sender, node: bytes, request_id: int) -> int:
        """Take unbonded stake; returns how much, in wei: less than asked for after a slash, even zero.

        Reverts with ``StillUnbonding`` or ``NoSuchRequest``.
        """
        receipt = await self._contract.transact(sender, "withdraw", node, request_id)
        amount_wei: int = self._contract.event(receipt, "Withdrawn").arguments["amount"]
        return amount_wei

    async def burn_slashed(self, sender: Sender) -> int:
        """Burn what slashes have taken and nobody is owed; returns how much, in wei."""
        receipt = await self._contract.transact(sender, "burnSlashed")
        amount_wei: int = self._contract.event(receipt, "SlashedBurned").arguments["amount"]
        return amount_wei


def _role(number: int) -> Role:
    try:
        return Role(number)
    except ValueError as error:
        raise BadChainAnswer("nodeInfo", f"unknown role {number}") from error
