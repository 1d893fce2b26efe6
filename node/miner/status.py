"""How a miner is, for a command: from the running node, or from the file that it left.

Is: the file, one JSON document that is written whole every few seconds, and its reading for people.
Is not: metrics or logs; nor what there is to see, which is the node's observable.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from node.system.control_client import NodeDown, ask
from node.system.files import write_private
from protocol.errors import LocalError

STATUS_FILE: Final = "miner-status.json"
STALE_MS: Final = 120_000
"""An older file is of a miner that runs no more, or hangs."""
STATUS_BYTES_MAX: Final = 1 << 20
SHOWN: Final = (
    "inference",
    "miner",
    "traces",
    "openings",
    "audits",
    "tasks",
    "models_given",
    "pay",
    "chain",
    "network",
)
"""The parts that people see, in this order. The rest is for machines."""
ELSEWHERE: Final = ("image_ms", "paused")
"""Members that are not shown in their section, since they stand above it."""


class NoStatus(LocalError):
    """There is no miner's status in the folder."""


def write_status(data_dir: Path, now_ms: int, document: Mapping[str, Any]) -> None:
    """Write the file.

    :param document: of the node's observable.
    :raises OSError: it cannot be written.
    """
    content = {"written_at_ms": now_ms, **document}
    write_private(data_dir / STATUS_FILE, json.dumps(content, indent=2).encode() + b"\n")


def read_status(data_dir: Path, now_ms: int) -> dict[str, Any]:
    """The node's own words; if it is down, those that it wrote last.

    :raises NoStatus: neither is there.
    """
    try:
        document = {"written_at_ms": now_ms, **ask(data_dir, "status")}
    except NodeDown:
        document = _read_file(data_dir)
    if not isinstance(document.get("miner"), dict):
        raise NoStatus(f"there is no miner's status in {data_dir}")
    return document


def _read_file(data_dir: Path) -> dict[str, Any]:
    try:
        with (data_dir / STATUS_FILE).open("rb") as file:
            document = json.loads(file.read(STATUS_BYTES_MAX))
    except (OSError, ValueError, RecursionError) as error:
        raise NoStatus(f"there is no miner's status in {data_dir}") from error
    if not isinstance(document, dict) or not isinstance(document.get("written_at_ms"), int):
        raise NoStatus(f"there is no miner's status in {data_dir}")
    return document


def describe(document: dict[str, Any], now_ms: int) -> list[str]:
    """Lines for people."""
    miner = document["miner"]
    age_s = max(0, now_ms - document["written_at_ms"]) / 1000
    state = f"paused: {miner['paused']}" if miner.get("paused") else "working"
    if age_s * 1000 > STALE_MS:
        state = "not running, or stuck"
    lines = [f"{state}, as of {age_s:.0f} s ago"]
    reasons = document.get("readiness", {}).get("reasons", {})
    lines += [f"not ready: {reason}" for reason in reasons.values()]
    lines += [f"{name}: {milliseconds} ms an image" for name, milliseconds in miner["image_ms"].items()]
    for section in SHOWN:
        if isinstance(document.get(section), dict):
            lines += _lines(section.replace("_", " "), document[section])
    return lines


def _lines(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    """One for what stands in a section itself, and one for each section within it."""
    within = {key: value for key, value in values.items() if key not in ELSEWHERE}
    plain = {key: value for key, value in within.items() if value and not isinstance(value, dict | list)}
    yield f"{name}: " + (", ".join(f"{key} {value}" for key, value in plain.items()) or "nothing yet")
    for key, value in within.items():
        if isinstance(value, dict) and value:
            yield from _lines(f"{name}, {key.replace('_', ' ')}", value)
