"""Which contracts stand where: ``contracts.json`` of a network.

Is: `Deployment` and its file, without a library of the chain: a bootstrap peer reads the addresses, which
name its topics, and never speaks to the chain.
Is not: the act of deploying (`deploy`), nor what speaks to the contracts (`clients`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from protocol.errors import LocalError
from protocol.signature import ADDRESS_BYTES

if TYPE_CHECKING:
    from pathlib import Path

CONTRACTS: Final = ("cai", "staking", "epoch_seeds", "slashing", "escrow")
"""Names of the contracts of every network, as fields of `Deployment` and of ``contracts.json``."""

NOBODY: Final = bytes(ADDRESS_BYTES)
"""In the place of a contract that there is not: nobody calls from this address."""


class BadDeployment(LocalError):
    """``contracts.json`` is missing or malformed, or the chain does not have what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The contracts of one network; addresses are 20 bytes."""

    chain_id: int
    cai: bytes
    staking: bytes
    epoch_seeds: bytes
    slashing: bytes
    escrow: bytes
    disputes: bytes | None
    """``None`` where nobody is judged: then no address may slash for it. ``null`` in the file."""
    deployed_at_block: int
    """In the RPC's numbers: events need not be looked for before it."""
    deployed_at_ms: int
    """Time of the chain then, Unix milliseconds: from it on all peers reckon how often it makes a block."""

    def contracts(self) -> dict[str, bytes]:
        """Addresses of the contracts that there are, by name."""
        found: dict[str, bytes] = {name: getattr(self, name) for name in CONTRACTS}
        return found if self.disputes is None else found | {"disputes": self.disputes}


def write_deployment(path: Path, deployment: Deployment) -> None:
    """Write ``contracts.json``; addresses in hexadecimal."""
    fields = {
        "chain_id": deployment.chain_id,
        "disputes": None,
        **{name: "0x" + address.hex() for name, address in deployment.contracts().items()},
        "deployed_at_block": deployment.deployed_at_block,
        "deployed_at_ms": deployment.deployed_at_ms,
    }
    path.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")


def read_deployment(path: Path) -> Deployment:
    """Read ``contracts.json``.

    :raises BadDeployment: it is missing, or not such a file.
    """
    try:
        fields = json.loads(path.read_text("utf-8"))
        return Deployment(
            chain_id=_number(fields["chain_id"]),
            **{name: _address(fields[name]) for name in CONTRACTS},
            disputes=None if fields["disputes"] is None else _address(fields["disputes"]),
            deployed_at_block=_number(fields["deployed_at_block"]),
            deployed_at_ms=_number(fields["deployed_at_ms"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path}: {type(error).__name__}: {error}"
        raise BadDeployment(message) from error


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        message = f"not a number from zero on: {value!r}"
        raise ValueError(message)
    return value


def _address(value: Any) -> bytes:
    if not isinstance(value, str) or value[:2] != "0x" or len(value) != 2 + 2 * ADDRESS_BYTES:
        message = f"not an address: {value!r}"
        raise ValueError(message)
    return bytes.fromhex(value[2:])
