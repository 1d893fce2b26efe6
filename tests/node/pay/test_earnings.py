"""What a miner believes of vouchers, by the attack that each refusal stops."""

import sqlite3
import stat

import pytest

from node.pay.earnings import (
    COORDINATORS_MAX,
    Account,
    EarningsUnavailable,
    open_earnings,
    read_earnings,
)
from node.pay.vouchers import EscrowDomain
from protocol.errors import InvalidMessage, Refusal, SignatureError
from tests.node.pay.builders import COORDINATOR, DOMAIN, MINER, OTHER_MINER, TASK_ID, signed

OTHER_TASK = b"\x08" * 32


@pytest.fixture
def path(tmp_path):
    return tmp_path / "earnings.sqlite"


@pytest.fixture
def earnings(path):
    with open_earnings(path, MINER.address, DOMAIN) as opened:
        yield opened


def take(earnings, task_wei, cumulative_wei, task_id=TASK_ID, **others):
    earnings.take(COORDINATOR.address, task_id, signed(task_wei, cumulative_wei, **others))


def promised(earnings):
    return earnings.account(COORDINATOR.address).promised_wei


def test_vouchers_rise_and_the_best_is_on_disk(earnings, path):
    for amount in (10, 20, 30):
        take(earnings, amount, amount)
        (account,) = read_earnings(path, MINER.address, DOMAIN)
        assert account.promised_wei == amount
        DOMAIN.verify(account.best.voucher, account.best.signature)
    assert earnings.claimed_wei(TASK_ID) == 30
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_they_survive_a_restart(earnings, path):
    take(earnings, 10, 10)
    with open_earnings(path, MINER.address, DOMAIN) as again:
        assert (promised(again), again.claimed_wei(TASK_ID)) == (10, 10)
        take(again, 15, 15)
        take(again, 5, 20, OTHER_TASK)


def test_what_was_left_unpaid_survives_a_restart(earnings, path):
    """Else a coordinator would have its credit anew whenever the miner starts."""
    earnings.note_unpaid(COORDINATOR.address, 7)
    earnings.note_unpaid(COORDINATOR.address, 5)
    with open_earnings(path, MINER.address, DOMAIN) as again:
        account = again.account(COORDINATOR.address)
        assert (account.unpaid_wei, account.best) == (12, None)
        take(again, 10, 10)
        again.note_unpaid(COORDINATOR.address, 1)
    (account,) = read_earnings(path, MINER.address, DOMAIN)
    assert (account.unpaid_wei, account.promised_wei) == (13, 10)


def test_what_was_left_unpaid_is_known_even_if_the_disk_does_not_take_it(earnings, path):
    with sqlite3.connect(path) as other:
        other.execute("DROP TABLE unpaid")
    with pytest.raises(EarningsUnavailable):
        earnings.note_unpaid(COORDINATOR.address, 7)
    assert earnings.account(COORDINATOR.address).unpaid_wei == 7


def test_what_a_new_coordinator_had_promised_before_is_not_held_against_it(earnings):
    take(earnings, 10, 1_000_010)
    assert promised(earnings) == 1_000_010
    take(earnings, 20, 1_000_020)


def test_vouchers_of_two_tasks_that_overtake_each_other_both_count(earnings):
    take(earnings, 10, 10)
    take(earnings, 10, 30, OTHER_TASK)
    take(earnings, 20, 20)
    assert (promised(earnings), earnings.claimed_wei(TASK_ID)) == (30, 20)


def test_a_voucher_that_was_lost_is_made_good_by_the_next(earnings):
    take(earnings, 10, 10)
    take(earnings, 10, 25, OTHER_TASK)
    assert promised(earnings) == 25


def test_the_same_voucher_again_pays_nothing_and_harms_nobody(earnings):
    for _ in range(3):
        take(earnings, 10, 10)
    assert (promised(earnings), earnings.claimed_wei(TASK_ID)) == (10, 10)


