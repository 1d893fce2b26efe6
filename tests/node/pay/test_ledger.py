"""Laws of the ledger: an amount that was signed is on disk and never falls, whatever happens."""

import signal
import stat
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.pay.ledger import LedgerUnavailable, MustNotPromise
from node.pay.vouchers import EscrowDomain
from protocol.pay import WEI_MAX
from tests.limits import CHILD_TIMEOUT_S
from tests.node.pay.builders import (
    COORDINATOR,
    DOMAIN,
    MINER,
    OTHER_MINER,
    account,
    open_ledger,
    promise_more,
)
from tests.protocol.strategies import lawful


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


def opened(path, key=COORDINATOR, domain=DOMAIN):
    return open_ledger(path, key, domain)


def test_vouchers_are_signed_by_the_key_and_add_up(path):
    with opened(path) as ledger:
        for amount, total in ((5, 5), (0, 5), (7, 12)):
            held = promise_more(ledger, MINER.address, amount)
            assert held.amount_wei == total
            DOMAIN.verify(held.voucher, held.signature)
        assert promise_more(ledger, OTHER_MINER.address, 1).amount_wei == 1
        assert ledger.outstanding_wei == 13


def test_a_total_that_was_promised_is_signed_again_and_takes_nothing(path):
    with opened(path) as ledger:
        first = ledger.promise(MINER.address, 5)
        later = ledger.promise(MINER.address, 9)
        assert ledger.promise(MINER.address, 5) == first
        assert ledger.promise(MINER.address, 9) == later
        assert ledger.outstanding_wei == 9


def test_amounts_survive_a_restart_and_the_same_voucher_is_signed_again(path):
    with opened(path) as ledger:
        first = promise_more(ledger, MINER.address, 2**80)
    with opened(path) as ledger:
        assert ledger.outstanding_wei == 2**80
        assert promise_more(ledger, MINER.address, 0) == first


def test_each_escrow_has_promises_of_its_own(path):
    with opened(path) as ledger:
        promise_more(ledger, MINER.address, 5)
    with opened(path, domain=EscrowDomain(1, b"\x01" * 20)) as ledger:
        assert ledger.outstanding_wei == 0
        assert promise_more(ledger, MINER.address, 1).amount_wei == 1
    with opened(path) as ledger:
        assert ledger.outstanding_wei == 5


def test_what_the_chain_has_paid_is_not_outstanding(path):
    with opened(path) as ledger:
        promise_more(ledger, MINER.address, 10)
        ledger.learn(MINER.address, account(8, 8))
        assert ledger.outstanding_wei == 2
        # An older answer takes nothing back.
        ledger.learn(MINER.address, account(3, 3))
        assert ledger.outstanding_wei == 2
    with opened(path) as ledger:
        assert ledger.outstanding_wei == 2


def test_a_lost_ledger_finds_back_what_was_redeemed(path):
    with opened(path) as ledger:
        ledger.learn(MINER.address, account(100, 60))
        assert ledger.outstanding_wei == 40
        assert promise_more(ledger, MINER.address, 1).amount_wei == 101


@pytest.mark.parametrize("amount", [-1, WEI_MAX + 1])
def test_impossible_amounts_are_not_signed(path, amount):
    with opened(path) as ledger, pytest.raises(MustNotPromise):
        promise_more(ledger, MINER.address, amount)


def test_a_sum_that_the_contract_cannot_keep_is_not_signed(path):
    with opened(path) as ledger:
        promise_more(ledger, MINER.address, WEI_MAX)
        with pytest.raises(MustNotPromise):
            promise_more(ledger, MINER.address, 1)
        assert ledger.outstanding_wei == WEI_MAX


def test_io_error_means_do_not_sign(path):
    with opened(path) as ledger:
        promise_more(ledger, MINER.address, 5)
        ledger._connection.execute("PRAGMA query_only = ON")
        with pytest.raises(MustNotPromise):
            promise_more(ledger, MINER.address, 1)
        assert ledger.outstanding_wei == 5


def test_file_that_is_no_ledger_is_refused_and_kept(path):
    path.write_bytes(b"not a database, but somebody's file" * 100)
    with pytest.raises(LedgerUnavailable), opened(path):
        pass
    assert path.read_bytes().startswith(b"not a database")


def test_second_holder_is_refused_and_the_file_is_for_its_owner_alone(path):
    with opened(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(LedgerUnavailable), opened(path):
            pass


@settings(lawful, max_examples=20)
@given(
    st.lists(st.tuples(st.sampled_from([MINER, OTHER_MINER]), st.integers(0, 10), st.booleans()), max_size=6)
)
def test_outstanding_is_promised_less_paid_whatever_happens(tmp_path_factory, events):
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    promised, paid = dict.fromkeys((MINER.address, OTHER_MINER.address), 0), {}
    with opened(path) as ledger:
        for miner, amount, redeemed in events:
            promised[miner.address] += amount
            assert promise_more(ledger, miner.address, amount).amount_wei == promised[miner.address]
            if redeemed:
                paid[miner.address] = promised[miner.address]
                ledger.learn(miner.address, account(paid[miner.address], paid[miner.address]))
        assert ledger.outstanding_wei == sum(promised.values()) - sum(paid.values())
    with opened(path) as ledger:
        assert ledger.outstanding_wei == sum(promised.values()) - sum(paid.values())


PROMISE = """
import sys
from pathlib import Path
from tests.node.pay.builders import COORDINATOR, DOMAIN, MINER, open_ledger, promise_more
with open_ledger(Path(sys.argv[1]), COORDINATOR, DOMAIN) as ledger:
    while True:
        print(promise_more(ledger, MINER.address, 3).amount_wei, flush=True)
"""


@pytest.mark.process
def test_what_was_signed_before_a_kill_is_known_after_it(path):
    signed = 0
    for _ in range(2):
        child = subprocess.Popen([sys.executable, "-c", PROMISE, path], stdout=subprocess.PIPE, text=True)
        for _ in range(20):
            amount = int(child.stdout.readline())
            assert amount > signed
            signed = amount
        child.send_signal(signal.SIGKILL)
        signed = max([signed, *map(int, child.stdout.read().split())])
        child.wait(CHILD_TIMEOUT_S)
        child.stdout.close()
    with opened(path) as ledger:
        assert ledger.entry(MINER.address).promised_wei >= signed
        assert promise_more(ledger, MINER.address, 0).amount_wei in {signed, signed + 3}
