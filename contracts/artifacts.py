"""The compiled contracts as package data.

Is: ABI and bytecode as `build` wrote them, so that nobody needs a compiler to use the network.
Is not: a compiler; a test rebuilds the artefacts and compares every byte.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from protocol.errors import LocalError

CONTRACT_NAMES: Final = (
    "CAI",
    "DevelopmentCAI",
    "Disputes",
    "EpochSeeds",
    "Escrow",
    "Slashing",
    "Staking",
    "WrappedCAI",
)


class ArtifactMissing(LocalError):
    """The package was installed without its data, or the name is wrong. :ivar name: of the contract."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"no artefact of the contract {name!r}: reinstall, or run `python -m contracts.build`"
        )
        self.name = name


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract."""

    name: str
    """As in the sources, for example ``Staking``."""
    abi: tuple[dict[str, Any], ...]
    """Entries of the contract's JSON ABI (functions, events, errors, constructor)."""
    bytecode: bytes
    """Creation code without constructor arguments."""


@functools.cache
def load_artifact(name: str) -> Artifact:
    """Read one artefact.

    :param name: one of `CONTRACT_NAMES`.
    :raises ArtifactMissing: there is none.
    """
    path = resources.files("contracts").joinpath("artifacts", f"{name}.json")
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ArtifactMissing(name) from error
    bytecode = bytes.fromhex(content["bytecode"].removeprefix("0x"))
    return Artifact(name=name, abi=tuple(content["abi"]), bytecode=bytecode)
