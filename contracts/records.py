"""Arguments and results of the client: frozen dataclasses in our units.

Addresses are 20 ``bytes``; money is an ``int`` in wei of CAI (10^18 wei are 1 CAI); times are Unix seconds of
the chain; block numbers are the contracts' own (see ``clock()``) unless a field says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from protocol.amounts import WEI_PER_CAI

METADATA_BYTES_MAX: Final = 512
"""Longest metadata of a node, as the contract has it."""
VOUCHERS_PER_CALL_MAX: Final = 50
"""Most vouchers, or coordinators, in one call of the escrow, as the contract has it."""
JAIL_FOREVER_S: Final = 2**40 - 1
"""As the end of a jail: there is none."""


class Role(IntEnum):
    """The role that a node is registered for; the numbers are the contract's."""

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
    active: bool
    """Takes part in draws: not jailed, not gone, and own stake above the role's minimum."""
    left: bool
    """Deregistered, for good."""
    jailed_until_s: int
    """From when it may be unjailed; 0 if it is not jailed, `JAIL_FOREVER_S` if never."""
    leaf: int
    """Its place in the tree from which jurors are drawn."""
    own_stake_wei: int
    total_stake_wei: int
    """Own and voters', without what is unbonding."""
    unbonding_stake_wei: int
    """On its way out and still slashable."""

    @property
    def jailed(self) -> bool:
        """Whether it was slashed and not let out."""
        return self.jailed_until_s != 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A node key's agreement to be registered by an owner (EIP-712, in the staking contract's domain)."""

    owner: bytes
    node: bytes
    role: Role
    deadline_s: int
    """Last second of the chain's time at which it can be used."""


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
    """Stake on its way out. Requests of an account behind a node have numbers of their own."""

    node: bytes
    account: bytes
    request_id: int
    amount_wei: int
    """Its worth now; a slash lowers it until it is withdrawn."""
    release_time_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Commission:
    """The owner's part of what a node earns, in basis points."""

    now: int
    next: int
    """The share it rises to; 0 if no rise is announced."""
    next_from_s: int
    """From when it may rise; 0 if no rise is announced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardStream:
    """The funded stream of rewards at the newest block."""

    wei_per_s: int
    """To all active stake together."""
    end_time_s: int
    remaining_wei: int
    """Funded and not due yet."""
    carried_wei: int
    """Fell due while nobody could earn it; the next funding adds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivocation:
    """Two different bodies that one node has signed for one kind and slot."""

    kind: int
    """Below 64."""
    slot: bytes
    """32 bytes."""
    body_a: bytes
    """32 bytes, Keccak-256 of the first body's bytes."""
    signature_a: bytes
    """65 bytes over the first statement."""
    body_b: bytes
    """As `body_a`, of the second."""
    signature_b: bytes
    """As `signature_a`, of the second."""

    def arguments(self) -> tuple[int, bytes, bytes, bytes, bytes, bytes]:
        """As the contract takes them."""
        return (self.kind, self.slot, self.body_a, self.signature_a, self.body_b, self.signature_b)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedFault:
    """The offence that evidence proves to the contract."""

    fault: int
    """As in the evidence: the numbers are `protocol.evidence.Fault`'s."""
    signer: bytes
    """20 bytes, the node."""
    slot: bytes
    """32 bytes, of the statement that is false: a commitment's is its task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedOffence:
    """An offence that somebody has shown."""

    reporter: bytes
    """Whose the reward is as it stands, 20 bytes."""
    since_block: int
    """Of the report, or of the commitment by which it was taken over; 0 once nobody can take it any more."""
    reward_wei: int
    """0 once it is claimed."""

    @property
    def is_settled(self) -> bool:
        """Whether its reporter has shown that it had committed: nobody takes the reward any more."""
        return self.since_block == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlashOutcome:
    """The effects of reporting an offence. The stake taken is reward, burned, and dust."""

    signer: bytes
    stake_taken_wei: int
    """Own and voters'."""
    unbonding_taken_wei: int
    reward_wei: int
    """The reporter's, to be claimed when nobody can show an earlier commitment any more."""
    burned_wei: int
    evidence_key: bytes
    """32 bytes; under which the reward is claimed."""
    transaction_hash: bytes

    @property
    def taken_wei(self) -> int:
        """All that the node and its voters have lost."""
        return self.stake_taken_wei + self.unbonding_taken_wei


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucher:
    """A coordinator's promise to pay a miner; the newest replaces the rest."""

    coordinator: bytes
    miner: bytes
    cumulative_amount_wei: int
    """All that was ever promised this miner; never falls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """The deposit that a coordinator pays its vouchers from."""

    balance_wei: int
    leaving_wei: int
    """Announced to be withdrawn."""
    withdrawable_from_s: int
    """0 if nothing is announced."""
    withdrawable_until_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAccount:
    """The account between one coordinator and one miner."""

    promised_wei: int
    """The greatest voucher that was redeemed."""
    paid_wei: int
    collected_wei: int
    """Of that, what was sent on to the miner's owner and stakers."""
    compensation_wei: int
    """Of the coordinator's penalty, not collected yet."""
    bounced_at_s: int
    """Of the voucher that made the debt; 0 without debt."""
    defaulted: bool
    """The debt was punished."""

    @property
    def debt_wei(self) -> int:
        """Promised and not paid."""
        return self.promised_wei - self.paid_wei


class DisputedFault(IntEnum):
    """The offence that a dispute is about; the numbers are the contract's, and the penalty goes with it."""

    FALSE_RESULT = 1
    """Not what the model makes of the task: all of the stake, and jail."""
    WITHHELD_OPENING = 2
    """Data that an audit asked for was not given in time: a tenth of the stake."""
    CARELESS_RESULT = 3
    """Wrong, but nothing was gained by it: a hundredth of the stake."""


class DisputePhase(IntEnum):
    """Where a dispute stands."""

    DRAWING = 1
    """Waits for the seed of the draw."""
    VOTING = 2
    GUILTY = 3
    NOT_GUILTY = 4
    NO_VERDICT = 5
    """No jury, no quorum or a tie: as if it had not been, and may be opened again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accusation:
    """The claim that a dispute is opened with."""

    accused: bytes
    task_id: bytes
    fault: DisputedFault
    committed_at_s: int
    """When the fault was committed, as the evidence shows it."""
    evidence_hash: bytes
    """Keccak-256 of the evidence."""
    evidence: bytes = b""
    """The evidence itself, if it has to be on chain."""
    reporter_node: bytes = bytes(20)
    """A node of the reporter's, which shall not be a juror; else zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A dispute as it stands."""

    phase: DisputePhase
    fault: DisputedFault
    reporter: bytes
    accused: bytes
    seed_block: int
    """In the contracts' numbers."""
    deadline_s: int
    """Until which a jury has to be drawn, then until which it votes."""
    juror_leaves: tuple[int, ...]
    voted: int
    """One bit a juror, in the order of `juror_leaves`."""
    voted_guilty: int
    closed: int
    """The accounts that were paid or punished."""
    juror_reward_wei: int
    """For each juror of the majority."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeOpened:
    """A new dispute."""

    dispute_id: int
    seed_block: int
    """From whose hash the jury is drawn, in the contracts' numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """A juror's signed vote."""

    guilty: bool
    signature: bytes
