"""Where npm has put the binaries of the toolchain.

Is: the binary of a tool for this machine, inside its platform package.
Is not: the scripts in ``node_modules/.bin``: those of forge and anvil end with status 0 whatever happens.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Final

from protocol.errors import LocalError

CONTRACTS_FOLDER: Final = Path(__file__).resolve().parent
_MACHINES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class ToolMissing(LocalError):
    """A tool is not installed, or not made for this machine. :ivar name: of the tool."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not installed: run `make setup` (npm ci in contracts/)")
        self.name = name


def find_tool(name: str, folder: Path = CONTRACTS_FOLDER) -> Path:
    """The binary of a Foundry tool.

    :param name: ``anvil`` or ``forge``.
    :param folder: which has the ``node_modules``.
    :raises ToolMissing: it is not there.
    """
    machine = _MACHINES.get(platform.machine().lower(), "unknown")
    package = f"{name}-{platform.system().lower()}-{machine}"
    path = folder / "node_modules" / "@foundry-rs" / package / "bin" / name
    if not path.exists():
        raise ToolMissing(name)
    return path
