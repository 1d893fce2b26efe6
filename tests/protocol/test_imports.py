"""The room is pure: importing it brings in no network, no event loop and no other room."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import protocol

PACKAGE = Path(protocol.__file__).parent
FORBIDDEN = frozenset({"socket", "ssl", "asyncio", "trio", "anyio", "sqlite3", "torch"}) | {
    *("web3", "libp2p", "multiaddr", "eth_account", "eth_keyfile", "httpx", "structlog"),
    *("node", "p2p", "contracts"),
}
# Each module is imported as the first of its room, so that no order of imports is needed by anybody.
PROGRAM = """
import importlib, json, sys
brought = {}
for name in json.loads(sys.argv[1]):
    for old in [old for old in sys.modules if old.split(".")[0] == "protocol"]:
        del sys.modules[old]
    importlib.import_module(name)
    brought[name] = sorted({module.split(".")[0] for module in sys.modules})
print(json.dumps(brought))
"""


def modules() -> list[str]:
    paths = (path.relative_to(PACKAGE.parent).with_suffix("") for path in PACKAGE.rglob("*.py"))
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in paths)


@pytest.mark.process
def test_every_module_imports_alone_and_brings_in_nothing_impure():
    assert len(modules()) >= 19
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, json.dumps(modules())],
        check=True,
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
        timeout=60,
    )
    brought = json.loads(ran.stdout)
    assert {name: FORBIDDEN.intersection(tops) for name, tops in brought.items()} == dict.fromkeys(
        modules(), frozenset()
    )


def test_each_module_has_its_test():
    """`test_x.py` for `x.py`, so that a reader knows where to look."""
    here = Path(__file__).parent
    untested = {"protocol", "protocol.errors", "protocol.hashing", "protocol.rules"}
    for name in set(modules()) - untested:
        *folders, module = name.split(".")[1:]
        assert (here.joinpath(*folders) / f"test_{module}.py").is_file(), name
