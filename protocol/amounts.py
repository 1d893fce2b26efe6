"""Money: its units, and how amounts are written for people and read from them.

Is: whole wei in, whole wei out; nothing is ever rounded or a fraction of a wei.
Is not: how much something costs or may cost.
"""

from __future__ import annotations

import re
from typing import Final

from protocol.errors import LocalError

CAI_DECIMALS: Final = 18
WEI_PER_CAI: Final = 10**CAI_DECIMALS
WEI_PER_MICRO_CAI: Final = 10**12
"""Prices and weights are in micro-CAI."""
AMOUNT_WEI_MAX: Final = 2**256 - 1
"""The greatest number of a contract."""
AMOUNT_TEXT_MAX: Final = 120
"""Characters of an amount: the greatest one, with marks between thousands, has 97."""
_AMOUNT: Final = re.compile(
    r"(?P<whole>[0-9]+(?:_[0-9]+)*|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.(?P<part>[0-9]{1,18}))?(?: ?CAI)?"
)


def parse_cai(text: str) -> int:
    """Wei of an amount in CAI as people type it: ``20000``, ``20_000.5``, or as `format_cai` writes it.

    A comma is a mark between thousands and nothing else: ``0,5`` and ``1,5`` are refused instead of being
    read as 5 and 15.

    :raises LocalError: not an amount above zero, finer than a wei, or more than a contract can hold.
    """
    found = _AMOUNT.fullmatch(text) if len(text) <= AMOUNT_TEXT_MAX else None
    if found is not None:
        whole = int(found["whole"].replace("_", "").replace(",", ""))
        wei = whole * WEI_PER_CAI + int((found["part"] or "").ljust(CAI_DECIMALS, "0"))
        if 0 < wei <= AMOUNT_WEI_MAX:
            return wei
    shown = text if len(text) <= AMOUNT_TEXT_MAX else text[:AMOUNT_TEXT_MAX] + "…"
    raise LocalError(
        f"{shown!r} is not an amount of CAI above zero, with at most {CAI_DECIMALS} decimals after a point"
    )


def format_cai(wei: int) -> str:
    """An amount in CAI for people, exact: ``25,000.5 CAI``. :param wei: below zero it has a minus sign."""
    whole, part = divmod(abs(wei), WEI_PER_CAI)
    decimals = f"{part:0{CAI_DECIMALS}d}".rstrip("0")
    return f"{'-' if wei < 0 else ''}{whole:,}{'.' if decimals else ''}{decimals} CAI"
