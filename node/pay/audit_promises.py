"""Promises to auditors: each verdict is paid once, whatever happens to the process.

Is: a table beside the ledger in which a verdict stands before its voucher is signed.
Is not: what a verdict earns (`protocol/audit_pay.py`), or whether it has earned it.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from node.pay.ledger import MustNotPromise

if TYPE_CHECKING:
    from node.pay.purse import Purse
    from protocol.pay import SignedVoucher

PAID_MAX: Final = 16_384
"""Verdicts that are remembered as paid, the newest; a verdict counts for an hour."""
AUDIT_PAY_SCHEMA = """
CREATE TABLE IF NOT EXISTS audits_paid (
    number INTEGER PRIMARY KEY AUTOINCREMENT, auditor BLOB NOT NULL, slot BLOB NOT NULL,
    UNIQUE (auditor, slot)
);
"""


class AuditPromises:
    """Those of one coordinator, in the tables of `AUDIT_PAY_SCHEMA`."""

    def __init__(self, connection: sqlite3.Connection, purse: Purse) -> None:
        self._connection, self._purse = connection, purse

    def was_paid(self, auditor: bytes, slot: bytes) -> bool:
        """Whether the pay for a verdict was promised. :raises MustNotPromise: the file fails."""
        query = "SELECT 1 FROM audits_paid WHERE auditor = ? AND slot = ?"
        try:
            return self._connection.execute(query, (auditor, slot)).fetchone() is not None
        except sqlite3.Error as error:
            raise MustNotPromise(f"the table of paid audits failed ({error}); nothing was signed") from error

    def promise(self, auditor: bytes, slot: bytes, fee_wei: int) -> SignedVoucher | None:
        """Promise an auditor the pay for a verdict, unless it was promised before: then None. Synchronous.

        Its account has to be known (`Purse.knows`). A crash between record and signature leaves
        a verdict unpaid, never one that is paid twice.

        :param slot: of the verdict, 32 bytes.
        :raises DepositUsedUp: so much is not free; it may be asked for again.
        :raises MustNotPromise: the file failed; nothing was signed.
        """
        self._purse.require(fee_wei)
        try:
            with self._connection:
                self._connection.execute("BEGIN EXCLUSIVE")
                done = self._connection.execute(
                    "INSERT OR IGNORE INTO audits_paid (auditor, slot) VALUES (?, ?)", (auditor, slot)
                )
                is_new = bool(done.rowcount)
                self._connection.execute(
                    "DELETE FROM audits_paid WHERE number <= (SELECT max(number) FROM audits_paid) - ?",
                    (PAID_MAX,),
                )
        except sqlite3.Error as error:
            raise MustNotPromise(f"the table of paid audits failed ({error}); nothing was signed") from error
        if not is_new:
            return None
        self._purse.hold(fee_wei)
        try:
            return self._purse.promise(auditor, self._purse.total_after(auditor, fee_wei), fee_wei, fee_wei)
        except MustNotPromise:
            self._purse.release(fee_wei)
            raise
