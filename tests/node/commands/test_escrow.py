"""`chain escrow` as an owner types it, on a real chain, and the time between."""

import pytest

from contracts.records import WEI_PER_CAI, Role
from node.commands import escrow as escrow_cli
from protocol.errors import CuckooError
from tests.contracts.conftest import chain_process, deployment
from tests.contracts.world import COORDINATOR_STAKE_WEI, OTHER_NODE, OTHER_NODE_SECRET
from tests.node.commands.chain_place import town

pytestmark = pytest.mark.process
__all__ = ["chain_process", "deployment"]
COORDINATOR = "0x" + OTHER_NODE.hex()


@pytest.fixture
def here(chain_process, deployment, tmp_path):
    with town(chain_process, deployment, tmp_path) as found:
        found.do(lambda world: world.register(OTHER_NODE_SECRET, Role.COORDINATOR, COORDINATOR_STAKE_WEI))
        yield found


def refused(call, *arguments, **options):
    """What a command says on its way out; trio wraps it in a group."""
    with pytest.raises((CuckooError, BaseExceptionGroup)) as caught:
        call(*arguments, **options)
    return str(getattr(caught.value, "exceptions", [caught.value])[0])


def test_a_deposit_comes_and_goes_after_its_notice(here, capsys):
    escrow_cli.deposit(COORDINATOR, "50", owner=here.owner)
    escrow_cli.deposit(COORDINATOR, "2.5", owner=here.owner)
    assert "the deposit is 52.5 CAI" in capsys.readouterr().out
    assert "NothingToMove" in refused(escrow_cli.withdraw, COORDINATOR, owner=here.owner)
    escrow_cli.announce(COORDINATOR, "20", owner=here.owner)
    assert capsys.readouterr().out.startswith("20 CAI can be withdrawn from Unix time ")
    assert "NotWithdrawable" in refused(escrow_cli.withdraw, COORDINATOR, owner=here.owner)
    escrow_cli.show(COORDINATOR, place=here.place)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "deposit  52.5 CAI"
    assert lines[1].startswith("leaving  20 CAI, from Unix time ")

    async def wait(world):
        deposit = await world.escrow.deposit_of(OTHER_NODE)
        await world.chain.pass_time(deposit.withdrawable_from_s - await world.chain.time_s() + 1)
        return await world.token.balance(world.owner.address)

    before_wei = here.do(wait)
    escrow_cli.withdraw(COORDINATOR, owner=here.owner)
    assert capsys.readouterr().out == "withdrawn: 20 CAI\n"
    assert here.do(lambda world: world.token.balance(world.owner.address)) == before_wei + 20 * WEI_PER_CAI
    escrow_cli.show(COORDINATOR, place=here.place)
    assert capsys.readouterr().out == "deposit  32.5 CAI\nleaving  nothing\n"


def test_an_announcement_is_taken_back(here, capsys):
    escrow_cli.deposit(COORDINATOR, "5", owner=here.owner)
    escrow_cli.announce(COORDINATOR, "5", owner=here.owner)
    escrow_cli.announce(COORDINATOR, "0", owner=here.owner)
    assert "nothing is announced any more" in capsys.readouterr().out


def test_a_deposit_for_who_is_no_coordinator_is_refused(here):
    stranger = "0x" + "11" * 20
    assert "WrongRole" in refused(escrow_cli.deposit, stranger, "5", owner=here.owner)
    assert "not an address" in refused(escrow_cli.deposit, "11", "5", owner=here.owner)
    assert "not a positive amount" in refused(escrow_cli.deposit, COORDINATOR, "-5", owner=here.owner)
