"""How much must be audited so that a false picture does not pay, and how many of them go by meanwhile.

Is: the derivation that `protocol/README.md` has under the dice of audits, in integers.
Is not: the rate itself, which is the network's (`terms`), or a judgement of anybody.

A miner gains g by a false picture and loses S when it is convicted. With p the part that is audited, D the
chance that an audit sees the fault and c that seeing it convicts, cheating loses if p > g / (D c (S + g)).
"""

from __future__ import annotations

from math import comb
from typing import Final

from protocol.audit_draw import AUDITORS_PER_WORK, steps_each
from protocol.terms import PPM

CONVICTED_PPM: Final = 900_000
"""How often a fault that was seen is taken to convict, for explanations: less than always."""


def detection_ppm(steps: int, false_steps: int) -> int:
    """The chance that one of the steps that all auditors of some work open is false, rounded down.

    :param steps: of the work, at least 1.
    :param false_steps: 0 to `steps`, wherever they are.
    """
    opened = min(steps, AUDITORS_PER_WORK * steps_each(steps))
    whole = comb(steps, opened)
    return (whole - comb(steps - false_steps, opened)) * PPM // whole


def deterring_ppm(gain_wei: int, stake_wei: int, detected_ppm: int, convicted_ppm: int) -> int | None:
    """The least rate at which a false picture loses money in the mean; None if there is none up to one.

    :param gain_wei: by one false picture: at most its price.
    :param stake_wei: that is lost by a conviction.
    :param detected_ppm: D. :param convicted_ppm: c.
    """
    stake = detected_ppm * convicted_ppm * (stake_wei + gain_wei)
    if not stake:
        return None if gain_wei else 0
    rate = gain_wei * PPM**3 // stake + 1
    return rate if rate <= PPM else None


def pictures_until_seen(selected_ppm: int, detected_ppm: int) -> int | None:
    """False pictures until an audit sees one, in the mean, rounded up; None if none ever does."""
    seen = selected_ppm * detected_ppm
    return -(-(PPM**2) // seen) if seen else None
