"""CAI as typed Python, in the manner of `client`.

Is: balances, allowances, transfers, the faucet of development chains, and wrapping where CAI is the coin.
Is not: what CAI is staked for.
"""

from __future__ import annotations

from contracts.contract import Contract
from contracts.rpc import Receipt, Rpc
from contracts.transactions import Sender


class TokenClient:
    """CAI. On a development chain it has a faucet; where the chain's own coin is CAI, it wraps that.

    :ivar address: 20 bytes, of the token.
    """

    def __init__(self, rpc: Rpc, address: bytes) -> None:
        self.address = address
        # The faucet's ABI includes the plain token's.
        self._contract = Contract(rpc, address, "DevelopmentCAI")
        self._wrapped = Contract(rpc, address, "WrappedCAI")

    async def balance(self, account: bytes) -> int:
        """Balance in wei."""
        balance: int = await self._contract.read("balanceOf", account)
        return balance

    async def allowance(self, owner: bytes, spender: bytes) -> int:
        """The allowance: wei that `spender` may still take from `owner`."""
        allowance: int = await self._contract.read("allowance", owner, spender)
        return allowance

    async def total_supply(self) -> int:
        """All that exists, in wei."""
        supply: int = await self._contract.read("totalSupply")
        return supply

    async def approve(self, sender: Sender, spender: bytes, amount_wei: int) -> Receipt:
        """Let `spender` take up to `amount_wei`; replaces what it was allowed before."""
        return await self._contract.transact(sender, "approve", spender, amount_wei)

    async def transfer(self, sender: Sender, to: bytes, amount_wei: int) -> Receipt:
        """Send tokens. Reverts with ``ERC20InsufficientBalance``."""
        return await self._contract.transact(sender, "transfer", to, amount_wei)

    async def faucet(self, sender: Sender, amount_wei: int) -> Receipt:
        """Get tokens on a development chain.

        Reverts with ``FaucetLimitExceeded`` or ``FaucetCoolingDown``, or with ``unknown`` where there is no
        faucet.
        """
        return await self._contract.transact(sender, "faucet", amount_wei)

    async def wrap(self, sender: Sender, amount_wei: int) -> Receipt:
        """Turn the chain's coins into tokens. Reverts with ``unknown`` where they are not CAI."""
        return await self._wrapped.transact(sender, "wrap", value_wei=amount_wei)

    async def unwrap(self, sender: Sender, amount_wei: int) -> Receipt:
        """Turn tokens back into coins. Reverts with ``ERC20InsufficientBalance``."""
        return await self._wrapped.transact(sender, "unwrap", amount_wei)
