"""The coordinator's ledger: all that it ever promised each miner, on disk before it is signed.

Is: check, record, then sign, in one exclusive transaction of a SQLite file, as the equivocation guard does.
An amount never falls, whatever happens to the process: a voucher that was signed is in the file.
Is not: a limit on what may be promised; that is the `purse`, which knows the deposit.

Called synchronously on purpose, as the guard is: nothing can come between the record and the signature.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.records import PairAccount, Voucher
from node.pay.vouchers import EscrowDomain, HeldVoucher
from node.signing.held_database import hold_database
from node.signing.keys import Key
from protocol.errors import LocalError
from protocol.pay import WEI_BYTES, WEI_MAX

LEDGER_FILE = "ledger.sqlite"
"""In a coordinator's data directory. It moves with the node's key."""

_SCHEMA = f"""
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
    """The ledger's file cannot be opened, or another process holds it."""


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
    """Promises of one coordinator under one escrow contract. Made by `open_ledger`."""

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

    def promise(self, miner: bytes, amount_wei: int) -> HeldVoucher:
        """Promise so much more, and sign the voucher for all that was ever promised.

        :param amount_wei: 0 for the newest voucher again.
        :raises MustNotPromise: the file failed, or the sum is more than the contract can keep.
        """
        known = self._entries.get(miner, Entry())
        total_wei = known.promised_wei + amount_wei
        if amount_wei < 0 or total_wei > WEI_MAX:
            raise MustNotPromise(f"{amount_wei} wei more is no amount of a voucher; nothing was signed")
        self._record(miner, Entry(total_wei, known.paid_wei))
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


@contextmanager
def open_ledger(path: Path, key: Key, domain: EscrowDomain) -> Iterator[Ledger]:
    """The ledger on the file at `path`, held exclusively until the context ends.

    :raises LedgerUnavailable: another process holds it, or it is not a ledger.
    """
    with hold_database(path, _SCHEMA, "the ledger of vouchers", LedgerUnavailable) as connection:
        yield Ledger(connection, key, domain)
