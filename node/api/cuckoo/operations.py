"""The words of `/openapi.json` about our own routes."""

from __future__ import annotations

from typing import Final

from node.api.described import ANY, TEXT, WHOLE, Operation, answered, asked, listed, optional
from node.api.openai.operations import GENERATION

ERROR: Final = answered(
    error=answered(
        code=TEXT,
        message=TEXT,
        parameter=optional(TEXT),
        retry_after_ms=optional(WHOLE),
        request_id=TEXT,
    )
)
PICTURE_TYPES: Final = ("image/png", "image/webp", "image/jpeg")
OPERATIONS: Final = {
    "GET /v1/cuckoo/tasks/{task_id}": Operation(
        "Receipt of a finished task",
        answered(format=TEXT, task_id=TEXT, readers=answered(prompt=TEXT, picture=TEXT)),
    ),
    "GET /v1/cuckoo/tasks/{task_id}/output": Operation(
        "Its result, as its miner signed it", ANY, answer_types=("image/png",)
    ),
    "GET /v1/cuckoo/tasks/{task_id}/explain": Operation(
        "Why a task went as it did",
        answered(
            task=TEXT,
            outcome=TEXT,
            ranking=listed(answered(rank=WHOLE, miner=TEXT, decision=TEXT)),
            turns=listed(answered(miner=TEXT, came_to=TEXT, paid_wei=TEXT)),
            phases_ms={"type": "object"},
            price_micro_cai=WHOLE,
            paid_wei=TEXT,
            readers=answered(prompt=TEXT, picture=TEXT),
        ),
    ),
    "POST /v1/cuckoo/quote": Operation(
        "Price of what `/v1/images/generations` takes",
        answered(
            images=WHOLE,
            miners=WHOLE,
            cheapest_micro_cai=optional(WHOLE),
            most_micro_cai=optional(WHOLE),
            total_most_micro_cai=optional(WHOLE),
            ceiling_micro_cai=WHOLE,
            size=TEXT,
            steps=WHOLE,
        ),
        asked(GENERATION, ("prompt",)),
    ),
    "GET /v1/cuckoo/status": Operation("All that is to be seen of the node", {"type": "object"}),
    "GET /v1/cuckoo/usage": Operation(
        "The caller's limits, and what it used by day",
        answered(
            name=TEXT,
            limits={"type": "object"},
            used=listed(answered(day=TEXT, requests=WHOLE, images=WHOLE, spent_wei=TEXT)),
        ),
    ),
    "GET /v1/cuckoo/spending": Operation(
        "What all tokens used, by day",
        answered(days=listed(answered(day=TEXT, images=WHOLE, spent_wei=TEXT, tokens=listed(ANY)))),
    ),
    "GET /v1/cuckoo/pictures/{name}": Operation("Picture behind a link", ANY, answer_types=PICTURE_TYPES),
}
