from __future__ import annotations

import dataclasses
import json

import pytest

from contracts.clients import Clients, check_deployment
from contracts.contract import Contract
from contracts.deploy import DeployParameters, TokenKind, created_address, deploy
from contracts.deployment import (
    BadDeployment,
    Deployment,
    read_deployment,
    write_deployment,
)
from contracts.errors import ContractReverted
from contracts.transactions import Sender
from tests.contracts.world import NODE

SOME = Deployment(
    chain_id=1,
    cai=b"c" * 20,
    staking=b"s" * 20,
    epoch_seeds=b"p" * 20,
    slashing=b"l" * 20,
    escrow=b"e" * 20,
    disputes=b"d" * 20,
    deployed_at_block=7,
    deployed_at_ms=1_000,
)


@pytest.mark.parametrize("disputes", [SOME.disputes, None])
def test_a_deployment_is_read_as_it_was_written(tmp_path, disputes):
    path = tmp_path / "contracts.json"
    written = dataclasses.replace(SOME, disputes=disputes)
    write_deployment(path, written)
    assert read_deployment(path) == written
    assert json.loads(path.read_text("utf-8"))["cai"] == "0x" + "63" * 20


@pytest.mark.parametrize(
    "change",
    [
        {"cai": None},
        {"cai": "63" * 20},
        {"staking": "0x" + "63" * 19},
        {"epoch_seeds": 5},
        {"slashing": "0x" + "zz" * 20},
        {"escrow": None},
        {"disputes": "0x"},
        {"chain_id": "1"},
        {"chain_id": True},
        {"deployed_at_block": -1},
        {"deployed_at_ms": None},
    ],
)
def test_a_malformed_deployment_is_refused(tmp_path, change):
    path = tmp_path / "contracts.json"
    write_deployment(path, SOME)
    fields = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**fields, **change}), "utf-8")
    with pytest.raises(BadDeployment, match=r"contracts\.json"):
        read_deployment(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b"\xff"])
def test_what_is_no_deployment_is_refused(tmp_path, content):
    path = tmp_path / "contracts.json"
    path.write_bytes(content)
    with pytest.raises(BadDeployment):
        read_deployment(path)


def test_a_missing_deployment_is_refused(tmp_path):
    with pytest.raises(BadDeployment, match="FileNotFoundError"):
        read_deployment(tmp_path / "contracts.json")


def test_a_known_creation_has_its_known_address():
    """The first contract of the first development account, as every such chain shows it."""
    creator = bytes.fromhex("f39fd6e51aad88f6f4ce6ab8827279cfffb92266")
    assert created_address(creator, 0).hex() == "5fbdb2315678afecb367f032d93f642f64180aa3"


@pytest.mark.process
async def test_the_deployed_contracts_belong_to_each_other(world):
    await check_deployment(world.chain.rpc, world.deployment)


@pytest.mark.process
@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 1},
        {"staking": b"s" * 20},
        {"cai": b"c" * 20},
        {"epoch_seeds": b"p" * 20},
        {"escrow": b"e" * 20},
    ],
)
async def test_a_deployment_that_is_not_there_is_found_out(world, change):
    with pytest.raises(BadDeployment):
        await check_deployment(world.chain.rpc, dataclasses.replace(world.deployment, **change))


@pytest.mark.process
async def test_unless_it_is_wanted_nothing_is_deployed_that_slashes_for_not_voting(world):
    parameters = DeployParameters(token=TokenKind.SUPPLY, epoch_blocks=10, seed_delay_blocks=2)
    deployment = await deploy(world.chain.rpc, world.ann, parameters)
    assert deployment.disputes is None
    assert await Contract(world.chain.rpc, deployment.staking, "Staking").read("DISPUTES") == bytes(20)
    with pytest.raises(BadDeployment, match="no disputes"):
        _ = Clients(world.chain.rpc, deployment).disputes
    for mixed in (
        dataclasses.replace(deployment, disputes=world.deployment.disputes),
        dataclasses.replace(world.deployment, disputes=None),
    ):
        with pytest.raises(BadDeployment, match="belong"):
            await check_deployment(world.chain.rpc, mixed)


@pytest.mark.process
async def test_contracts_of_two_deployments_do_not_belong_together(world):
    parameters = DeployParameters(token=TokenKind.SUPPLY, epoch_blocks=10, seed_delay_blocks=2)
    second = await deploy(world.chain.rpc, world.ann, parameters)
    for name in ("staking", "epoch_seeds"):
        mixed = dataclasses.replace(world.deployment, **{name: getattr(second, name)})
        with pytest.raises(BadDeployment, match="belong"):
            await check_deployment(world.chain.rpc, mixed)


@pytest.mark.process
async def test_production_has_no_faucet_and_its_supply_is_the_holder_s(world):
    parameters = DeployParameters(
        token=TokenKind.SUPPLY,
        supply_wei=5,
        holder=world.ben.address,
        epoch_blocks=10,
        seed_delay_blocks=2,
    )
    deployment = await deploy(world.chain.rpc, world.ann, parameters)
    token = Clients(world.chain.rpc, deployment).token
    assert await token.balance(world.ben.address) == await token.total_supply() == 5
    with pytest.raises(ContractReverted) as caught:
        await token.faucet(world.ben, 1)
    assert caught.value.name == "unknown"


@pytest.mark.process
async def test_where_the_coin_is_cai_it_is_wrapped_and_staked(world):
    parameters = DeployParameters(token=TokenKind.WRAPPED, epoch_blocks=10, seed_delay_blocks=2)
    deployment = await deploy(world.chain.rpc, world.ann, parameters)
    clients = Clients(world.chain.rpc, deployment)
    token, staking = clients.token, clients.staking
    await token.wrap(world.ann, 7)
    await token.approve(world.ann, deployment.staking, 7)
    await staking.stake(world.ann, NODE, 7)
    assert await staking.stake_of(NODE, world.ann.address) == 7


@pytest.mark.process
async def test_an_existing_token_can_be_used(world):
    parameters = DeployParameters(token=world.deployment.cai, epoch_blocks=10, seed_delay_blocks=2)
    deployment = await deploy(world.chain.rpc, world.ann, parameters)
    assert deployment.cai == world.deployment.cai


@pytest.mark.process
async def test_parameters_out_of_bounds_are_refused_by_the_contract(world):
    sender = Sender(world.chain.rpc, world.chain.accounts()[5])
    parameters = DeployParameters(token=world.deployment.cai, epoch_blocks=3, seed_delay_blocks=2)
    with pytest.raises(ContractReverted) as caught:
        await deploy(world.chain.rpc, sender, parameters)
    assert caught.value.name == "EpochParametersOutOfBounds"
