"""What the tests of pay share: keys, a chain's answers without a chain, and a coordinator's voucher."""

from contextlib import contextmanager

from contracts.errors import ChainUnreachable, ContractReverted
from contracts.records import Deposit, PairAccount, Voucher
from node.pay.ledger import LEDGER_SCHEMA, Ledger, LedgerUnavailable
from node.pay.vouchers import EscrowDomain
from node.signing.held_database import hold_database
from node.signing.keys import Key
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.pay import SignedVoucher

COORDINATOR, MINER, OTHER_MINER = (Key.of(bytes([number]) * 32) for number in (1, 2, 3))
DOMAIN = EscrowDomain(31337, b"\xe5" * 20)
PRICE_WEI = 10_000 * WEI_PER_MICRO_CAI
TASK_ID = b"\x07" * 32


def signed(task_wei, cumulative_wei, *, key=COORDINATOR, coordinator=COORDINATOR, miner=MINER, domain=DOMAIN):
    """A voucher of `coordinator` for `miner`, signed by `key`."""
    voucher = Voucher(
        coordinator=coordinator.address, miner=miner.address, cumulative_amount_wei=cumulative_wei
    )
    return SignedVoucher.of(task_wei, cumulative_wei, domain.sign(key, voucher))


UNREACHABLE = ChainUnreachable("nowhere", "nobody is there")
REVERTED_WITHOUT_DATA = ContractReverted("unknown", {}, b"")
"""What some clients' failures look like that are no contract's word: an error whose data are ``0x``."""


class FakeEscrow:
    """The chain's word on a deposit, and an account for each pair. :ivar failure: raised instead, if any."""

    def __init__(self, balance_wei=0):
        self.balance_wei, self.leaving_wei = balance_wei, 0
        self.accounts = {}
        self.failure = None
        self.asked = []

    def pay(self, miner, amount_wei):
        """Redeem so much."""
        before = self.accounts.get(miner, account(0, 0))
        self.accounts[miner] = account(before.promised_wei + amount_wei, before.paid_wei + amount_wei)
        self.balance_wei -= amount_wei

    async def deposit_of(self, coordinator):
        self._answer(coordinator)
        return Deposit(
            balance_wei=self.balance_wei,
            leaving_wei=self.leaving_wei,
            withdrawable_from_s=0,
            withdrawable_until_s=0,
        )

    async def account(self, coordinator, miner):
        self._answer(miner)
        return self.accounts.get(miner, account(0, 0))

    def _answer(self, address):
        if self.failure is not None:
            raise self.failure
        self.asked.append(address)


def account(promised_wei, paid_wei):
    return PairAccount(
        promised_wei=promised_wei,
        paid_wei=paid_wei,
        collected_wei=0,
        compensation_wei=0,
        bounced_at_s=0,
        defaulted=False,
    )


@contextmanager
def open_ledger(path, key=COORDINATOR, domain=DOMAIN):
    """A ledger on a file of its own."""
    with hold_database(path, LEDGER_SCHEMA, "the ledger of vouchers", LedgerUnavailable) as connection:
        yield Ledger(connection, key, domain)


def promise_more(ledger, miner, amount_wei):
    """Promise a miner so much more than before."""
    entry = ledger.entry(miner)
    return ledger.promise(miner, amount_wei + (0 if entry is None else entry.promised_wei))
