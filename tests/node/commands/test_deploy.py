"""`chain deploy` as an operator types it, on a real chain."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from contracts.anvil import AnvilOptions, anvil_process
from contracts.clients import check_deployment
from contracts.rpc import connect
from node.peer.network import load_network
from node.signing.keys import SCRYPT_N_LIGHT, create_keystore
from node.system.files import write_private

pytestmark = pytest.mark.process
NETWORKS = Path(__file__).parents[3] / "bootstrap"
CHAIN_ID = 1210


@pytest.fixture(scope="module")
def chain():
    with anvil_process(AnvilOptions(chain_id=CHAIN_ID)) as process:
        yield process


@pytest.fixture
def folder(tmp_path, chain):
    shutil.copy(NETWORKS / "cuckoo-sepolia" / "params.toml", tmp_path)
    write_private(tmp_path / "password", b"password\n")
    create_keystore(tmp_path / "owner.json", b"password", secret=chain.secrets[0], scrypt_n=SCRYPT_N_LIGHT)
    return tmp_path


def deploy(folder, chain, token, *arguments):
    return subprocess.run(
        [
            *(sys.executable, "-m", "node.cli", "chain", "deploy", str(folder), "--token", token),
            *("--owner-key", str(folder / "owner.json"), "--password-file", str(folder / "password")),
            *("--rpc-url", chain.endpoint, *arguments),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "200"},
    )


def test_a_network_is_deployed_once_and_can_be_joined(folder, chain):
    done = deploy(folder, chain, "wrapped")
    assert done.returncode == 0, done.stderr
    assert f"deploying on chain {CHAIN_ID}" in done.stdout
    network = load_network(str(folder))
    assert network.deployment.escrow.hex() in done.stdout
    assert network.deployment.disputes is None

    async def check():
        async with connect(chain.endpoint) as rpc:
            await check_deployment(rpc, network.deployment)

    trio.run(check)
    again = deploy(folder, chain, "wrapped")
    assert (again.returncode, "deployed already" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("token", "arguments", "why"),
    [
        ("gold", (), "not an address"),
        ("wrapped", ("--epoch-blocks", "1"), "EpochParametersOutOfBounds"),
        ("wrapped", ("--unbonding-days", "0.0001"), "UnbondingDelayOutOfBounds"),
    ],
)
def test_what_cannot_be_deployed_is_one_line_and_writes_nothing(folder, chain, token, arguments, why):
    run = deploy(folder, chain, token, *arguments)
    assert run.returncode == 1
    assert why in run.stderr
    assert "Traceback" not in run.stderr
    assert not (folder / "contracts.json").exists()
