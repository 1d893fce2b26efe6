"""`cuckoo-peer audit`: check one delivered task's work by hand, asked of the coordinator that runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from node.system.control_client import ask

ANSWER_TIMEOUT_S = 310.0
"""Longer than the node takes at most."""


def audit(data_dir: Path, task: str, /, *, as_json: bool = False) -> None:
    """Have a coordinator ask the miner of one of its tasks to open some steps, and check them.

    Which steps, nobody knows before. The miner keeps its work some minutes past the task's deadline, or some
    hours where it was asked for or drawn. Work that is false has its miner passed over; a fault that the
    contract decides is told to everybody.

    Parameters
    ----------
    data_dir
        Data directory of the running coordinator, with the model and the extra `miner` on its machine.
    task
        Id of a delivered task, 64 hexadecimal digits, as answers of the API name it.
    as_json
        Print JSON.
    """
    document = ask(data_dir, "audit", {"task": task}, timeout_s=ANSWER_TIMEOUT_S)
    print(json.dumps(document, indent=2) if as_json else in_words(document))


def in_words(document: dict[str, Any]) -> str:
    """The same for people."""
    lines = [
        f"task      {document['task_id']}",
        f"miner     {document['miner']}",
        f"finding   {document['finding'].replace('_', ' ')}",
        f"          {document['words']}",
    ]
    if document["worst_excess_ppb"]:
        lines.append(f"distance  {document['worst_excess_ppb']} parts per billion at most")
    if document["accused"]:
        lines.append("accused   the evidence is in the folder `evidence`, and with all peers")
    return "\n".join(lines)
