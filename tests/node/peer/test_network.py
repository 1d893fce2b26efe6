"""Network folders: what loads, and the error for each thing that is missing or wrong."""

import shutil
from pathlib import Path

import pytest

from contracts.deployment import BadDeployment, Deployment, write_deployment
from node.peer.network import BOOTNODES_MAX, NetworkUnusable, load_network, read_parameters

DEPLOYMENT = Deployment(
    chain_id=31337,
    cai=b"\x01" * 20,
    staking=b"\x02" * 20,
    epoch_seeds=b"\x06" * 20,
    slashing=b"\x03" * 20,
    escrow=b"\x04" * 20,
    disputes=b"\x05" * 20,
    deployed_at_block=0,
    deployed_at_ms=1_000,
)
NETWORKS = Path(__file__).parents[3] / "bootstrap"
PARAMETERS = NETWORKS / "devnet" / "params.toml"


@pytest.fixture
def folder(tmp_path):
    shutil.copy(PARAMETERS, tmp_path)
    write_deployment(tmp_path / "contracts.json", DEPLOYMENT)
    (tmp_path / "bootnodes.txt").write_text("# first\n\n/ip4/127.0.0.1/tcp/1/p2p/x\n")
    return tmp_path


def test_folder_loads(folder):
    network = load_network(str(folder))
    assert network.deployment == DEPLOYMENT
    assert network.bootnodes == ("/ip4/127.0.0.1/tcp/1/p2p/x",)
    assert network.domain.verifying_contract == DEPLOYMENT.slashing
    assert network.topic("tasks") == "cuckoo/1/31337-03030303/tasks"


@pytest.mark.parametrize(
    ("name", "chain_id"), [("devnet", 31337), ("cuckoo-sepolia", 1210), ("cuckoo", 1200)]
)
def test_networks_that_come_with_the_package(name, chain_id):
    parameters = read_parameters(NETWORKS / name / "params.toml")
    assert (parameters.name, parameters.chain_id) == (name, chain_id)


def test_network_without_bootnodes_is_a_first_peer(folder):
    (folder / "bootnodes.txt").unlink()
    assert load_network(str(folder)).bootnodes == ()


def test_unknown_name_says_what_to_name():
    with pytest.raises(NetworkUnusable, match=r"params\.toml"):
        load_network("atlantis")


def test_network_that_is_not_deployed_says_so():
    with pytest.raises(NetworkUnusable, match="make devnet"):
        load_network("devnet")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("chain_id = 31337", "chain_id = 1"),
        ("chain_id = 31337", 'chain_id = "31337"'),
        ("chain_id = 31337", "chain_id = true"),
        ("head_start_ms = 3000", "head_start_ms = 0"),
        ("head_start_ms = 3000", "head_start_ms = 999999999"),
        ("offer_life_ms = 20000", "offer_life_ms = 1"),
        ("head_start_ms = 3000", ""),
        ("head_start_ms = 3000", "head_start_ms = 3000\nsurprise = 1"),
        ("head_start_ms = 3000", "head_start_ms ="),
    ],
)
def test_broken_parameters_are_refused(folder, old, new):
    path = folder / "params.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(NetworkUnusable):
        load_network(str(folder))


def test_broken_contracts_file_is_refused(folder):
    (folder / "contracts.json").write_text("{}")
    with pytest.raises(BadDeployment):
        load_network(str(folder))


def test_file_too_long_is_refused(folder):
    with (folder / "params.toml").open("a") as file:
        file.write("#" * 70_000)
    with pytest.raises(NetworkUnusable, match="longer"):
        load_network(str(folder))


def test_too_many_bootnodes_are_refused(folder):
    (folder / "bootnodes.txt").write_text("x\n" * (BOOTNODES_MAX + 1))
    with pytest.raises(NetworkUnusable, match="64"):
        load_network(str(folder))
