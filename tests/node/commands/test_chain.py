"""`chain balance|faucet|node|nodes` as people type them, on a real chain."""

import pytest

from node.commands import chain as chain_cli
from protocol.amounts import WEI_PER_CAI, format_cai
from tests.contracts.conftest import chain_process, deployment
from tests.contracts.world import MINER_STAKE_WEI, NODE
from tests.node.commands.chain_place import town
from tests.node.commands.test_escrow import refused

pytestmark = pytest.mark.process
__all__ = ["chain_process", "deployment"]
ADDRESS = "0x" + NODE.hex()


@pytest.fixture
def here(chain_process, deployment, tmp_path):
    with town(chain_process, deployment, tmp_path) as found:
        yield found


async def accounts(world):
    return world.owner.address, await world.token.balance(world.owner.address)


def test_money_comes_from_the_faucet_and_not_twice_at_once(here, capsys):
    address, before_wei = here.do(accounts)
    chain_cli.faucet("1,000.5", signer=here.signer)
    has = format_cai(before_wei + 1_000 * WEI_PER_CAI + WEI_PER_CAI // 2)
    assert capsys.readouterr().out == f"you have {has}\n"
    chain_cli.balance("0x" + address.hex(), options=here.options)
    assert capsys.readouterr().out == f"{has}\n"
    again = refused(chain_cli.faucet, "1", signer=here.signer)
    assert again.startswith("the faucet gives to this account again from 20")


def test_what_the_chain_knows_of_a_node(here, capsys):
    assert refused(chain_cli.node, ADDRESS, options=here.options) == f"{ADDRESS} is not registered"
    here.do(lambda world: world.register())
    address, _ = here.do(accounts)
    chain_cli.node(ADDRESS, options=here.options)
    assert capsys.readouterr().out.splitlines()[:6] == [
        "role       miner",
        f"owner      0x{address.hex()}",
        f"own stake  {format_cai(MINER_STAKE_WEI)}",
        f"with votes {format_cai(MINER_STAKE_WEI)}",
        "unbonding  0 CAI",
        "active     yes",
    ]
    chain_cli.nodes(options=here.options)
    assert capsys.readouterr().out.split() == [
        ADDRESS,
        "miner",
        "active",
        *format_cai(MINER_STAKE_WEI).split(),
    ]
