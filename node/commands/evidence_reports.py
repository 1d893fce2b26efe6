"""Reading evidence files, checking them offline, and sending them to the Slashing contract.

Is: reading, and the report in the clear, behind `cuckoo-slash` and the demonstration of it.
Is not: finding evidence; peers do that while they listen (`peer`). Nor the report that nobody can copy
(`evidence_submission`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from contracts.clients import Clients
from contracts.deployment import Deployment
from contracts.errors import ContractReverted
from contracts.records import Equivocation, SlashOutcome
from contracts.slashing import SlashingClient
from contracts.transactions import Sender
from node.commands.evidence_words import fault_words
from protocol.amounts import format_cai
from protocol.errors import CuckooError, DecodeError, InvalidMessage, LocalError
from protocol.evidence import JUDGED_BY_CONTRACT, Evidence, Fault, Offence, verify_evidence
from protocol.evidence_document import DOCUMENT_BYTES_MAX, from_document
from protocol.statement import Domain

CLAIM_POLL_S = 3.0
"""Between two looks whether a reward can be claimed."""


class WrongNetwork(LocalError):
    """The evidence is of another network than the one it is to be sent to."""


@dataclass(frozen=True, slots=True)
class Report:
    """An offence, and the evidence as the contract takes it.

    :ivar evidence: of an equivocation its arguments, of any other fault the very bytes that peers send.
    """

    offence: Offence
    evidence: Equivocation | bytes

    async def send(self, slashing: SlashingClient, reporter: Sender) -> SlashOutcome:
        """Show the evidence to the contract. :raises ContractReverted: it refused."""
        if isinstance(self.evidence, bytes):
            return await slashing.prove_fault(reporter, self.evidence)
        return await slashing.submit_equivocation(reporter, self.evidence)


async def key_of(slashing: SlashingClient, offence: Offence) -> bytes:
    """Under which the contract keeps an offence, 32 bytes."""
    if offence.fault is Fault.EQUIVOCATION:
        return await slashing.evidence_key(offence.signer, offence.kind, offence.slot)
    return await slashing.offence_key(int(offence.fault), offence.signer, offence.slot)


def read_evidence(path: Path) -> tuple[Domain, Evidence, Offence]:
    """The evidence in the file at `path`, and what it proves.

    :raises LocalError: it cannot be read.
    :raises ProtocolError: it is no evidence file, proves nothing, or needs an epoch that it lacks.
    """
    try:
        if path.stat().st_size > DOCUMENT_BYTES_MAX:
            message = f"{path} is longer than {DOCUMENT_BYTES_MAX} bytes"
            raise DecodeError(message)
        document = json.loads(path.read_bytes())
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise LocalError(message) from error
    except (ValueError, RecursionError) as error:
        message = f"{path} is not JSON"
        raise DecodeError(message) from error
    domain, evidence, epochs = from_document(document)
    return domain, evidence, verify_evidence(domain, evidence, epochs)


def list_evidence(folder: Path) -> list[str]:
    """A line for each evidence file in a folder: those that the contract judges first, then by name.

    :raises LocalError: there is no such folder.
    """
    if not folder.is_dir():
        message = f"{folder} is not a folder"
        raise LocalError(message)
    lines = []
    for path in sorted(folder.glob("*.json")):
        try:
            _, _, offence = read_evidence(path)
        except CuckooError as error:
            lines.append((2, f"{path.name}: no evidence: {error}"))
        else:
            judge = "the contract" if offence.slashable_by_contract else "people"
            said = f"{path.name}: {fault_words(offence.fault)} by 0x{offence.signer.hex()}, for {judge}"
            lines.append((0 if offence.slashable_by_contract else 1, said))
    return [line for _, line in sorted(lines)]


def report_of(deployment: Deployment, domain: Domain, evidence: Evidence) -> Report:
    """The report of an offence that the contract judges by itself.

    :raises InvalidMessage: the contract cannot judge evidence of this sort.
    :raises WrongNetwork: the evidence is for another chain or contract.
    """
    if (domain.chain_id, domain.verifying_contract) != (deployment.chain_id, deployment.slashing):
        message = (
            f"the evidence is for chain {domain.chain_id}, contract 0x{domain.verifying_contract.hex()}; "
            f"the network is chain {deployment.chain_id}, contract 0x{deployment.slashing.hex()}"
        )
        raise WrongNetwork(message)
    if evidence.FAULT not in JUDGED_BY_CONTRACT:
        raise InvalidMessage("the contract cannot judge this offence")
    offence = verify_evidence(domain, evidence, {})
    pair = offence.pair
    if pair is None:
        return Report(offence, evidence.encode())
    equivocation = Equivocation(
        kind=offence.kind,
        slot=offence.slot,
        body_a=pair.first_body_hash,
        signature_a=pair.first_signature,
        body_b=pair.second_body_hash,
        signature_b=pair.second_signature,
    )
    return Report(offence, equivocation)


async def submit_evidence(
    clients: Clients, reporter: Sender, domain: Domain, evidence: Evidence
) -> SlashOutcome:
    """Send evidence in the clear; the contract checks it by itself and slashes at once.

    :param reporter: pays the gas and gets the reporter's share, unless somebody copies the report.
    :raises InvalidMessage: the contract cannot judge evidence of this sort.
    :raises WrongNetwork: the evidence is for another chain or contract.
    :raises ContractReverted: the contract refused, for example because this offence is slashed already.
    """
    return await report_of(clients.deployment, domain, evidence).send(clients.slashing, reporter)


async def status_of(clients: Clients, offence: Offence) -> str:
    """The state of an offence on the chain, in a line."""
    slashing = clients.slashing
    reported = await slashing.reported(await key_of(slashing, offence))
    if reported is None:
        return "not reported yet"
    reporter = f"reported by 0x{reported.reporter.hex()}"
    if not reported.reward_wei:
        return f"{reporter}; the reward is paid"
    if reported.is_settled:
        return f"{reporter}; {format_cai(reported.reward_wei)} can be claimed"
    last_block = reported.since_block + await slashing.priority_blocks()
    return f"{reporter}; {format_cai(reported.reward_wei)} can be claimed after block {last_block}"


async def is_settled(clients: Clients, offence: Offence) -> bool:
    """Whether an offence was reported and its reward paid: there is nothing left to get."""
    reported = await clients.slashing.reported(await key_of(clients.slashing, offence))
    return reported is not None and not reported.reward_wei


async def claim_reward(clients: Clients, payer: Sender, offence: Offence, tell: Callable[[str], None]) -> int:
    """Have the reward for a reported offence paid, waiting until it may be; returns wei.

    :param payer: pays the gas; the reward is the reporter's all the same.
    :param tell: hears what is waited for.
    :raises ContractReverted: it was not reported, or paid before.
    """
    slashing = clients.slashing
    key = await key_of(slashing, offence)
    while True:
        try:
            return await slashing.claim_reward(payer, key)
        except ContractReverted as refusal:
            if refusal.name != "PriorityOpen":
                raise
            tell(f"waiting for the end of block {refusal.arguments['lastBlock']}")
        await trio.sleep(CLAIM_POLL_S)
