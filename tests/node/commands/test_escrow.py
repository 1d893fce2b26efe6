"""`chain escrow` as an owner types it, on a real chain, and the time between."""

import re

import pytest

from contracts.escrow import voucher_data
from contracts.records import Role, Voucher
from node.commands import escrow as escrow_cli
from protocol.amounts import WEI_PER_CAI
from protocol.errors import CuckooError
from tests.contracts.conftest import chain_process, deployment
from tests.contracts.world import COORDINATOR_STAKE_WEI, NODE, OTHER_NODE, OTHER_NODE_SECRET
from tests.node.commands.chain_place import town

pytestmark = pytest.mark.process
__all__ = ["chain_process", "deployment"]
COORDINATOR = "0x" + OTHER_NODE.hex()
MINER = "0x" + NODE.hex()
TIME = r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC"


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
    escrow_cli.deposit(COORDINATOR, "50", signer=here.signer)
    escrow_cli.deposit(COORDINATOR, "2.5", signer=here.signer)
    assert "the deposit is 52.5 CAI" in capsys.readouterr().out
    assert refused(escrow_cli.withdraw, COORDINATOR, signer=here.signer) == (
        "there is nothing to move: the amount is zero, or worth less than a wei"
    )
    escrow_cli.announce(COORDINATOR, "20", signer=here.signer)
    assert capsys.readouterr().out.startswith("20 CAI can be withdrawn from 20")
    early = refused(escrow_cli.withdraw, COORDINATOR, signer=here.signer)
    assert re.fullmatch(
        rf"it can be withdrawn from {TIME} to {TIME}; if that is over, announce it again", early
    )
    escrow_cli.show(COORDINATOR, options=here.options)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "deposit  52.5 CAI"
    assert lines[1].startswith("leaving  20 CAI, from 20")

    async def wait(world):
        deposit = await world.escrow.deposit_of(OTHER_NODE)
        await world.chain.pass_time(deposit.withdrawable_from_s - await world.chain.time_s() + 1)
        return await world.token.balance(world.owner.address)

    before_wei = here.do(wait)
    escrow_cli.withdraw(COORDINATOR, signer=here.signer)
    assert capsys.readouterr().out == "withdrawn: 20 CAI\n"
    assert here.do(lambda world: world.token.balance(world.owner.address)) == before_wei + 20 * WEI_PER_CAI
    escrow_cli.show(COORDINATOR, options=here.options)
    assert capsys.readouterr().out == "deposit  32.5 CAI\nleaving  nothing\n"


def test_an_announcement_is_taken_back(here, capsys):
    escrow_cli.deposit(COORDINATOR, "5", signer=here.signer)
    escrow_cli.announce(COORDINATOR, "5", signer=here.signer)
    escrow_cli.announce(COORDINATOR, "0", signer=here.signer)
    assert "nothing is announced any more" in capsys.readouterr().out


def test_a_deposit_for_who_is_no_coordinator_is_refused(here):
    stranger = "0x" + "11" * 20
    assert refused(escrow_cli.deposit, stranger, "5", signer=here.signer) == (
        f"{stranger} is not registered as a coordinator"
    )
    assert "not an address" in refused(escrow_cli.deposit, "11", "5", signer=here.signer)
    assert "is not an amount of CAI above zero" in refused(
        escrow_cli.deposit, COORDINATOR, "-5", signer=here.signer
    )


async def bounce(world):
    """A voucher for 40 CAI against a deposit of 10: 30 are owed."""
    await world.register()
    await world.escrow.deposit(world.ann, OTHER_NODE, 10 * WEI_PER_CAI)
    voucher = Voucher(coordinator=OTHER_NODE, miner=NODE, cumulative_amount_wei=40 * WEI_PER_CAI)
    signature = voucher_data(voucher, world.escrow.chain_id, world.escrow.address).sign(OTHER_NODE_SECRET)
    await world.escrow.redeem(world.ben, voucher, signature)


def test_a_debt_is_settled_from_the_deposit_and_paid_from_ones_own_account(here, capsys):
    here.do(bounce)
    escrow_cli.deposit(COORDINATOR, "12", signer=here.signer)
    capsys.readouterr()
    escrow_cli.settle_debt(COORDINATOR, MINER, signer=here.signer)
    assert capsys.readouterr().out == "paid 12 CAI out of the deposit; left: 18 CAI\n"
    before_wei = here.do(lambda world: world.token.balance(world.owner.address))
    escrow_cli.pay_debt(COORDINATOR, MINER, signer=here.signer)
    assert capsys.readouterr().out == "paid 18 CAI; nothing is owed any more\n"
    assert here.do(lambda world: world.token.balance(world.owner.address)) == before_wei - 18 * WEI_PER_CAI
    for command in (escrow_cli.settle_debt, escrow_cli.pay_debt):
        assert (
            refused(command, COORDINATOR, MINER, signer=here.signer)
            == f"{COORDINATOR} owes nothing to {MINER}"
        )
