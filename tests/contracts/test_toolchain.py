from __future__ import annotations

import subprocess

import pytest

from contracts.toolchain import CONTRACTS_FOLDER, ToolMissing, find_tool
from tests.limits import CHILD_TIMEOUT_S


def test_a_missing_tool_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "abacus")
    with pytest.raises(ToolMissing, match="make setup") as caught:
        find_tool("anvil")
    assert caught.value.name == "anvil"


@pytest.mark.process
def test_a_failure_of_forge_is_noticed():
    """The script that npm links ends with 0 even then, so a broken contract would pass."""
    for command in (["node", "tools/forge.js"], [str(find_tool("forge"))]):
        run = subprocess.run(
            [*command, "no-such-command"],
            cwd=CONTRACTS_FOLDER,
            capture_output=True,
            check=False,
            timeout=CHILD_TIMEOUT_S,
        )
        assert run.returncode != 0
