"""How a miner is, as a file in its data directory that a command can show.

Is: one JSON document, written whole every few seconds, and its reading. Is not: metrics or logs.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from node.system.files import write_private
from protocol.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.inference.pool.tickets import PoolStatistics

STATUS_FILE: Final = "miner-status.json"
STALE_MS: Final = 120_000
"""An older file is of a miner that runs no more, or hangs."""
STATUS_BYTES_MAX: Final = 1 << 20


class NoStatus(LocalError):
    """There is no miner's status in the folder."""


def write_status(
    data_dir: Path,
    now_ms: int,
    paused: str,
    image_ms: Mapping[str, int],
    pool: PoolStatistics,
    sections: Mapping[str, Mapping[str, int | str]],
) -> None:
    """Write the file.

    :param sections: whatever else there is to show, such as the queue, temperatures or earnings: headings and
        what stands under each, in this order; amounts of money as text, with their unit.
    :raises OSError: it cannot be written.
    """
    document = {
        "written_at_ms": now_ms,
        "paused": paused,
        "image_ms": dict(image_ms),
        "inference": asdict(pool),
        **{name: dict(values) for name, values in sections.items()},
    }
    write_private(data_dir / STATUS_FILE, json.dumps(document, indent=2).encode() + b"\n")


def read_status(data_dir: Path) -> dict[str, Any]:
    """Read it again. :raises NoStatus: there is none."""
    try:
        with (data_dir / STATUS_FILE).open("rb") as file:
            document = json.loads(file.read(STATUS_BYTES_MAX))
    except (OSError, ValueError) as error:
        raise NoStatus(f"there is no miner's status in {data_dir}") from error
    if not isinstance(document, dict) or not isinstance(document.get("written_at_ms"), int):
        raise NoStatus(f"there is no miner's status in {data_dir}")
    return document


def describe(document: dict[str, Any], now_ms: int) -> list[str]:
    """Lines for people."""
    age_s = max(0, now_ms - document["written_at_ms"]) / 1000
    state = f"paused: {document['paused']}" if document.get("paused") else "working"
    if age_s * 1000 > STALE_MS:
        state = "not running, or stuck"
    lines = [f"{state}, as of {age_s:.0f} s ago"]
    lines += [f"{name}: {milliseconds} ms an image" for name, milliseconds in document["image_ms"].items()]
    for group, values in document.items():
        if isinstance(values, dict) and group != "image_ms":
            shown = ", ".join(f"{name} {value}" for name, value in values.items() if value and value != [])
            lines.append(f"{group}: {shown or 'nothing yet'}")
    return lines
