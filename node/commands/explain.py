"""`cuckoo-peer explain`: why a task went as it did, or why a miner had no work, asked of a running node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from node.system.control_client import ask

ADDRESS_HEX_DIGITS = 40
MS_PER_S = 1000


def explain(data_dir: Path, subject: str, /, *, as_json: bool = False) -> None:
    """Tell why a task went as it did, or what is known of a miner: why it had work, or none.

    Of a task: who was drawn, who was passed over and why, what miners said, what was paid, and its audits.
    Of a miner: its stake and offer, the tasks that it was drawn for or passed over in, and what came of them.

    Parameters
    ----------
    data_dir
        Data directory of a running node: of the task's coordinator; for a miner any coordinator or miner.
    subject
        Id of a task, 64 hexadecimal digits, as answers of the API name it; or address of a miner, 40.
    as_json
        Print JSON.
    """
    digits = subject.removeprefix("0x")
    if len(digits) == ADDRESS_HEX_DIGITS:
        document = ask(data_dir, "explain_miner", {"miner": f"0x{digits}"})
        words = miner_in_words(document)
    else:
        document = ask(data_dir, "explain", {"task": subject})
        words = in_words(document)
    print(json.dumps(document, indent=2) if as_json else words)


def in_words(document: dict[str, Any]) -> str:
    """The story of a task, for people."""
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


def miner_in_words(document: dict[str, Any]) -> str:
    """The story of a miner, for people."""
    story, here = document["story"], document["here"] or {}
    weight, total = story["weight_micro_cai"], story["weights_micro_cai"]
    share = f"{weight * 100 / total:.3g} % of the stake" if total else "nobody has stake"
    lines = [
        f"miner     {story['miner']}",
        f"stake     {share} in epoch {story['epoch']}",
        f"offer     of {len(story['models'])} models, until {_time(story['offer_until_ms'])}"
        if story["offer_until_ms"]
        else "offer     none was heard",
        f"tasks     {story['tasks_heard']} heard, drawn for {sum(story['decisions'].values())} of them",
    ]
    lines += [f"          {count} x {words}" for words, count in story["decisions"].items()]
    lines += [f"          {count} x assigned, and {words}" for words, count in story["outcomes"].items()]
    lines += [f"no work   {line}" for line in story["why_no_work"]]
    lines += _here(here)
    for task in story["tasks"]:
        lines.append(
            f"task      {task['task_id']} rank {task['rank']}: {task['decision']}; {task['came_to']}, "
            f"for {task['price_micro_cai']} micro-CAI"
        )
        lines += [f"  audits  {line}" for line in task["audits"]]
    return "\n".join(lines)


def _time(unix_ms: int) -> str:
    """A moment, in UTC."""
    return datetime.fromtimestamp(unix_ms / MS_PER_S, UTC).isoformat(" ", "seconds")


def _here(here: dict[str, Any]) -> Iterator[str]:
    """The node's own knowledge: a coordinator of the miner, or the miner of itself."""
    if "busy" in here:
        failed = f"failed {here['failures']} times since it last delivered"
        yield f"here      works on {here['busy']} tasks, {failed}"
        if here["passed_over_ms"]:
            yield f"here      passed over for {-(-here['passed_over_ms'] // MS_PER_S)} s more"
        if here["promised_wei"] is not None:
            yield f"paid      {here['promised_wei']} wei in all, by vouchers of this coordinator"
    if here.get("paused"):
        yield f"here      paused: {here['paused']}"
    yield from (f"here      not ready: {reason}" for reason in here.get("not_ready", {}).values())
    yield from (
        f"here      {count} x {name.replace('_', ' ')}" for name, count in here.get("counts", {}).items()
    )
