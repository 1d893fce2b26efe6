"""Promises of coordinators to a miner: the best voucher of each, on disk, and what they still owe.

Is: the checks of a voucher, and an SQLite file that one node writes and commands may read meanwhile.
Is not: the chain; what of it is redeemed stands in the escrow contract.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.records import Voucher
from node.pay.vouchers import EscrowDomain, HeldVoucher
from node.system.files import OWNER_ONLY, OWNER_ONLY_FOLDER
from protocol.errors import InvalidMessage, LocalError, Refusal
from protocol.pay import WEI_BYTES, WEI_MAX, SignedVoucher

EARNINGS_FILE = "earnings.sqlite"
"""In a miner's data directory."""
COORDINATORS_MAX = 4_096
"""Coordinators whose vouchers are kept; each has staked two million CAI to be one."""
TASKS_MAX = 1_024
"""Tasks of which it is known what vouchers have paid for them; one that is started again counts on."""
READ_TIMEOUT_S = 5.0
"""How long a command waits for the node to finish a write, and the other way round."""

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS vouchers (
    escrow BLOB NOT NULL, miner BLOB NOT NULL, coordinator BLOB NOT NULL,
    promised BLOB NOT NULL CHECK (length(promised) = {WEI_BYTES}), signature BLOB NOT NULL,
    PRIMARY KEY (escrow, miner, coordinator)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unpaid (
    escrow BLOB NOT NULL, miner BLOB NOT NULL, coordinator BLOB NOT NULL,
    amount BLOB NOT NULL CHECK (length(amount) = {WEI_BYTES}),
    PRIMARY KEY (escrow, miner, coordinator)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tasks (
    number INTEGER PRIMARY KEY AUTOINCREMENT, task BLOB NOT NULL UNIQUE,
    claimed BLOB NOT NULL CHECK (length(claimed) = {WEI_BYTES})
);
"""
_READ = "SELECT coordinator, promised, signature FROM vouchers WHERE escrow = ? AND miner = ?"
_READ_UNPAID = "SELECT coordinator, amount FROM unpaid WHERE escrow = ? AND miner = ?"


class EarningsUnavailable(LocalError):
    """The file of vouchers cannot be read or written."""


@dataclass(slots=True)
class Account:
    """One coordinator.

    :ivar best: its voucher for the most; None before the first.
    :ivar unpaid_wei: owed for steps that were shown in tasks that are over. Nobody asks for it again; it
        counts when the coordinator wants more.
    :ivar spare_wei: of `best`, what no task has claimed: of vouchers that were lost on their way.
    """

    coordinator: bytes
    best: HeldVoucher | None = None
    unpaid_wei: int = 0
    spare_wei: int = 0

    @property
    def promised_wei(self) -> int:
        """All that it has promised."""
        return 0 if self.best is None else self.best.amount_wei


class Earnings:
    """The vouchers of one miner. Made by `open_earnings`.

    :ivar miner: its address.
    """

    def __init__(self, connection: sqlite3.Connection, miner: bytes, domain: EscrowDomain) -> None:
        self._connection = connection
        self.miner = miner
        self._domain = domain
        self._accounts = _read(connection, miner, domain)

    def accounts(self) -> list[Account]:
        """All coordinators from whom there is something."""
        return list(self._accounts.values())

    def account(self, coordinator: bytes) -> Account:
        """The earnings from one coordinator.

        :raises Refusal: it is a new one, and there are too many.
        """
        known = self._accounts.get(coordinator)
        if known is None:
            if len(self._accounts) >= COORDINATORS_MAX:
                raise Refusal("this miner keeps vouchers of as many coordinators as it can")
            known = self._accounts[coordinator] = Account(coordinator)
        return known

    def claimed_wei(self, task_id: bytes) -> int:
        """The amount that vouchers have paid for a task, as far as it is remembered; also before a restart.

        :raises EarningsUnavailable: the file fails.
        """
        try:
            row = self._connection.execute("SELECT claimed FROM tasks WHERE task = ?", (task_id,)).fetchone()
        except sqlite3.Error as error:
            raise EarningsUnavailable(f"the file of vouchers cannot be read: {error}") from error
        return 0 if row is None else int.from_bytes(row[0], "big")

    def take(self, coordinator: bytes, task_id: bytes, signed: SignedVoucher) -> None:
        """Check a voucher that pays for a task, and keep it if it is worth more than the best.

        Amounts only rise, so that of two vouchers which overtake each other both count, and a replayed one
        pays nothing.

        :raises SignatureError: it is not signed by the coordinator for this miner, contract and chain.
        :raises InvalidMessage: it pays less for the task than the one before, or says that it pays more than
            its amount is worth.
        :raises EarningsUnavailable: it cannot be kept.
        """
        voucher = Voucher(
            coordinator=coordinator, miner=self.miner, cumulative_amount_wei=signed.cumulative_wei
        )
        self._domain.verify(voucher, signed.signature)
        account = self.account(coordinator)
        claim_wei = signed.task_wei - self.claimed_wei(task_id)
        if claim_wei < 0:
            raise InvalidMessage("voucher pays less for the task than the one before")
        # Of a coordinator that is new here, what it had promised before this task is not known.
        known_wei = account.promised_wei if account.best else max(0, signed.cumulative_wei - signed.task_wei)
        gain_wei = max(0, signed.cumulative_wei - known_wei)
        if claim_wei > account.spare_wei + gain_wei:
            raise InvalidMessage("voucher is worth less than it says that it pays")
        best = account.best
        if best is None or gain_wei:
            best = HeldVoucher(voucher, signed.signature)
        self._keep(best, task_id, signed.task_amount)
        account.best = best
        account.spare_wei += gain_wei - claim_wei

    def note_unpaid(self, coordinator: bytes, amount_wei: int) -> None:
        """Remember what a task that is over has left unpaid; also if it cannot be kept on disk.

        :raises EarningsUnavailable: it cannot.
        """
        account = self.account(coordinator)
        account.unpaid_wei += amount_wei
        amount = min(account.unpaid_wei, WEI_MAX).to_bytes(WEI_BYTES, "big")
        row = (self._domain.escrow, self.miner, coordinator, amount)
        try:
            self._connection.execute("INSERT OR REPLACE INTO unpaid VALUES (?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            raise EarningsUnavailable(f"what was left unpaid cannot be kept: {error}") from error

    def _keep(self, held: HeldVoucher, task_id: bytes, claimed: bytes) -> None:
        amount = held.amount_wei.to_bytes(WEI_BYTES, "big")
        row = (self._domain.escrow, self.miner, held.voucher.coordinator, amount, held.signature)
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.execute("INSERT OR REPLACE INTO vouchers VALUES (?, ?, ?, ?, ?)", row)
                self._connection.execute(
                    "INSERT INTO tasks (task, claimed) VALUES (?, ?) "
                    "ON CONFLICT (task) DO UPDATE SET claimed = excluded.claimed",
                    (task_id, claimed),
                )
                self._connection.execute(
                    "DELETE FROM tasks WHERE number <= (SELECT max(number) FROM tasks) - ?", (TASKS_MAX,)
                )
        except sqlite3.Error as error:
            raise EarningsUnavailable(f"a voucher cannot be kept: {error}") from error


def _read(connection: sqlite3.Connection, miner: bytes, domain: EscrowDomain) -> dict[bytes, Account]:
    try:
        rows = connection.execute(_READ, (domain.escrow, miner)).fetchall()
        unpaid = connection.execute(_READ_UNPAID, (domain.escrow, miner)).fetchall()
    except sqlite3.Error as error:
        raise EarningsUnavailable(f"the file of vouchers cannot be read: {error}") from error
    accounts = {}
    for coordinator, promised, signature in rows:
        amount_wei = int.from_bytes(promised, "big")
        voucher = Voucher(coordinator=coordinator, miner=miner, cumulative_amount_wei=amount_wei)
        accounts[coordinator] = Account(coordinator, HeldVoucher(voucher, signature))
    for coordinator, amount in unpaid:
        account = accounts.setdefault(coordinator, Account(coordinator))
        account.unpaid_wei = int.from_bytes(amount, "big")
    return accounts


@contextmanager
def open_earnings(path: Path, miner: bytes, domain: EscrowDomain) -> Iterator[Earnings]:
    """The vouchers in the file at `path`, to be written by one node, until the context ends.

    :raises EarningsUnavailable: it is no such file.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_FOLDER)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
        connection = sqlite3.connect(path, timeout=READ_TIMEOUT_S, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise EarningsUnavailable(f"the vouchers at {path} do not open: {error}") from error
    try:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise EarningsUnavailable(f"the vouchers at {path} do not open: {error}") from error
        yield Earnings(connection, miner, domain)
    finally:
        connection.close()


def read_earnings(path: Path, miner: bytes, domain: EscrowDomain) -> list[Account]:
    """The vouchers in the file at `path`, whether a node writes it at the moment or not.

    :raises EarningsUnavailable: there is no such file.
    """
    if not path.exists():
        raise EarningsUnavailable(f"there are no vouchers at {path}: the miner has not been paid yet")
    try:
        connection = sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True, timeout=READ_TIMEOUT_S)
    except sqlite3.Error as error:
        raise EarningsUnavailable(f"the vouchers at {path} do not open: {error}") from error
    try:
        return list(_read(connection, miner, domain).values())
    finally:
        connection.close()
