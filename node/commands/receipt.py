"""`cuckoo-peer receipt`: hold a task's receipt against itself, and a picture against it.

Is: a check offline, from the file alone; it needs neither a chain nor a key.
Is not: the look whether the epoch in it is the chain's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from protocol.errors import DecodeError, InvalidMessage, LocalError

if TYPE_CHECKING:
    from protocol.receipt import Receipt

RECEIPT_BYTES_MAX = 64 * 1024 * 1024
"""Of the file: an epoch of 200,000 miners, as many as a receipt may name, takes some 20 MB."""

receipt = App(
    name="receipt",
    help="Check a task's receipt: who was drawn, why, and that every signature holds.",
    help_epilogue="""Examples:

cuckoo-peer receipt verify receipt.json

cuckoo-peer receipt verify receipt.json --image picture.png""",
)


@receipt.command
def verify(
    file: Path,
    /,
    *,
    image: Annotated[Path | None, Parameter(help="The picture that came with it.")] = None,
) -> None:
    """Check a receipt, offline: signatures, draw and all references.

    Parameters
    ----------
    file
        JSON file with the receipt, as the API gives it.
    """
    held = read_receipt(file)
    if image is not None:
        try:
            picture = image.read_bytes()
        except OSError as error:
            raise LocalError(f"{image} cannot be read: {error.strerror}") from error
        if not held.matches(picture):
            raise InvalidMessage("the picture is not the one that the miner committed to")
    print(f"valid: task 0x{held.announcement.digest.hex()}")
    print(f"  coordinator 0x{held.announcement.signer.address.hex()}")
    print(f"  miner       0x{held.commitment.signer.address.hex()}, at rank {held.acceptance.message.rank}")
    print(f"  epoch       {held.epoch.number}, seed 0x{held.epoch.seed.hex()}")
    print("              judged by the epoch in the file; compare its seed and stakes with the chain")
    shown = "" if image is None else f", which {image} has"
    print(f"  picture     SHA-256 0x{held.commitment.message.output_hash.hex()}{shown}")
    print(f"  for chain {held.domain.chain_id}, Slashing contract 0x{held.domain.verifying_contract.hex()}")


def read_receipt(path: Path) -> Receipt:
    """The receipt in the file at `path`, checked.

    :raises LocalError: it cannot be read.
    :raises ProtocolError: it is not a receipt, or something in it does not hold.
    """
    from protocol.receipt import verify_document  # noqa: PLC0415 - `--help` should not wait for it

    try:
        if path.stat().st_size > RECEIPT_BYTES_MAX:
            raise DecodeError(f"{path} is longer than {RECEIPT_BYTES_MAX} bytes")
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise LocalError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"{path} is not JSON") from error
    return verify_document(document)