def test_a_replayed_voucher_does_not_pay_another_task(earnings):
    take(earnings, 10, 10)
    with pytest.raises(InvalidMessage, match="worth less"):
        take(earnings, 10, 10, OTHER_TASK)
    assert earnings.claimed_wei(OTHER_TASK) == 0


def test_a_voucher_of_before_the_restart_does_not_pay_again(earnings, path):
    take(earnings, 10, 10)
    with open_earnings(path, MINER.address, DOMAIN) as again, pytest.raises(InvalidMessage):
        take(again, 10, 10, OTHER_TASK)


def test_a_wrong_amount_is_refused(earnings):
    take(earnings, 10, 10)
    with pytest.raises(InvalidMessage, match="worth less"):
        take(earnings, 20, 15)
    with pytest.raises(InvalidMessage, match="worth less"):
        earnings.take(
            OTHER_MINER.address, OTHER_TASK, signed(11, 10, key=OTHER_MINER, coordinator=OTHER_MINER)
        )


def test_a_falling_amount_is_refused_and_the_best_kept(earnings):
    take(earnings, 10, 30)
    with pytest.raises(InvalidMessage, match="less for the task"):
        take(earnings, 5, 35)
    with pytest.raises(InvalidMessage, match="worth less"):
        take(earnings, 20, 25)
    assert promised(earnings) == 30


@pytest.mark.parametrize(
    "others",
    [
        {"key": OTHER_MINER},
        {"miner": OTHER_MINER},
        {"domain": EscrowDomain(1, DOMAIN.escrow)},
        {"domain": EscrowDomain(DOMAIN.chain_id, b"\x01" * 20)},
    ],
    ids=["wrong signature", "another miner's", "foreign chain", "foreign contract"],
)
def test_a_voucher_that_could_not_be_redeemed_is_refused(earnings, others):
    with pytest.raises(SignatureError):
        take(earnings, 10, 10, **others)
    assert promised(earnings) == 0


def test_tasks_are_forgotten_oldest_first(earnings, monkeypatch):
    monkeypatch.setattr("node.pay.earnings.TASKS_MAX", 20)
    for number in range(20 + 3):
        take(earnings, 1, number + 1, number.to_bytes(32, "big"))
    assert earnings.claimed_wei((2).to_bytes(32, "big")) == 0
    assert earnings.claimed_wei((3).to_bytes(32, "big")) == 1


def test_coordinators_beyond_the_limit_are_refused(earnings):
    for number in range(COORDINATORS_MAX):
        earnings._accounts[number.to_bytes(20, "big")] = Account(number.to_bytes(20, "big"))
    with pytest.raises(Refusal):
        take(earnings, 10, 10)


def test_a_full_disk_means_that_nothing_was_paid(earnings):
    take(earnings, 10, 10)
    earnings._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(EarningsUnavailable):
        take(earnings, 20, 20)
    assert promised(earnings) == 10


def test_other_miners_and_contracts_have_vouchers_of_their_own(earnings, path):
    take(earnings, 10, 10)
    assert read_earnings(path, OTHER_MINER.address, DOMAIN) == []
    assert read_earnings(path, MINER.address, EscrowDomain(1, bytes(20))) == []


def test_no_file_and_no_such_file(tmp_path):
    with pytest.raises(EarningsUnavailable, match="not been paid"):
        read_earnings(tmp_path / "nothing", MINER.address, DOMAIN)
    (tmp_path / "garbage").write_bytes(b"somebody's file" * 100)
    with pytest.raises(EarningsUnavailable):
        read_earnings(tmp_path / "garbage", MINER.address, DOMAIN)
    with pytest.raises(EarningsUnavailable), open_earnings(tmp_path / "garbage", MINER.address, DOMAIN):
        pass
    with sqlite3.connect(tmp_path / "empty"):
        pass
    with pytest.raises(EarningsUnavailable):
        read_earnings(tmp_path / "empty", MINER.address, DOMAIN)
