"""`cuckoo-peer explain`: why a task went as it did, asked of the coordinator that runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from node.system.control_client import ask


def explain(data_dir: Path, task: str, /, *, as_json: bool = False) -> None:
    """Tell who was drawn for a task, who was passed over and why, what miners said, and what was paid.

    Parameters
    ----------
    data_dir
        Data directory of the coordinator.
    task
        Id of the task, 64 hexadecimal digits, as answers of the API name it.
    as_json
        Print JSON.
    """
    document = ask(data_dir, "explain", {"task": task})
    print(json.dumps(document, indent=2) if as_json else in_words(document))


def in_words(document: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"task      {document['task']}", f"outcome   {document['outcome']}"]
    others = [other for other in document["tasks_of_the_order"] if other != document["task"]]
    lines += [f"drawn     also as {other}" for other in others]
    lines += [
        f"rank {place['rank']:<4} {place['miner']} {place['decision']}" for place in document["ranking"]
    ]
    lines += [
        f"turn      {turn['miner']} {turn['came_to']}, paid {turn['paid_wei']} wei"
        for turn in document["turns"]
    ]
    lines += [f"{name.replace('_', ' '):<15}{value} ms" for name, value in document["phases_ms"].items()]
    lines.append(f"price     {document['price_micro_cai']} micro-CAI, paid {document['paid_wei']} wei")
    lines += [f"audits    {line}" for line in document["audits"]]
    lines += [f"{what} can be read by: {who}" for what, who in document["readers"].items()]
    return "\n".join(lines)
