"""The receipt of a task: one JSON document that proves, offline, who was drawn, why, and what came out.

Is: building and verifying. It carries the epoch's snapshot, so that the draw can be re-computed, and the
signed statements as they travelled.
Is not: proof that the epoch in it is the chain's. Who wants that compares the seed and the stakes in it with
what the contracts say of that epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from protocol.draw import WEI_PER_MICRO_CAI, EpochView, Snapshot, follows_draw, task_seed
from protocol.errors import DecodeError, InvalidMessage
from protocol.hashing import sha256
from protocol.messages import ResultCommitment, TaskAcceptance, TaskAnnouncement
from protocol.statement import Domain, Statement, open_statement

DOCUMENT_FORMAT = "cuckoo-receipt/1"
MINERS_MAX = 200_000
"""Most miners in a receipt's snapshot."""
SEED_BYTES = 32
WEIGHT_DIGITS_MAX = 20
"""Longest weight: the digits of 2^64."""

Value = TypeVar("Value")


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

    def matches(self, image: bytes) -> bool:
        """Whether `image` is the one that the miner committed to."""
        return sha256(image) == self.commitment.message.output_hash


def to_document(receipt: Receipt) -> dict[str, Any]:
    """JSON document of a receipt; hexadecimal strings for bytes, decimal strings for weights."""
    epoch = receipt.epoch
    coordinator = receipt.announcement.signer.address
    return {
        "format": DOCUMENT_FORMAT,
        "chain_id": receipt.domain.chain_id,
        "slashing_contract": receipt.domain.verifying_contract.hex(),
        "task_id": receipt.announcement.digest.hex(),
        "epoch": {
            "number": epoch.number,
            "seed": epoch.seed.hex(),
            "coordinator_weight_micro_cai": str(epoch.coordinators.weight_of(coordinator)),
            "miners": [
                {"address": miner.hex(), "weight_micro_cai": str(weight)}
                for miner, weight in zip(epoch.miners.miners, epoch.miners.weights, strict=True)
            ],
        },
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
    domain = _read(lambda: Domain(_integer(document["chain_id"]), _bytes(document["slashing_contract"])))
    announcement = open_statement(domain, _read(lambda: _bytes(document["announcement"])), TaskAnnouncement)
    acceptance = open_statement(domain, _read(lambda: _bytes(document["acceptance"])), TaskAcceptance)
    commitment = open_statement(domain, _read(lambda: _bytes(document["commitment"])), ResultCommitment)
    epoch = _read(lambda: _epoch(document["epoch"], announcement.signer.address))
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
    if not follows_draw(epoch.miners, task_seed(epoch.seed, coordinator, task.sequence), task.ranking):
        raise InvalidMessage("the ranking is not the draw's")
    if receipt.acceptance.signer.address != miner:
        raise InvalidMessage("acceptance and commitment have different signers")
    task_ids = (receipt.acceptance.message.task_id, receipt.commitment.message.task_id)
    if task_ids != (receipt.announcement.digest, receipt.announcement.digest):
        raise InvalidMessage("acceptance or commitment are of another task")
    if receipt.commitment.message.steps_done != task.steps:
        raise InvalidMessage("not all steps were done")
    rank = receipt.acceptance.message.rank
    if rank >= len(task.assigned) or task.assigned[rank] != miner:
        raise InvalidMessage("the miner was not drawn at this rank")


def _epoch(document: dict[str, Any], coordinator: bytes) -> EpochView:
    miners = document["miners"]
    if not isinstance(miners, list) or len(miners) > MINERS_MAX:
        message = f"miners is not a list of at most {MINERS_MAX}"
        raise DecodeError(message)
    seed = _bytes(document["seed"])
    if len(seed) != SEED_BYTES:
        message = f"seed is not {SEED_BYTES} bytes"
        raise DecodeError(message)
    return EpochView(
        number=_integer(document["number"]),
        seed=seed,
        miners=Snapshot.of((_bytes(miner["address"]), _wei(miner["weight_micro_cai"])) for miner in miners),
        coordinators=Snapshot.of([(coordinator, _wei(document["coordinator_weight_micro_cai"]))]),
    )


def _integer(value: object) -> int:
    if type(value) is not int:
        message = "not an integer"
        raise TypeError(message)
    return value


def _bytes(value: str) -> bytes:
    data = bytes.fromhex(value)
    # fromhex skips white space, which another implementation would refuse.
    if 2 * len(data) != len(value):
        message = "not a hexadecimal string"
        raise ValueError(message)
    return data


def _wei(weight_micro_cai: str) -> int:
    # int() alone would take signs, spaces, underscores and the digits of other scripts.
    is_decimal = weight_micro_cai.isascii() and weight_micro_cai.isdecimal()
    if not is_decimal or len(weight_micro_cai) > WEIGHT_DIGITS_MAX:
        message = f"weight is not a decimal string of at most {WEIGHT_DIGITS_MAX} digits"
        raise ValueError(message)
    return int(weight_micro_cai) * WEI_PER_MICRO_CAI


def _read(reader: Callable[[], Value]) -> Value:
    """What `reader` takes from a document that came from anywhere.

    :raises DecodeError: it is not there, or of another shape.
    """
    try:
        return reader()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"not a receipt: {type(error).__name__}: {error}"
        raise DecodeError(message) from error
