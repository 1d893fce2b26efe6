"""A miner that signs two results for one task is noticed, proven and slashed: real processes, real chain."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from node.commands import slash
from node.commands.errors import show_errors
from tests.limits import CHILD_TIMEOUT_S, HANG_S
from tests.market.conftest import running_market
from tests.market.test_readme import prepared, type_in

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def cheated(tmp_path_factory):
    folder = prepared(tmp_path_factory.mktemp("cheated") / "repository")
    with running_market(folder / ".devnet", "--with-cheat") as running:
        yield running


def command(module, *arguments):
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=CHILD_TIMEOUT_S
    )


def chain(market, *arguments, owner=True):
    place = ["--network", market.description["network"]]
    if owner:
        place += ["--owner-key", market.description["staker_key"]]
        place += ["--password-file", market.description["password_file"]]
    run = command("node.cli", "chain", *arguments, *place)
    assert run.returncode == 0, run.stderr
    return run.stdout


def reporter_command(market, verb, file, *more):
    return command(
        "node.commands.slash",
        *(verb, str(file), *more, "--network", market.description["network"]),
        *("--reporter-key", market.description["staker_key"]),
        *("--password-file", market.description["password_file"]),
    )


def evidence_files(market):
    return sorted(market.folder.glob("*/evidence/*.json"))


@pytest.fixture(scope="module")
def evidence_file(cheated):
    """Evidence that an honest peer has found by listening."""
    cheat = cheated.description["addresses"]["cheat"]
    chain(cheated, "faucet", "100000")
    chain(cheated, "vote", cheat, "60000")
    chain(cheated, "unvote", cheat, "all", "--yes")
    chain(cheated, "vote", cheat, "40000")
    before = chain(cheated, "node", cheat, owner=False)
    assert "with votes 540,000 CAI" in before
    assert "unbonding  60,000 CAI" in before
    with cheated.client() as client:
        for patience_s in [1] * 20 + [HANG_S]:
            client.post("/v1/images/generations", json={"prompt": "a star", "steps": 2}).raise_for_status()
            deadline = time.monotonic() + patience_s
            while time.monotonic() < deadline:
                for path in evidence_files(cheated):
                    if path.parts[-3] != "cheat":
                        return path
                time.sleep(0.05)
    pytest.fail("nobody has noticed")


@pytest.mark.usefixtures("evidence_file")
def test_what_the_readme_shows_to_a_slasher_slashes_a_cheat_with_its_voters(cheated):
    cheat = cheated.description["addresses"]["cheat"]
    said = type_in(cheated.folder.parent, "setup", "slasher")
    assert f"valid: {cheat}" in said
    assert "committed in block" in said
    assert "slashed: 0x" in said
    assert "lost 600,000 CAI" in said
    assert "unbonding 60,000 CAI" in said
    after = chain(cheated, "node", cheat, owner=False)
    assert "own stake  0 CAI" in after
    assert "with votes 0 CAI" in after
    assert "unbonding  0 CAI" in after
    assert "slashed for good" in after

    assert "paid to you: 60,000 CAI" in said
    assert f"equivocation by {cheat}" in said
    assert said.rstrip().endswith("; the reward is paid")
    reported = cheated.folder.parent / "evidence.json"
    again = reporter_command(cheated, "submit", reported, "--in-the-clear")
    assert (again.returncode, "was reported already" in again.stderr) == (1, True)
    claimed = reporter_command(cheated, "claim", reported)
    assert (claimed.returncode, "its reward is paid already" in claimed.stderr) == (1, True)


@pytest.fixture
def verify(capsys):
    """`cuckoo-slash verify` in this process: its exit status, and what it says on standard error."""

    def run(file):
        status = show_errors(lambda: slash.app(["verify", str(file)]), name="cuckoo-slash")
        return status, capsys.readouterr().err

    return run


def test_tampered_evidence_does_not_verify(evidence_file, tmp_path, verify):
    document = json.loads(evidence_file.read_text())
    flipped = document["first_statement"][:-2] + (
        "1c" if document["first_statement"].endswith("1b") else "1b"
    )
    for change in (
        {"first_statement": flipped},
        {"first_statement": document["second_statement"]},
        {"chain_id": 1},
        {"format": "other"},
        {"slashing_contract": "0x00"},
    ):
        file = tmp_path / "evidence.json"
        file.write_text(json.dumps(document | change))
        status, said = verify(file)
        assert status == 1, change
        assert said.startswith("cuckoo-slash: ")
        assert said.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 100_000])
def test_file_that_is_no_evidence_is_a_clear_error(tmp_path, verify, content):
    file = tmp_path / "evidence.json"
    file.write_bytes(content)
    status, said = verify(file)
    assert status == 1
    assert said.startswith("cuckoo-slash: ")
    assert said.count("\n") == 1


def test_missing_file_is_a_clear_error(verify):
    status, said = verify(Path("nowhere") / "evidence.json")
    assert (status, "cannot be read" in said) == (1, True)
