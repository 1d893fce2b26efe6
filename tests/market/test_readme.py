"""Every command that the README shows is typed here, against a devnet as `make devnet` starts it.

But for what it shows to a slasher, which `test_equivocation` types."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.market.conftest import REPOSITORY, running_market

pytestmark = pytest.mark.process

README = (REPOSITORY / "README.md").read_text()
BLOCKS = dict(re.findall(r"^```sh (\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))


def type_in(folder: Path, *names: str) -> str:
    """Run blocks of the README in one shell; every command of them must succeed."""
    script = "\n".join(BLOCKS[name] for name in names)
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-m", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,  # of a block with fifteen commands, on a machine with a load of 12
    )
    assert run.returncode == 0, f"{script}\n{run.stdout}\n{run.stderr}"
    return run.stdout


def prepared(folder: Path) -> Path:
    """A folder that looks as the repository does to the commands: `.venv` and `.devnet` inside."""
    folder.mkdir()
    environment = Path(sys.executable).parents[1]
    (folder / ".venv").symlink_to(environment)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = prepared(tmp_path_factory.mktemp("readme") / "repository")
    with running_market(folder / ".devnet", port=8420):
        yield folder


def test_there_is_a_block_for_everybody():
    people = {
        "app",
        "tokens",
        "setup",
        "bootstrap",
        "coordinator",
        "miner",
        "pay",
        "staker",
        "slasher",
        "move",
    }
    assert set(BLOCKS) == people


def test_app_builder(place):
    output = type_in(place, "app")
    for picture in ("apple.png", "edited.png"):
        assert (place / picture).read_bytes().startswith(b"\x89PNG")
    assert (place / "star.webp").read_bytes()[8:12] == b"WEBP"
    assert '"total_most_micro_cai":' in output
    assert "cuckoo-icons" in output
    assert '"ready":true' in output


def test_a_token_for_a_user_of_the_app(place):
    output = type_in(place, "tokens")
    assert json.loads((place / "fish.json").read_text())["data"][0]["b64_json"]
    assert '"images":1' in output
    assert "outcome   delivered by 0x" in output
    assert "% of the stake in epoch" in output
    assert "here      works on 0 tasks, failed 0 times" in output
    assert "finding   honest" in output
    assert '"name": "ann"' in output
    assert "revoked: ann" in output


def test_miners_are_paid_for_what_the_app_has_asked_for(place):
    output = type_in(place, "app", "setup", "pay")
    assert "redeemed " in output
    assert "collected " in output
    assert "traces:" in output
    assert " heard, drawn for " in output


def test_bootstrap_peer(place):
    assert '"role": "bootstrap"' in type_in(place, "setup", "bootstrap")


def test_coordinator_then_miner_then_staker(place):
    output = type_in(place, "setup", "coordinator")
    assert "registered: coordinator" in output
    assert "the deposit is 100 CAI" in output
    assert '"ready"' in output
    output = type_in(place, "setup", "miner")
    assert "registered: miner" in output
    assert '"role": "miner"' in output
    assert "metadata   'my miner'" in output
    output = type_in(place, "setup", "move")
    assert "the node in .devnet/my-miner does not start again" in output
    assert "start the node there, and delete my-miner.tar" in output
    output = type_in(place, "setup", "staker")
    assert "voted with 10,000 CAI" in output
    assert "request 1: 5,000 CAI, released at " in output
    assert "staked     5,000 CAI" in output


def test_every_make_verb_of_the_readme_exists():
    verbs = set(re.findall(r"`make ([a-z-]+)`", README))
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert verbs
    assert verbs <= targets
