"""Putting the contracts on a chain.

Is: three creations in a row, and the check that they belong to each other.
Is not: upgradeable; what is deployed stays. Another set of contracts is another network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.contract import creation_data
from contracts.deployment import Deployment, check_deployment
from contracts.errors import BadChainAnswer
from contracts.libraries import Nonce, Web3, get_create_address
from contracts.records import WEI_PER_CAI
from contracts.rpc import address_bytes

if TYPE_CHECKING:
    from contracts.rpc import Receipt, Rpc
    from contracts.transactions import Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployParameters:
    """What is fixed for good when a network's contracts are deployed; the contracts check the bounds."""

    development: bool
    """With a faucet; refused by the contract where CAI is worth something."""
    supply_wei: int = 1_000_000_000 * WEI_PER_CAI
    """All of it goes to `holder`."""
    holder: bytes | None = None
    """20 bytes; the deploying account if ``None``."""
    token: bytes | None = None
    """An existing token that can burn, 20 bytes; then no token is deployed."""
    unbonding_delay_s: int = 14 * 24 * 3600
    """1 minute to 60 days; longer than evidence takes to surface."""
    epoch_blocks: int = 300
    """4 to 1,000,000."""
    seed_delay_blocks: int = 16
    """At least 1, less than an epoch; more than the chain's usual reorganisation."""


async def deploy(rpc: Rpc, sender: Sender, parameters: DeployParameters) -> Deployment:
    """Deploy CAI, Staking and Slashing from `sender`, which must send nothing else meanwhile.

    Staking names its slasher before it exists, so the address is worked out from the sender's next nonces.
    If another transaction comes between, Slashing refuses to be created (``NotTheSlasher``); nothing is lost
    but gas.

    :raises ContractReverted: a parameter is out of its bounds.
    :raises ChainError: the chain fails us.
    :raises BadDeployment: what stands there afterwards is not what it should be.
    """
    holder = sender.address if parameters.holder is None else parameters.holder
    first_block = await rpc.block_number()
    cai = parameters.token
    if cai is None:
        token_name = "DevelopmentCAI" if parameters.development else "CAI"
        cai = _created(await _create(rpc, sender, token_name, holder, parameters.supply_wei))
    nonce = await rpc.next_nonce(sender.address, pending=False)
    slasher = created_address(sender.address, nonce + 1)
    bounds = (parameters.unbonding_delay_s, parameters.epoch_blocks, parameters.seed_delay_blocks)
    staking = _created(await _create(rpc, sender, "Staking", cai, slasher, *bounds))
    slashing = _created(await _create(rpc, sender, "Slashing", staking))
    deployment = Deployment(
        chain_id=rpc.chain_id,
        cai=cai,
        staking=staking,
        slashing=slashing,
        deployed_at_block=first_block,
    )
    await check_deployment(rpc, deployment)
    return deployment


async def _create(rpc: Rpc, sender: Sender, name: str, *arguments: bytes | int) -> Receipt:
    return await sender.send(None, creation_data(rpc, name, arguments))


def _created(receipt: Receipt) -> bytes:
    if receipt.contract_address is None:
        raise BadChainAnswer("eth_getTransactionReceipt", "no address of the created contract")
    return receipt.contract_address


def created_address(creator: bytes, nonce: int) -> bytes:
    """Address, 20 bytes, of the contract that an account creates with a nonce."""
    return address_bytes(get_create_address(Web3.to_checksum_address(creator), Nonce(nonce)))
