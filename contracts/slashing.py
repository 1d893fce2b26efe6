"""Reports of what signatures alone prove, as typed Python in the manner of `staking`.

Is: the commitment to evidence, the report, and the claim of its reward.
Is not: the search for evidence (`protocol.evidence`), nor an accusation that takes judgement (`disputes`).
"""

from __future__ import annotations

from contracts.contract import Contract
from contracts.records import Equivocation, ReportedOffence, SlashOutcome
from contracts.rpc import Receipt, Rpc
from contracts.transactions import Sender
from protocol.hashing import keccak256


class SlashingClient:
    """Reports what signatures alone prove.

    :ivar address: 20 bytes, of the contract: the verifying contract of every statement of the network.
    """

    def __init__(self, rpc: Rpc, address: bytes, staking_address: bytes) -> None:
        self.address = address
        self._contract = Contract(rpc, address, "Slashing")
        self._staking = Contract(rpc, staking_address, "Staking")

    async def submit_equivocation(self, sender: Sender, evidence: Equivocation) -> SlashOutcome:
        """Prove that a node has signed two different bodies for one kind and slot; `sender` is rewarded.

        Reverts with ``KindNotSlashable``, ``SameStatement``, ``DifferentSigners``, ``EvidenceSpent``,
        ``NotRegistered`` or one of ECDSA's.
        """
        receipt = await self._contract.transact(sender, "equivocation", *evidence.arguments())
        slashed = self._staking.event(receipt, "Slashed").arguments
        reported = self._contract.event(receipt, "Equivocation").arguments
        return SlashOutcome(
            signer=slashed["node"],
            stake_taken_wei=slashed["stakeTaken"],
            unbonding_taken_wei=slashed["unbondingTaken"],
            reward_wei=reported["reward"],
            burned_wei=slashed["stakeTaken"] + slashed["unbondingTaken"] - slashed["reward"],
            evidence_key=await self.evidence_key(slashed["node"], evidence.kind, evidence.slot),
            transaction_hash=receipt.transaction_hash,
        )

    async def is_evidence_spent(self, signer: bytes, kind: int, slot: bytes) -> bool:
        """Whether this equivocation was reported already."""
        spent: bool = await self._contract.read("isEvidenceSpent", signer, kind, slot)
        return spent

    async def evidence_key(self, signer: bytes, kind: int, slot: bytes) -> bytes:
        """Under which an equivocation is kept, 32 bytes."""
        key: bytes = await self._contract.read("evidenceKeyOf", signer, kind, slot)
        return key

    async def claim_reward(self, sender: Sender, evidence_key: bytes) -> int:
        """Have a reward paid to whose it is; returns how much, in wei.

        Reverts with ``PriorityOpen`` while an earlier commitment may still be shown, or ``NothingToClaim``.
        """
        receipt = await self._contract.transact(sender, "claimReward", evidence_key)
        amount_wei: int = self._contract.event(receipt, "RewardClaimed").arguments["reward"]
        return amount_wei

    async def commit(self, sender: Sender, evidence: Equivocation, salt: bytes) -> int:
        """Say, some blocks before reporting, that one knows evidence: copying the report then gains nothing.

        :param salt: 32 random bytes, to be kept with the evidence for `take_priority`.
        :returns: the contract's block of the commitment. It holds for `priority_blocks` from there.
        """
        commitment = commitment_of(sender.address, evidence, salt)
        await self._contract.transact(sender, "commitEvidence", commitment)
        return await self._committed_at(commitment)

    async def committed_at(self, reporter: bytes, evidence: Equivocation, salt: bytes) -> int | None:
        """The contract's block in which `reporter` has committed to evidence; ``None`` if it has not."""
        block = await self._committed_at(commitment_of(reporter, evidence, salt))
        return block or None

    async def take_priority(self, sender: Sender, evidence: Equivocation, salt: bytes) -> Receipt:
        """Take the reward over from whoever reported the offence after one's own commitment, by whatever
        evidence: what counts is the offence.

        :param evidence: as it was committed to.
        :param salt: likewise.

        Reverts with ``NoPriority`` if there is no commitment, an older one, or its time is over; with
        ``NothingToClaim`` if nobody has reported the offence.
        """
        return await self._contract.transact(sender, "takePriority", *evidence.arguments(), salt)

    async def reported(self, evidence_key: bytes) -> ReportedOffence | None:
        """The first report of an offence, and its worth; ``None`` if nobody has reported it."""
        reporter, since_block, reward_wei = await self._contract.read("evidenceOf", evidence_key)
        if not any(reporter):
            return None
        return ReportedOffence(reporter=reporter, since_block=since_block, reward_wei=reward_wei)

    async def priority_blocks(self) -> int:
        """For how many blocks a commitment holds, and a reward waits."""
        blocks: int = await self._contract.read("PRIORITY_BLOCKS")
        return blocks

    async def _committed_at(self, commitment: bytes) -> int:
        block: int = await self._contract.read("committedAt", commitment)
        return block


def commitment_of(reporter: bytes, evidence: Equivocation, salt: bytes) -> bytes:
    """The commitment as the contract's ``commitmentOf`` computes it, without telling an RPC the evidence.

    :param reporter: 20 bytes, who commits.
    :param salt: 32 bytes.
    :returns: 32 bytes.
    """
    evidence_hash = keccak256(
        evidence.kind.to_bytes(32, "big")
        + evidence.slot
        + evidence.body_a
        + keccak256(evidence.signature_a)
        + evidence.body_b
        + keccak256(evidence.signature_b)
    )
    return keccak256(reporter.rjust(32, b"\0") + evidence_hash + salt)
