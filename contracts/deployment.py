"""Which contracts stand where: ``contracts.json`` of a network.

Is: `Deployment`, its file, and the check that the chain really has it.
Is not: the act of deploying, which is `deploy`. Clients are imported when they are made: a bootstrap peer
reads the addresses, which name its topics, and never speaks to the chain.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from protocol.errors import LocalError
from protocol.signature import ADDRESS_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from contracts.cai import TokenClient
    from contracts.client import SlashingClient, StakingClient
    from contracts.rpc import Rpc


class BadDeployment(LocalError):
    """``contracts.json`` is missing or malformed, or the chain does not have what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The contracts of one network; addresses are 20 bytes."""

    chain_id: int
    cai: bytes
    staking: bytes
    slashing: bytes
    deployed_at_block: int
    """In the RPC's numbers: events need not be looked for before it."""

    def token_client(self, rpc: Rpc) -> TokenClient:
        """Client of CAI."""
        from contracts.cai import TokenClient  # noqa: PLC0415

        return TokenClient(rpc, self.cai)

    def staking_client(self, rpc: Rpc) -> StakingClient:
        """Client of the staking contract."""
        from contracts.client import StakingClient  # noqa: PLC0415

        return StakingClient(rpc, self.staking)

    def slashing_client(self, rpc: Rpc) -> SlashingClient:
        """Client of the slashing contract."""
        from contracts.client import SlashingClient  # noqa: PLC0415

        return SlashingClient(rpc, self.slashing, self.staking)


async def check_deployment(rpc: Rpc, deployment: Deployment) -> None:
    """Make sure that the contracts stand where they should, and belong to each other.

    :raises BadDeployment: they do not.
    """
    from contracts.contract import Contract  # noqa: PLC0415

    if rpc.chain_id != deployment.chain_id:
        message = f"the contracts are on chain {deployment.chain_id}, the RPC serves {rpc.chain_id}"
        raise BadDeployment(message)
    for name in ("cai", "staking", "slashing"):
        if not await rpc.code(getattr(deployment, name)):
            message = f"there is no contract at the address of {name}"
            raise BadDeployment(message)
    staking = Contract(rpc, deployment.staking, "Staking")
    slashing = Contract(rpc, deployment.slashing, "Slashing")
    linked = (
        await staking.read("TOKEN") == deployment.cai,
        await staking.read("SLASHER") == deployment.slashing,
        await slashing.read("STAKING") == deployment.staking,
    )
    if not all(linked):
        message = "the contracts do not belong to each other"
        raise BadDeployment(message)


def write_deployment(path: Path, deployment: Deployment) -> None:
    """Write ``contracts.json``; addresses in hexadecimal."""
    fields = {
        "chain_id": deployment.chain_id,
        "cai": "0x" + deployment.cai.hex(),
        "staking": "0x" + deployment.staking.hex(),
        "slashing": "0x" + deployment.slashing.hex(),
        "deployed_at_block": deployment.deployed_at_block,
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
            cai=_address(fields["cai"]),
            staking=_address(fields["staking"]),
            slashing=_address(fields["slashing"]),
            deployed_at_block=_number(fields["deployed_at_block"]),
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
