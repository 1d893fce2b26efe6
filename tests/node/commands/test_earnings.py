"""`miner earnings|redeem|collect|report-bounced` on a real chain, from a miner's folder."""

import pytest

from contracts.records import Role
from node.commands import earnings as earnings_cli
from node.pay.earnings import EARNINGS_FILE, open_earnings
from node.pay.vouchers import EscrowDomain
from node.signing.keys import SCRYPT_N_LIGHT, Key, create_keystore
from node.system.lifetime import KEY_FILE
from protocol.amounts import WEI_PER_CAI
from tests.contracts.conftest import chain_process, deployment
from tests.contracts.world import COORDINATOR_STAKE_WEI, NODE_SECRET, OTHER_NODE, OTHER_NODE_SECRET
from tests.node.commands.chain_place import town
from tests.node.pay.builders import signed

pytestmark = pytest.mark.process
__all__ = ["chain_process", "deployment"]
COORDINATOR, MINER = Key.of(OTHER_NODE_SECRET), Key.of(NODE_SECRET)
DEPOSIT_CAI = 100


@pytest.fixture
def here(chain_process, deployment, tmp_path):
    create_keystore(tmp_path / "miner" / KEY_FILE, b"password", secret=MINER.secret, scrypt_n=SCRYPT_N_LIGHT)
    with town(chain_process, deployment, tmp_path) as found:

        async def found_market(world):
            await world.register()
            await world.register(COORDINATOR.secret, Role.COORDINATOR, COORDINATOR_STAKE_WEI)
            await world.escrow.deposit(world.ann, OTHER_NODE, DEPOSIT_CAI * WEI_PER_CAI)

        found.do(found_market)
        yield found


def earn(here, deployment, total_cai):
    """The miner holds a voucher for so much in all."""
    domain = EscrowDomain.of(deployment)
    with open_earnings(here.folder / "miner" / EARNINGS_FILE, MINER.address, domain) as earnings:
        amount_wei = total_cai * WEI_PER_CAI
        voucher = signed(
            amount_wei, amount_wei, key=COORDINATOR, coordinator=COORDINATOR, miner=MINER, domain=domain
        )
        earnings.take(OTHER_NODE, bytes(32), voucher)


def said(capsys):
    return capsys.readouterr().out


def test_from_a_voucher_to_the_owners_account(here, deployment, capsys):
    earn(here, deployment, 30)
    folder = here.folder / "miner"
    earnings_cli.earnings(folder, options=here.options)
    shown = said(capsys)
    assert "earned       30 CAI" in shown
    assert "unredeemed   30 CAI" in shown
    earnings_cli.redeem(folder, signer=here.signer)
    assert "redeemed 30 CAI" in said(capsys)
    earnings_cli.collect(folder, signer=here.signer)
    assert "collected 27 CAI" in said(capsys)
    earnings_cli.redeem(folder, signer=here.signer)
    earnings_cli.collect(folder, signer=here.signer)
    earnings_cli.report_bounced(folder, signer=here.signer)
    assert said(capsys) == f"nothing to redeem\nnothing to collect for miner 0x{MINER.address.hex()}\n"
    earnings_cli.earnings(folder, options=here.options)
    shown = said(capsys)
    assert "unredeemed   0 CAI" in shown
    assert "collected    30 CAI" in shown
    assert "its deposit  70 CAI" in shown


def test_a_voucher_that_bounces_is_reported_after_the_grace(here, deployment, capsys):
    earn(here, deployment, DEPOSIT_CAI + 40)
    folder = here.folder / "miner"
    earnings_cli.redeem(folder, signer=here.signer)
    assert "redeemed 100 CAI" in (shown := said(capsys))
    assert "owes it 40 CAI" in shown
    earnings_cli.report_bounced(folder, signer=here.signer)
    assert "CAI: the debt can still be paid, until 20" in said(capsys)
    here.do(lambda world: world.chain.pass_time(3600))
    earnings_cli.report_bounced(folder, signer=here.signer)
    assert said(capsys).startswith("reported: coordinator 0x")
    account = here.do(lambda world: world.escrow.account(OTHER_NODE, MINER.address))
    assert account.defaulted
    assert account.compensation_wei > 0
    earnings_cli.collect(folder, signer=here.signer)
    assert "collected 90 CAI" in said(capsys)
    after = here.do(lambda world: world.escrow.account(OTHER_NODE, MINER.address))
    assert after.compensation_wei == 0
