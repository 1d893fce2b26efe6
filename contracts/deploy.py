"""Putting the contracts on a chain.

Is: the creations in a row, and the check that they belong to each other.
Is not: upgradeable; what is deployed stays. Another set of contracts is another network.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from contracts.clients import check_deployment
from contracts.contract import creation_data
from contracts.deployment import NOBODY, Deployment
from contracts.errors import BadChainAnswer
from contracts.libraries import Nonce, Web3, get_create_address
from contracts.rpc import address_bytes
from protocol.amounts import WEI_PER_CAI

if TYPE_CHECKING:
    from contracts.rpc import Receipt, Rpc
    from contracts.transactions import Sender


Argument: TypeAlias = bytes | int | tuple[bytes | int, ...]


class TokenKind(StrEnum):
    """Which of our tokens to deploy."""

    DEVELOPMENT = "development"
    """With a faucet; refused by the contract where CAI is worth something."""
    SUPPLY = "supply"
    """All of it exists from the start."""
    WRAPPED = "wrapped"
    """Of the chain's own coin, where that is CAI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployParameters:
    """Parameters that a deployment fixes for good; the contracts check the bounds."""

    token: TokenKind | bytes
    """The token to stake: one to be deployed, or the address of an existing one that can burn, 20 bytes."""
    supply_wei: int = 1_000_000_000 * WEI_PER_CAI
    """Of a token that is deployed with a supply; all of it goes to `holder`."""
    holder: bytes | None = None
    """20 bytes; the deploying account if ``None``."""
    unbonding_delay_s: int = 14 * 24 * 3600
    """1 minute to 60 days; longer than evidence takes to surface."""
    epoch_blocks: int = 300
    """4 to 1,000,000."""
    seed_delay_blocks: int = 16
    """At least 1, less than an epoch; more than the chain's usual reorganisation."""
    priority_blocks: int = 256
    """For how many blocks a commitment to evidence counts, and for which its reward waits."""
    withdrawal_notice_s: int = 3 * 24 * 3600
    """Of a coordinator's deposit; longer than a miner may be away with vouchers."""
    debt_grace_s: int = 24 * 3600
    """In which a debt is paid without a penalty; with twice the notice shorter than unbonding."""
    disputes: bool = False
    """Whether juries may slash. Nodes do not vote as jurors yet: where they may be drawn, those who do vote
    decide alone, and the others lose stake for their absence."""
    dispute_age_s: int = 7 * 24 * 3600
    """Of a fault, when it may still be disputed; with draw and vote shorter than unbonding."""
    dispute_draw_s: int = 24 * 3600
    """In which a jury has to be drawn."""
    dispute_vote_s: int = 3 * 24 * 3600
    """In which a jury votes."""

    @classmethod
    def for_delay(
        cls,
        unbonding_delay_s: int,
        *,
        token: TokenKind | bytes,
        epoch_blocks: int,
        seed_delay_blocks: int,
        priority_blocks: int = 256,
        disputes: bool = False,
    ) -> DeployParameters:
        """All delays as fractions of the longest, which the contracts want to outlast the others."""
        return cls(
            token=token,
            unbonding_delay_s=unbonding_delay_s,
            epoch_blocks=epoch_blocks,
            seed_delay_blocks=seed_delay_blocks,
            priority_blocks=priority_blocks,
            disputes=disputes,
            withdrawal_notice_s=unbonding_delay_s * 3 // 14,
            debt_grace_s=unbonding_delay_s // 14,
            dispute_age_s=unbonding_delay_s // 2,
            dispute_draw_s=unbonding_delay_s // 14,
            dispute_vote_s=unbonding_delay_s * 3 // 14,
        )


async def deploy(rpc: Rpc, sender: Sender, parameters: DeployParameters) -> Deployment:
    """Deploy all contracts from `sender`, which must send nothing else meanwhile.

    Staking names the three that may slash before they exist, so their addresses are worked out from the
    sender's next nonces. If another transaction comes between, they refuse to be created; nothing is lost but
    gas.

    :raises ContractReverted: a parameter is out of its bounds.
    :raises ChainError: the chain fails us.
    :raises BadDeployment: what stands there afterwards is not what it should be.
    """
    first_block, first_ms = await rpc.block_number(), 1000 * await rpc.head_time_s()
    cai = await _token(rpc, sender, parameters)
    nonce = await rpc.next_nonce(sender.address, pending=False)
    slashing_next, escrow_next, disputes_next = (
        created_address(sender.address, nonce + place) for place in (2, 3, 4)
    )
    settings = (
        cai,
        slashing_next,
        disputes_next if parameters.disputes else NOBODY,
        escrow_next,
        parameters.unbonding_delay_s,
        parameters.epoch_blocks,
        parameters.seed_delay_blocks,
    )
    staking = _created(await _create(rpc, sender, "Staking", settings))
    epoch_seeds = _created(await _create(rpc, sender, "EpochSeeds", staking))
    slashing = _created(await _create(rpc, sender, "Slashing", staking, parameters.priority_blocks))
    delays = (parameters.withdrawal_notice_s, parameters.debt_grace_s)
    escrow = _created(await _create(rpc, sender, "Escrow", staking, *delays))
    periods = (parameters.dispute_age_s, parameters.dispute_draw_s, parameters.dispute_vote_s)
    disputes = None
    if parameters.disputes:
        disputes = _created(await _create(rpc, sender, "Disputes", staking, *periods))
    deployment = Deployment(
        chain_id=rpc.chain_id,
        cai=cai,
        staking=staking,
        epoch_seeds=epoch_seeds,
        slashing=slashing,
        escrow=escrow,
        disputes=disputes,
        deployed_at_block=first_block,
        deployed_at_ms=first_ms,
    )
    await check_deployment(rpc, deployment)
    return deployment


async def _token(rpc: Rpc, sender: Sender, parameters: DeployParameters) -> bytes:
    holder = sender.address if parameters.holder is None else parameters.holder
    match parameters.token:
        case TokenKind.DEVELOPMENT:
            return _created(await _create(rpc, sender, "DevelopmentCAI", holder, parameters.supply_wei))
        case TokenKind.SUPPLY:
            return _created(await _create(rpc, sender, "CAI", holder, parameters.supply_wei))
        case TokenKind.WRAPPED:
            return _created(await _create(rpc, sender, "WrappedCAI"))
        case address:
            return address


async def _create(rpc: Rpc, sender: Sender, name: str, *arguments: Argument) -> Receipt:
    return await sender.send(None, creation_data(rpc, name, arguments))


def _created(receipt: Receipt) -> bytes:
    if receipt.contract_address is None:
        raise BadChainAnswer("eth_getTransactionReceipt", "no address of the created contract")
    return receipt.contract_address


def created_address(creator: bytes, nonce: int) -> bytes:
    """Address, 20 bytes, of the contract that an account creates with a nonce."""
    return address_bytes(get_create_address(Web3.to_checksum_address(creator), Nonce(nonce)))
