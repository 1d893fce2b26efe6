"""The receipt of a task: one JSON document that proves, offline, who was drawn, why, and what came out.

Is: building and verifying. It carries the epoch's snapshot, so that the draw can be re-computed, and the
signed statements as they travelled.
Is not: proof that the epoch in it is the chain's. Who wants that compares the seed and the stakes in it with
what the contracts say of that epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protocol.draw import EpochView, follows_draw, task_seed
from protocol.epoch_document import epoch_from_document, epoch_to_document, hex_bytes, integer, read
from protocol.errors import DecodeError, InvalidMessage
from protocol.hashing import sha256
from protocol.messages import ResultCommitment, TaskAcceptance, TaskAnnouncement
from protocol.statement import Domain, Statement, open_statement
from protocol.work import may_be_all

DOCUMENT_FORMAT = "cuckoo-receipt/1"
_WHAT = "a receipt"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt that holds.

    :ivar domain: network that the signatures are valid on.
    :ivar epoch: snapshot and seed behind the draw; `coordinators` has just the one that announced.
    :ivar announcement: signed by the coordinator; its digest is the task's id.
    :ivar acceptance: signed by the miner that did the work.
    :ivar commitment: signed by the same miner.
    """

    domain: Domain
    epoch: EpochView
    announcement: Statement[TaskAnnouncement]
    acceptance: Statement[TaskAcceptance]
    commitment: Statement[ResultCommitment]

    def matches(self, output: bytes) -> bool:
        """Whether `output` is the one that the miner committed to."""
        return sha256(output) == self.commitment.message.output_hash


def to_document(receipt: Receipt) -> dict[str, Any]:
    """JSON document of a receipt; hexadecimal strings for bytes, decimal strings for weights."""
    return {
        "format": DOCUMENT_FORMAT,
        "chain_id": receipt.domain.chain_id,
        "slashing_contract": receipt.domain.verifying_contract.hex(),
        "task_id": receipt.announcement.digest.hex(),
        "epoch": epoch_to_document(receipt.epoch, receipt.announcement.signer.address),
        "announcement": receipt.announcement.encoded.hex(),
        "acceptance": receipt.acceptance.encoded.hex(),
        "commitment": receipt.commitment.encoded.hex(),
    }


def verify_document(document: object) -> Receipt:
    """The receipt in `document`, with every signature, the draw and every reference checked.

    :raises DecodeError: not such a document.
    :raises SignatureError: a signature is malformed.
    :raises InvalidMessage: something in it contradicts something else; its reason says what.
    """
    if not isinstance(document, dict) or document.get("format") != DOCUMENT_FORMAT:
        message = f"not a {DOCUMENT_FORMAT} document"
        raise DecodeError(message)
    domain = read(
        lambda: Domain(integer(document["chain_id"]), hex_bytes(document["slashing_contract"])), _WHAT
    )
    announcement = open_statement(domain, _statement(document, "announcement"), TaskAnnouncement)
    acceptance = open_statement(domain, _statement(document, "acceptance"), TaskAcceptance)
    commitment = open_statement(domain, _statement(document, "commitment"), ResultCommitment)
    epoch = read(lambda: epoch_from_document(document["epoch"], announcement.signer.address), _WHAT)
    receipt = Receipt(domain, epoch, announcement, acceptance, commitment)
    _check(receipt)
    return receipt


def _check(receipt: Receipt) -> None:
    task, epoch = receipt.announcement.message, receipt.epoch
    coordinator = receipt.announcement.signer.address
    miner = receipt.commitment.signer.address
    if task.epoch != epoch.number:
        raise InvalidMessage("the announcement names another epoch")
    if task.coordinator != coordinator:
        raise InvalidMessage("the announcement is signed by somebody else than its coordinator")
    if not epoch.coordinators.weight_of(coordinator):
        raise InvalidMessage("the announcement's signer is not a coordinator")
    if not follows_draw(epoch.miners, task_seed(epoch.seed, coordinator, task.number), task.ranking):
        raise InvalidMessage("the ranking is not the draw's")
    if receipt.acceptance.signer.address != miner:
        raise InvalidMessage("acceptance and commitment have different signers")
    task_ids = (receipt.acceptance.message.task_id, receipt.commitment.message.task_id)
    if task_ids != (receipt.announcement.digest, receipt.announcement.digest):
        raise InvalidMessage("acceptance or commitment are of another task")
    if not may_be_all(task.work, receipt.commitment.message.units_done):
        raise InvalidMessage("not all units were done")
    rank = receipt.acceptance.message.rank
    if rank >= len(task.assigned) or task.assigned[rank] != miner:
        raise InvalidMessage("the miner was not drawn at this rank")


def _statement(document: dict[str, Any], name: str) -> bytes:
    return read(lambda: hex_bytes(document[name]), _WHAT)
