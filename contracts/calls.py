"""Calls of the contracts as data, for a wallet that signs them itself.

Is: one function a call: to whom, and the ABI's bytes. What a method of `staking`, `rewards` or `cai` sends
with a `Sender` of ours, somebody else's wallet sends from here.
Is not: gas, nonce or signature, which are the wallet's; nor a promise that the contract will not refuse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contracts.contract import encode_call

if TYPE_CHECKING:
    from contracts.deployment import Deployment
    from contracts.records import Consent
    from contracts.rpc import Rpc


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that is to be sent. None of these sends the chain's coin."""

    function: str
    """Its name in the contract."""
    to: bytes
    """20 bytes, the contract's address."""
    data: bytes
    """Selector and arguments, as the ABI has them."""


class Calls:
    """Calls of one network's token and staking contract.

    Every method raises `BadArguments` for what does not fit the ABI's types; amounts are wei, nodes 20 bytes.
    """

    def __init__(self, rpc: Rpc, deployment: Deployment) -> None:
        self._rpc = rpc
        self._deployment = deployment

    @property
    def staking(self) -> bytes:
        """Address of the staking contract, 20 bytes."""
        return self._deployment.staking

    def faucet(self, amount_wei: int) -> Call:
        """Get tokens on a development chain."""
        return self._token("faucet", amount_wei)

    def approve(self, amount_wei: int) -> Call:
        """Let the staking contract take so much."""
        return self._token("approve", self._deployment.staking, amount_wei)

    def stake(self, node: bytes, amount_wei: int) -> Call:
        """Stake behind a node of one's own, or behind a key that is to become one."""
        return self._staking("stake", node, amount_wei)

    def vote(self, node: bytes, amount_wei: int) -> Call:
        """Stake behind somebody else's node."""
        return self._staking("vote", node, amount_wei)

    def unvote(self, node: bytes, shares: int) -> Call:
        """Begin to take stake back. :param shares: of the caller behind the node."""
        return self._staking("unvote", node, shares)

    def withdraw(self, node: bytes, request_id: int) -> Call:
        """Take stake whose time of unbonding is over."""
        return self._staking("withdraw", node, request_id)

    def claim(self, node: bytes) -> Call:
        """Take what was earned behind a node."""
        return self._staking("claim", node)

    def register(self, consent: Consent, signature: bytes, metadata: str) -> Call:
        """Register a node; its owner, who sends it, has staked behind it. :param signature: 65 bytes."""
        arguments = (consent.role, consent.node, metadata, consent.deadline_s, signature)
        return self._staking("register", *arguments)

    def set_metadata(self, node: bytes, metadata: str) -> Call:
        """Replace the introduction of a node of one's own, once an epoch."""
        return self._staking("setMetadata", node, metadata)

    def announce_commission(self, node: bytes, basis_points: int) -> Call:
        """Set the owner's part of what a node earns; it falls at once and rises after the notice."""
        return self._staking("announceCommission", node, basis_points)

    def _token(self, function: str, *arguments: Any) -> Call:
        data = encode_call(self._rpc, "DevelopmentCAI", function, arguments)
        return Call(function=function, to=self._deployment.cai, data=data)

    def _staking(self, function: str, *arguments: Any) -> Call:
        data = encode_call(self._rpc, "Staking", function, arguments)
        return Call(function=function, to=self._deployment.staking, data=data)
