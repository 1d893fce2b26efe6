"""Reports of what signatures alone prove, as typed Python in the manner of `staking`.

Is: the report, and the claim of its reward.
Is not: the search for evidence (`protocol.evidence`), nor an accusation that takes judgement (`disputes`).
"""

from __future__ import annotations

from contracts.contract import Contract
from contracts.records import SlashOutcome
from contracts.rpc import Receipt, Rpc
from contracts.transactions import Sender


class SlashingClient:
    """Reports what signatures alone prove.

    :ivar address: 20 bytes, of the contract: the verifying contract of every statement of the network.
    """

    def __init__(self, rpc: Rpc, address: bytes, staking_address: bytes) -> None:
        self.address = address
        self._contract = Contract(rpc, address, "Slashing")
        self._staking = Contract(rpc, staking_address, "Staking")

    async def submit_equivocation(
        self,
        sender: Sender,
        *,
        kind: int,
        slot: bytes,
        body_a: bytes,
        signature_a: bytes,
        body_b: bytes,
        signature_b: bytes,
    ) -> SlashOutcome:
        """Prove that a node has signed two different bodies for one kind and slot; `sender` is rewarded.

        :param kind: below 64.
        :param slot: 32 bytes.
        :param body_a: 32 bytes, Keccak-256 of the first body's bytes.
        :param signature_a: 65 bytes over the first statement.
        :param body_b: as `body_a`, of the second.
        :param signature_b: as `signature_a`, of the second.

        Reverts with ``KindNotSlashable``, ``SameStatement``, ``DifferentSigners``, ``EvidenceSpent``,
        ``NotRegistered`` or one of ECDSA's.
        """
        arguments = (kind, slot, body_a, signature_a, body_b, signature_b)
        receipt = await self._contract.transact(sender, "equivocation", *arguments)
        slashed = self._staking.event(receipt, "Slashed").arguments
        reported = self._contract.event(receipt, "Equivocation").arguments
        return SlashOutcome(
            signer=slashed["node"],
            stake_taken_wei=slashed["stakeTaken"],
            unbonding_taken_wei=slashed["unbondingTaken"],
            reward_wei=reported["reward"],
            burned_wei=slashed["stakeTaken"] + slashed["unbondingTaken"] - slashed["reward"],
            evidence_key=await self.evidence_key(slashed["node"], kind, slot),
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

    async def commit(self, sender: Sender, signature_a: bytes, signature_b: bytes, salt: bytes) -> Receipt:
        """Say, some blocks before reporting, that one knows evidence: copying the report then gains nothing.

        :param salt: 32 random bytes, to be kept for `take_priority`.
        """
        arguments = (sender.address, signature_a, signature_b, salt)
        commitment = await self._contract.read("commitmentOf", *arguments)
        return await self._contract.transact(sender, "commitEvidence", commitment)
