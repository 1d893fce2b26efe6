"""`cuckoo-peer model accusations`: how likely an honest miner of a package is ever accused by its outputs.

Is: a package's calibration read, and the bound in words, with what it assumes.
Is not: the bound (`node/inference/audit/false_accusations.py`), or the measuring (`model calibrate`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cyclopts
from cyclopts import Parameter

from protocol.errors import LocalError

if TYPE_CHECKING:
    from node.inference.audit.false_accusations import Blocks

PERCENT_PPM = 10_000
POSITIVE = Parameter(validator=cyclopts.validators.Number(gte=1))
PERCENT = Parameter(validator=cyclopts.validators.Number(gte=0, lte=100))
ASSUMPTIONS = (
    "machines of the network differ as the configurations do that were measured",
    "auditors do not lie, and their memory flips no bit twice alike: each fault has to come out twice",
    "audits need not be independent: their chances are added",
)


def accusations(
    folder: Path | None = None,
    /,
    *,
    image_ms: Annotated[int, POSITIVE] = 1000,
    selected_percent: Annotated[int, PERCENT] = 2,
    buyer_percent: Annotated[int, PERCENT] = 5,
) -> None:
    """Bound the chance that an honest miner is accused of a false output within a year of full work.

    From the largest distances that the package's calibration has measured, by two assumptions of their tail.

    Parameters
    ----------
    folder
        Of a package of class A; default: the first that comes with the node.
    image_ms
        From one picture to the next.
    selected_percent
        Of the work that the dice select; a newcomer has 20.
    buyer_percent
        Of the work that its buyer checks.
    """
    from node.inference.audit.false_accusations import audited_outputs, risk_of  # noqa: PLC0415 - for `--help`
    from node.inference.packages import package  # noqa: PLC0415
    from node.settings import embedded_folders  # noqa: PLC0415

    item = package.load(folder or embedded_folders()[0])
    blocks = blocks_of(item.folder / "calibration.json")
    steps = item.card.default_steps
    outputs = audited_outputs(image_ms, steps, selected_percent * PERCENT_PPM, buyer_percent * PERCENT_PPM)
    lowest, highest = min(blocks.maxima_ppb, default=0), max(blocks.maxima_ppb, default=0)
    print(f"package   {item.name}: false from an excess of {blocks.accuse_ppb} parts per billion on")
    print(f"measured  {len(blocks.maxima_ppb)} maxima of {blocks.outputs} outputs: {lowest} to {highest}")
    print(f"a year    of a picture every {image_ms} ms: {outputs:,} outputs are computed again")
    try:
        for tail, heavy in (("falls exponentially", False), ("is a power law", True)):
            risk = risk_of(blocks, outputs, heavy=heavy)
            print(
                f"accused   if the tail {tail}: {risk.estimate:.1e} in a year, at 95 % below {risk.bound:.1e}"
            )
    except ValueError as error:
        raise LocalError(str(error)) from error
    for line in ASSUMPTIONS:
        print(f"assumed   {line}")


def blocks_of(calibration: Path) -> Blocks:
    """The maxima in the file of a calibration.

    :raises LocalError: it cannot be read, or is of class B, whose distances have another law.
    """
    from node.inference.audit.false_accusations import OUTPUTS_PER_STEP, Blocks  # noqa: PLC0415
    from node.inference.audit.thresholds import CALIBRATION_BYTES_MAX  # noqa: PLC0415

    try:
        with calibration.open("rb") as file:
            document: Any = json.loads(file.read(CALIBRATION_BYTES_MAX))
        if document["precision_class"] != "A":
            raise LocalError("only packages of class A have a threshold that does not hang on the step")
        outputs = OUTPUTS_PER_STEP * int(document["jobs"]) * len(document["timesteps"])
        found = [
            int(one[name])
            for one in document["configurations"]
            for name in ("excess_ppb", "auditor_excess_ppb")
        ]
        return Blocks(tuple(one for one in found if one > 0), outputs, int(document["accuse_ppb"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LocalError(f"{calibration} is not the file of a calibration: {error}") from error
