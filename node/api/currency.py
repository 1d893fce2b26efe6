"""Prices beside those in CAI, in a currency of the operator's choice, by a rate from a file of theirs.

Is: the file, read again when it changes, and sums by it. A JSON object such as
`{"currency": "EUR", "per_cai": "0.25"}`. Is not: a source of rates; no URL is asked.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from protocol.errors import LocalError

FILE_BYTES_MAX: Final = 4096
RATE_MAX: Final = Decimal(10) ** 12
MICRO: Final = Decimal(10) ** 6
DIGITS: Final = Decimal("0.000001")
"""To which a price is rounded, up."""
_CURRENCY: Final = re.compile(r"[A-Za-z][A-Za-z0-9 ._-]{0,15}")


class BadRate(LocalError):
    """The file of the rate cannot be used."""


@dataclass(frozen=True, slots=True)
class CurrencyStatus:
    """:ivar currency: empty without a rate. :ivar problem: why the file is not used; empty if it is."""

    currency: str
    per_cai: str
    problem: str


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate. :ivar per_cai: of the currency for a CAI."""

    currency: str
    per_cai: Decimal

    def of_micro_cai(self, micro_cai: int) -> dict[str, str]:
        """A price for JSON, as text, since it is a decimal number."""
        amount = (self.per_cai * micro_cai / MICRO).quantize(DIGITS, "ROUND_UP")
        return {"currency": self.currency, "amount": f"{amount:f}"}


class Currency:
    """The operator's currency, if they named a file."""

    def __init__(self, path: Path | None) -> None:
        """:raises BadRate: the file cannot be used; later, the last that could stays."""
        self._path = path
        self._rate: Rate | None = None
        self._seen = (0, 0)
        self._problem = ""
        if path is not None:
            self._rate = read_rate(path)
            self._seen = _state_of(path)

    def price(self, micro_cai: int | None) -> dict[str, str] | None:
        """A price in the currency; None without one."""
        rate = self._look()
        return None if rate is None or micro_cai is None else rate.of_micro_cai(micro_cai)

    def status(self) -> CurrencyStatus:
        """How it is; see `CurrencyStatus`."""
        rate = self._look()
        if rate is None:
            return CurrencyStatus("", "", self._problem)
        return CurrencyStatus(rate.currency, f"{rate.per_cai:f}", self._problem)

    def _look(self) -> Rate | None:
        if self._path is None:
            return None
        state = _state_of(self._path)
        if state != self._seen:
            self._seen, self._problem = state, ""
            try:
                self._rate = read_rate(self._path)
            except BadRate as error:
                self._problem = str(error)
        return self._rate


def read_rate(path: Path) -> Rate:
    """The rate in a file. :raises BadRate: there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        document = json.loads(data) if len(data) <= FILE_BYTES_MAX else None
    except (OSError, ValueError, RecursionError) as error:
        raise BadRate(f"the rate in {path} cannot be read: {error}") from error
    match document:
        case {"currency": str(currency), "per_cai": str(text)} if _CURRENCY.fullmatch(currency):
            try:
                per_cai = Decimal(text)
            except InvalidOperation:
                per_cai = Decimal("NaN")
            if per_cai.is_finite() and 0 < per_cai <= RATE_MAX:
                return Rate(currency, per_cai)
    raise BadRate(f'the rate in {path} is not of the form {{"currency": "EUR", "per_cai": "0.25"}}')


def _state_of(path: Path) -> tuple[int, int]:
    """The marks of a file that change when it does; zeros if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino
