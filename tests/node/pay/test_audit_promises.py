"""A verdict is paid once: also after a restart, with nothing free, and with a file that fails."""

import sqlite3

import pytest

from node.pay import audit_promises
from node.pay.audit_promises import AUDIT_PAY_SCHEMA, AuditPromises
from node.pay.earnings import open_earnings
from node.pay.ledger import LEDGER_SCHEMA, Ledger, MustNotPromise
from node.pay.purse import DepositUsedUp, Purse
from protocol.audit import verdict_slot
from tests.node.pay.builders import COORDINATOR, DOMAIN, MINER, OTHER_MINER, FakeEscrow

AUDITOR = OTHER_MINER.address
SLOT, OTHER_SLOT = (verdict_slot(bytes([number]) * 32, MINER.address) for number in (1, 2))


@pytest.fixture
def opened(tmp_path):
    """Opens the promises of a coordinator with a deposit of 100 wei, again and again."""

    async def open_(balance_wei=100):
        connection = sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)
        connection.executescript(LEDGER_SCHEMA + AUDIT_PAY_SCHEMA)
        purse = Purse(Ledger(connection, COORDINATOR, DOMAIN), FakeEscrow(balance_wei), COORDINATOR.address)
        await purse.refresh()
        await purse.load_account(AUDITOR)
        return AuditPromises(connection, purse), purse, connection

    return open_


async def test_what_a_coordinator_promises_an_auditor_takes(opened, tmp_path):
    promises, purse, _ = await opened()
    with open_earnings(tmp_path / "earnings.sqlite", AUDITOR, DOMAIN) as earnings:
        for slot, fee_wei in ((SLOT, 30), (OTHER_SLOT, 20)):
            earnings.take(COORDINATOR.address, slot, promises.promise(AUDITOR, slot, fee_wei))
        assert earnings.account(COORDINATOR.address).promised_wei == 50
        assert earnings.claimed_wei(OTHER_SLOT) == 20
    assert purse.free_wei == 50


async def test_a_verdict_that_is_heard_again_is_not_paid_again_even_after_a_restart(opened):
    promises, purse, connection = await opened()
    assert not promises.was_paid(AUDITOR, SLOT)
    assert promises.promise(AUDITOR, SLOT, 30) is not None
    assert promises.was_paid(AUDITOR, SLOT)
    assert promises.promise(AUDITOR, SLOT, 30) is None
    connection.close()
    promises, purse, _ = await opened()
    assert promises.promise(AUDITOR, SLOT, 30) is None
    assert promises.promise(MINER.address, OTHER_SLOT, 0) is not None
    assert purse.free_wei == 70


async def test_what_is_not_free_is_not_promised_and_may_be_later(opened):
    promises, purse, _ = await opened(balance_wei=29)
    with pytest.raises(DepositUsedUp):
        promises.promise(AUDITOR, SLOT, 30)
    assert promises.promise(AUDITOR, SLOT, 29).task_wei == 29
    assert purse.free_wei == 0


async def test_a_file_that_fails_promises_nothing(opened):
    promises, purse, connection = await opened()
    connection.execute("DROP TABLE audits_paid")
    with pytest.raises(MustNotPromise, match="nothing was signed"):
        promises.promise(AUDITOR, SLOT, 30)
    with pytest.raises(MustNotPromise, match="nothing was signed"):
        promises.was_paid(AUDITOR, SLOT)
    assert (purse.free_wei, purse.total_after(AUDITOR, 0)) == (100, 0)


async def test_no_more_verdicts_are_remembered_than_the_bound(opened, monkeypatch):
    monkeypatch.setattr(audit_promises, "PAID_MAX", 2)
    promises, _, connection = await opened()
    for number in range(5):
        promises.promise(AUDITOR, bytes([number]) * 32, 1)
    assert connection.execute("SELECT count(*) FROM audits_paid").fetchone() == (2,)
