"""Reports of what signed statements prove by themselves, as typed Python in the manner of `staking`.

Is: the commitment to evidence, the report, and the claim of its reward.
Is not: the search for evidence (`protocol.evidence`), nor an accusation that takes judgement (`disputes`).

Evidence is an `Equivocation`, or of any other fault the very bytes that peers send to each other.
"""

from __future__ import annotations

from typing import TypeAlias

from contracts.contract import Contract
from contracts.logs import Event
from contracts.records import Equivocation, JudgedFault, ReportedOffence, SlashOutcome
from contracts.rpc import Receipt, Rpc
from contracts.transactions import Sender
from protocol.hashing import keccak256

Reportable: TypeAlias = Equivocation | bytes
"""Evidence that can be committed to and reported."""


class SlashingClient:
    """Reports what signed statements prove by themselves.

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
        reported = self._contract.event(receipt, "Equivocation")
        key = await self.evidence_key(reported.arguments["signer"], evidence.kind, evidence.slot)
        return self._outcome(receipt, reported, key)

    async def prove_fault(self, sender: Sender, evidence: bytes) -> SlashOutcome:
        """Prove that something that a node has signed is false; `sender` is rewarded.

        :param evidence: as the contract takes it (``ISlashing.proveFault``).

        Reverts with ``OffenceSpent``, ``NotRegistered``, one of ECDSA's, or what names the link that does not
        hold.
        """
        receipt = await self._contract.transact(sender, "proveFault", evidence)
        proved = self._contract.event(receipt, "FaultProved")
        arguments = proved.arguments
        key = await self.offence_key(arguments["fault"], arguments["signer"], arguments["slot"])
        return self._outcome(receipt, proved, key)

    async def judge_fault(self, evidence: bytes) -> JudgedFault:
        """Judge evidence without a transaction. Reverts as `prove_fault` does."""
        fault, signer, slot = await self._contract.read("judgeFault", evidence)
        return JudgedFault(fault=fault, signer=signer, slot=slot)

    async def offence_key(self, fault: int, signer: bytes, slot: bytes) -> bytes:
        """Under which a proved fault is kept, 32 bytes."""
        key: bytes = await self._contract.read("offenceKeyOf", fault, signer, slot)
        return key

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

    async def commit(self, sender: Sender, evidence: Reportable, salt: bytes) -> int:
        """Say, some blocks before reporting, that one knows evidence: copying the report then gains nothing.

        :param salt: 32 random bytes, to be kept with the evidence for `take_priority`.
        :returns: the contract's block of the commitment. It holds for `priority_blocks` from there.
        """
        commitment = commitment_of(sender.address, evidence, salt)
        await self._contract.transact(sender, "commitEvidence", commitment)
        return await self._committed_at(commitment)

    async def committed_at(self, reporter: bytes, evidence: Reportable, salt: bytes) -> int | None:
        """The contract's block in which `reporter` has committed to evidence; ``None`` if it has not."""
        block = await self._committed_at(commitment_of(reporter, evidence, salt))
        return block or None

    async def take_priority(self, sender: Sender, evidence: Reportable, salt: bytes) -> Receipt:
        """Take the reward over from whoever reported the offence after one's own commitment, by whatever
        evidence: what counts is the offence.

        :param evidence: as it was committed to.
        :param salt: likewise.

        Reverts with ``NoPriority`` if there is no commitment, an older one, or its time is over; with
        ``NothingToClaim`` if nobody has reported the offence.
        """
        if isinstance(evidence, bytes):
            return await self._contract.transact(sender, "takeFaultPriority", evidence, salt)
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

    def _outcome(self, receipt: Receipt, reported: Event, key: bytes) -> SlashOutcome:
        """The effects of a report, from the events of its transaction."""
        slashed = self._staking.event(receipt, "Slashed").arguments
        return SlashOutcome(
            signer=slashed["node"],
            stake_taken_wei=slashed["stakeTaken"],
            unbonding_taken_wei=slashed["unbondingTaken"],
            reward_wei=reported.arguments["reward"],
            burned_wei=slashed["stakeTaken"] + slashed["unbondingTaken"] - slashed["reward"],
            evidence_key=key,
            transaction_hash=receipt.transaction_hash,
        )

    async def _committed_at(self, commitment: bytes) -> int:
        block: int = await self._contract.read("committedAt", commitment)
        return block


def commitment_of(reporter: bytes, evidence: Reportable, salt: bytes) -> bytes:
    """The commitment as the contract's ``commitmentOf`` computes it, without telling an RPC the evidence.

    :param reporter: 20 bytes, who commits.
    :param salt: 32 bytes.
    :returns: 32 bytes.
    """
    return keccak256(reporter.rjust(32, b"\0") + evidence_hash_of(evidence) + salt)


def evidence_hash_of(evidence: Reportable) -> bytes:
    """The hash of evidence that is committed to, 32 bytes."""
    if isinstance(evidence, bytes):
        return keccak256(evidence)
    return keccak256(
        evidence.kind.to_bytes(32, "big")
        + evidence.slot
        + evidence.body_a
        + keccak256(evidence.signature_a)
        + evidence.body_b
        + keccak256(evidence.signature_b)
    )
