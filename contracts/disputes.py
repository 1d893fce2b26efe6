"""Accusations that a jury judges, as typed Python in the manner of `staking`.

Is: opening, drawing, voting and closing, and the signature of a vote.
Is not: the judgement; a juror's node makes it from the evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.contract import Contract
from contracts.errors import BadChainAnswer
from contracts.records import (
    Accusation,
    Ballot,
    Dispute,
    DisputedFault,
    DisputeOpened,
    DisputePhase,
)
from contracts.rpc import Receipt, Rpc
from contracts.transactions import Sender
from contracts.typed_data import TypedData

if TYPE_CHECKING:
    from collections.abc import Sequence


def vote_data(dispute_id: int, *, guilty: bool, chain_id: int, disputes_address: bytes) -> TypedData:
    """The vote that a juror's node key signs.

    :param chain_id: of the dispute's chain.
    :param disputes_address: 20 bytes, the contract that will count it.
    """
    return TypedData(
        domain_name="Cuckoo Disputes",
        chain_id=chain_id,
        contract=disputes_address,
        struct="Vote",
        fields=(("uint256", "disputeId", dispute_id), ("bool", "guilty", guilty)),
    )


class DisputesClient:
    """Disputes.

    :ivar address: 20 bytes, of the contract.
    :ivar chain_id: for votes.
    """

    def __init__(self, rpc: Rpc, address: bytes) -> None:
        self.address = address
        self.chain_id = rpc.chain_id
        self._contract = Contract(rpc, address, "Disputes")

    async def bond(self) -> int:
        """The bond that opening a dispute takes, in wei."""
        bond_wei: int = await self._contract.read("BOND")
        return bond_wei

    async def open(self, sender: Sender, accusation: Accusation) -> DisputeOpened:
        """Open a dispute; needs the token's allowance for the bond.

        Reverts with ``NoSuchAccusation``, ``AgeOutOfBounds``, ``EvidenceTooLong``, ``WrongEvidenceHash`` or
        ``AlreadyDisputed``.
        """
        fields = (
            accusation.accused,
            accusation.task_id,
            int(accusation.fault),
            accusation.committed_at_s,
            accusation.evidence_hash,
            accusation.evidence,
            accusation.reporter_node,
        )
        receipt = await self._contract.transact(sender, "openDispute", fields)
        opened = self._contract.event(receipt, "DisputeOpened").arguments
        return DisputeOpened(dispute_id=opened["disputeId"], seed_block=opened["seedBlock"])

    async def draw_jurors(self, sender: Sender, dispute_id: int) -> Dispute:
        """Draw the jury from the hash of the seed block, or wait for another one if that is gone.

        Reverts with ``SeedNotReady`` or ``WrongPhase``.
        """
        await self._contract.transact(sender, "drawJurors", dispute_id)
        return await self.dispute(dispute_id)

    async def vote(self, sender: Sender, dispute_id: int, ballots: Sequence[Ballot]) -> Receipt:
        """Submit jurors' votes, whoever's; a juror's first counts. Reverts with ``NotAJuror``."""
        cast = [(ballot.guilty, ballot.signature) for ballot in ballots]
        return await self._contract.transact(sender, "vote", dispute_id, cast)

    async def close(self, sender: Sender, dispute_id: int) -> Dispute:
        """End a dispute whose time is over, or whose jurors have all voted. Reverts with ``NotOver``."""
        await self._contract.transact(sender, "closeDispute", dispute_id)
        return await self.dispute(dispute_id)

    async def pay_jurors(self, sender: Sender, dispute_id: int, jurors: Sequence[bytes]) -> Receipt:
        """Have the owners of jurors paid who voted with the majority. Reverts with ``NoJurorReward``."""
        return await self._contract.transact(sender, "payJurors", dispute_id, list(jurors))

    async def punish_absent(self, sender: Sender, dispute_id: int, jurors: Sequence[bytes]) -> Receipt:
        """Have jurors slashed who did not vote; `sender` gets a part."""
        return await self._contract.transact(sender, "punishAbsent", dispute_id, list(jurors))

    async def pay_credit(self, sender: Sender, account: bytes) -> Receipt:
        """Have an account paid what it won or gets back. Reverts with ``NothingToPay``."""
        return await self._contract.transact(sender, "payCredit", account)

    async def dispute(self, dispute_id: int) -> Dispute:
        """A dispute as it stands.

        :raises BadChainAnswer: there is none of this number.
        """
        found = await self._contract.read("disputeOf", dispute_id)
        phase, fault, reporter, accused, seed_block, deadline_s, leaves, voted, guilty, closed, reward = found
        if not phase:
            raise BadChainAnswer("disputeOf", f"there is no dispute {dispute_id}")
        return Dispute(
            phase=DisputePhase(phase),
            fault=DisputedFault(fault),
            reporter=reporter,
            accused=accused,
            seed_block=seed_block,
            deadline_s=deadline_s,
            juror_leaves=tuple(leaves),
            voted=voted,
            voted_guilty=guilty,
            closed=closed,
            juror_reward_wei=reward,
        )
