"""What the client takes and gives: frozen dataclasses in our units.

Addresses are 20 ``bytes``; money is an ``int`` in wei of CAI (10^18 wei are 1 CAI); times are Unix seconds of
the chain; block numbers are the contracts' own (see ``clock()``) unless a field says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

WEI_PER_CAI: Final = 10**18
METADATA_BYTES_MAX: Final = 512
"""Longest metadata of a node, as the contract has it."""


class Role(IntEnum):
    """What a node is registered as; the numbers are the contract's."""

    MINER = 1
    COORDINATOR = 2

    @property
    def minimum_own_stake_wei(self) -> int:
        """Own stake has to be strictly more than this."""
        return (2_000_000 if self is Role.COORDINATOR else 20_000) * WEI_PER_CAI


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInfo:
    """A registered node at the newest block."""

    owner: bytes
    role: Role
    own_stake_wei: int
    total_stake_wei: int
    """Own and voters', without what is unbonding."""
    unbonding_stake_wei: int
    """On its way out and still slashable."""
    active: bool
    """Takes part in draws: not jailed, and own stake above the role's minimum."""
    jailed: bool
    """Slashed, for good."""
    metadata: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A node key's agreement to be registered by an owner (EIP-712, in the staking contract's domain)."""

    owner: bytes
    node: bytes
    role: Role
    deadline_s: int
    """Last second of the chain's time at which it can be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRegistered:
    """A registration as an event. Block numbers here are the RPC's."""

    node: bytes
    owner: bytes
    role: Role
    metadata: str
    block_number: int
    transaction_hash: bytes


@dataclass(frozen=True, slots=True)
class NodeWeight:
    """One active node in a snapshot."""

    address: bytes
    stake_wei: int
    """Own and voters' stake: its weight in draws."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch whose seed is recorded."""

    number: int
    seed: bytes
    """32 bytes."""
    snapshot_block: int
    """At the end of which stakes count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnbondingRequest:
    """Stake on its way out."""

    request_id: int
    account: bytes
    node: bytes
    amount_wei: int
    """What it is worth now; a slash lowers it until it is withdrawn."""
    release_time_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SlashOutcome:
    """What reporting an equivocation has done. `taken_wei` is `reward_wei` plus `burned_wei`."""

    signer: bytes
    stake_taken_wei: int
    """Own and voters'."""
    unbonding_taken_wei: int
    reward_wei: int
    """Credited to the reporter, to be withdrawn."""
    burned_wei: int
    transaction_hash: bytes

    @property
    def taken_wei(self) -> int:
        """All that the node and its voters have lost."""
        return self.stake_taken_wei + self.unbonding_taken_wei
