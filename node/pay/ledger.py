"""The coordinator's ledger: all that it ever promised each miner, on disk before it is signed.

Is: check, record, then sign, in one exclusive transaction of a SQLite file, as the equivocation guard does.
An amount never falls, whatever happens to the process: a voucher that was signed is in the file.
Is not: a limit on what may be promised; that is the `purse`, which knows the deposit.

Called synchronously on purpose, as the guard is: nothing can come between the record and the signature.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from contracts.records import PairAccount, Voucher
from node.pay.vouchers import EscrowDomain, HeldVoucher
from node.signing.keys import Key
from protocol.errors import LocalError
from protocol.pay import WEI_BYTES, WEI_MAX

LEDGER_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS promised (
    escrow BLOB NOT NULL, miner BLOB NOT NULL,
    promised BLOB NOT NULL CHECK (length(promised) = {WEI_BYTES}),
    paid BLOB NOT NULL CHECK (length(paid) = {WEI_BYTES}),
    PRIMARY KEY (escrow, miner)
) WITHOUT ROWID;
"""
_WRITE = """
INSERT INTO promised VALUES (?, ?, ?, ?)
ON CONFLICT (escrow, miner) DO UPDATE SET
    promised = max(promised, excluded.promised), paid = max(paid, excluded.paid)
"""


class LedgerUnavailable(LocalError):
    """The ledger cannot be read."""


class MustNotPromise(LocalError):
    """The ledger's file failed, or the amount is not a valid one. Nothing was signed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One miner. :ivar promised_wei: by all vouchers. :ivar paid_wei: of that, as the chain last said."""

    promised_wei: int = 0
    paid_wei: int = 0

    @property
    def outstanding_wei(self) -> int:
        """Wei that vouchers can still draw from the deposit."""
        return max(0, self.promised_wei - self.paid_wei)


class Ledger:
    """Promises of one coordinator under one escrow contract, in the tables of `LEDGER_SCHEMA`."""

    def __init__(self, connection: sqlite3.Connection, key: Key, domain: EscrowDomain) -> None:
        """:raises LedgerUnavailable: the file cannot be read."""
        self._connection = connection
        self._key = key
        self._domain = domain
        try:
            rows = connection.execute(
                "SELECT miner, promised, paid FROM promised WHERE escrow = ?", (domain.escrow,)
            ).fetchall()
        except sqlite3.Error as error:
            raise LedgerUnavailable(f"the ledger cannot be read: {error}") from error
        self._entries = {miner: Entry(_integer(promised), _integer(paid)) for miner, promised, paid in rows}
        self._outstanding_wei = sum(entry.outstanding_wei for entry in self._entries.values())

    @property
    def outstanding_wei(self) -> int:
        """Wei that all vouchers can still draw from the deposit, as far as is known."""
        return self._outstanding_wei

    def entries(self) -> dict[bytes, Entry]:
        """All miners with whom there was something, by address."""
        return dict(self._entries)

    def entry(self, miner: bytes) -> Entry | None:
        """The ledger's entry of one miner."""
        return self._entries.get(miner)

    def promise(self, miner: bytes, total_wei: int) -> HeldVoucher:
        """Promise so much in all, and sign the voucher for it.

        A total that was promised before is signed again in the same words; what is promised never falls.

        :param total_wei: all that this coordinator ever promised the miner, with what is added now.
        :raises MustNotPromise: the file failed, or the sum is more than the contract can keep.
        """
        known = self._entries.get(miner, Entry())
        if not 0 <= total_wei <= WEI_MAX:
            raise MustNotPromise(f"{total_wei} wei is not an amount of a voucher; nothing was signed")
        if total_wei > known.promised_wei or miner not in self._entries:
            self._record(miner, Entry(max(total_wei, known.promised_wei), known.paid_wei))
        voucher = Voucher(coordinator=self._key.address, miner=miner, cumulative_amount_wei=total_wei)
        return HeldVoucher(voucher, self._domain.sign(self._key, voucher))

    def learn(self, miner: bytes, account: PairAccount) -> None:
        """Take what the chain says of a miner. A lost ledger finds back what was redeemed, not more.

        :raises MustNotPromise: the file failed.
        """
        known = self._entries.get(miner, Entry())
        learnt = Entry(max(known.promised_wei, account.promised_wei), max(known.paid_wei, account.paid_wei))
        if learnt != known or miner not in self._entries:
            self._record(miner, learnt)

    def _record(self, miner: bytes, entry: Entry) -> None:
        amounts = [wei.to_bytes(WEI_BYTES, "big") for wei in (entry.promised_wei, entry.paid_wei)]
        try:
            with self._connection:
                self._connection.execute("BEGIN EXCLUSIVE")
                self._connection.execute(_WRITE, (self._domain.escrow, miner, *amounts))
        except sqlite3.Error as error:
            message = f"the ledger of vouchers failed ({error}); nothing was signed"
            raise MustNotPromise(message) from error
        self._outstanding_wei += entry.outstanding_wei - self._entries.get(miner, Entry()).outstanding_wei
        self._entries[miner] = entry


def _integer(amount: bytes) -> int:
    return int.from_bytes(amount, "big")
