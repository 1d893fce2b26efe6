"""From what distance on work is called false: a package's thresholds, as its calibration measured them.

Is: the strict reading of `calibration.json`, and what holds without one. Is not: the measuring
(`calibration`).

Packages are anybody's. One whose thresholds would let eight-bit weights pass, or half of a network in half
precision, is refused by whoever would work for it or audit it, whatever its packager wrote.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from node.inference.audit.sketch import APART_MAX, SketchRule
from node.inference.packages.errors import PackageError

if TYPE_CHECKING:
    from node.inference.packages.package import ModelPackage

CALIBRATION_NAME: Final = "calibration.json"
CALIBRATION_FORMAT: Final = "cuckoo-calibration/2"
CALIBRATION_BYTES_MAX: Final = 1 << 20
ACCUSE_PPB_MIN: Final = 10_000
"""Excess to accuse from, in thousand millionths: five times what honest processors were seen with."""
ACCUSE_PPB_MAX: Final = 100_000
"""Beyond it a threshold would let half of a network in half precision pass."""
HONEST_PARTS: Final = 5
"""The largest honest excess is at most so small a part of what accuses."""
CONVICT_MEAN_PARTS: Final = 5
"""Class A: what the mean of all opened outputs convicts above, times what accuses."""
CONVICT_SINGLE_PARTS: Final = 10
"""Likewise of one of them."""
MEAN_RATIO: Final = 0.75
"""Class B: mean of the outputs' distances by their tolerances. Honest ones are at most half a tolerance."""
CONVICT_MEAN_RATIO: Final = 2.0
CONVICT_SINGLE_RATIO: Final = 4.0
"""Class B: as above, in tolerances."""
PPB: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The scores from which on a miner is accused and convicted.

    A score is the excess of an output in class A, and in class B its distance by its step's tolerance.

    :ivar by_tolerance: whether scores are those of class B.
    :ivar accuse_single: of one output.
    :ivar accuse_mean: of all opened ones.
    :ivar convict_single: of one output.
    :ivar convict_mean: of all opened ones.
    :ivar sketch: how sketches are compared.
    """

    by_tolerance: bool
    accuse_single: float
    accuse_mean: float
    convict_single: float
    convict_mean: float
    sketch: SketchRule

    def accuses(self, worst: float, mean: float) -> bool:
        """Whether these scores are more than honest machines differ by; what is no number is."""
        return not (worst <= self.accuse_single and mean <= self.accuse_mean)

    def convicts(self, worst: float, mean: float) -> bool:
        """Whether they are so much more that no careless setting of a machine explains them."""
        return not (worst <= self.convict_single and mean <= self.convict_mean)


def class_a(accuse_ppb: int = ACCUSE_PPB_MIN, apart: int = 1) -> Thresholds:
    """Those of single precision."""
    accuse = accuse_ppb / PPB
    return Thresholds(
        by_tolerance=False,
        accuse_single=accuse,
        accuse_mean=accuse,
        convict_single=CONVICT_SINGLE_PARTS * accuse_ppb / PPB,
        convict_mean=CONVICT_MEAN_PARTS * accuse_ppb / PPB,
        sketch=SketchRule(apart, circular=False),
    )


def class_b(apart: int = 1) -> Thresholds:
    """Those of half precision, whose tolerances stand in the table of steps."""
    return Thresholds(
        by_tolerance=True,
        accuse_single=1.0,
        accuse_mean=MEAN_RATIO,
        convict_single=CONVICT_SINGLE_RATIO,
        convict_mean=CONVICT_MEAN_RATIO,
        sketch=SketchRule(apart, circular=True),
    )


def thresholds_of(package: ModelPackage) -> Thresholds:
    """The package's; without a calibration the narrowest that there are.

    :raises PackageError: its calibration is malformed, or of thresholds by which no audit could tell a cheat.
    """
    in_b = package.card.precision_class == "B"
    if CALIBRATION_NAME not in package.files:
        return class_b() if in_b else class_a()
    try:
        with (package.folder / CALIBRATION_NAME).open("rb") as file:
            data = file.read(CALIBRATION_BYTES_MAX + 1)
        if len(data) > CALIBRATION_BYTES_MAX:
            raise ValueError("too long")  # noqa: TRY301 - every fault of the file ends alike
        document = json.loads(data)
        accuse_ppb, apart = _read(document, package.card.precision_class)
    except OSError as error:
        raise PackageError(f"{CALIBRATION_NAME} cannot be read", CALIBRATION_NAME) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PackageError(f"{CALIBRATION_NAME} is malformed", CALIBRATION_NAME) from error
    return class_b(apart) if in_b else class_a(accuse_ppb, apart)


def _read(document: Any, precision_class: str) -> tuple[int, int]:
    """Excess that accuses, and bins apart. :raises PackageError: no audit could go by them."""
    if document["format"] != CALIBRATION_FORMAT or document["precision_class"] != precision_class:
        raise ValueError("of another format or class")
    apart = _whole(document["sketch_bins_apart"])
    if apart > APART_MAX:
        raise PackageError("the package's honest auditors differ by too much for sketches", CALIBRATION_NAME)
    accuse, honest = PPB, 0
    if precision_class == "A":
        accuse, honest = _whole(document["accuse_ppb"]), _whole(document["honest_excess_ppb"])
    cheats = [_whole(cheat["least_score_ppb"]) for cheat in document["cheats"]]
    require_telling(precision_class, accuse, honest, cheats)
    return accuse, apart


def require_telling(precision_class: str, accuse_ppb: int, honest_ppb: int, cheats_ppb: list[int]) -> None:
    """Look whether a threshold tells honest work from cheats.

    :param cheats_ppb: of each the least score; in class B, where the threshold is 1, its mean over the steps.
    :raises PackageError: by this threshold honest work would be accused, or a cheat not.
    """
    if precision_class == "A" and not ACCUSE_PPB_MIN <= accuse_ppb <= ACCUSE_PPB_MAX:
        raise PackageError("the package's threshold is out of bounds", CALIBRATION_NAME)
    if HONEST_PARTS * honest_ppb > accuse_ppb:
        raise PackageError("the package's honest work is too near to its threshold", CALIBRATION_NAME)
    if not cheats_ppb or min(cheats_ppb) <= accuse_ppb:
        raise PackageError("the package's threshold lets cheats pass", CALIBRATION_NAME)


def _whole(value: Any) -> int:
    """:raises ValueError: no whole number, or a negative one."""
    if type(value) is not int or value < 0:
        raise ValueError("not a whole number")
    return value
