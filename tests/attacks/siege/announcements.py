"""(e) A registered coordinator announces 64 tasks and gives nobody anything to do: others do not feel it."""

from __future__ import annotations

from functools import partial

import trio

from node.signing.keys import open_keystore, read_password
from node.system.lifetime import KEY_FILE
from tests.attacks.siege.nodes import HOSTILE
from tests.attacks.siege.table import Row, at_most
from tests.market.asking import ask, undisturbed_s
from tests.market.conftest import RunningMarket
from tests.market.test_bad_peers import stranger_in
from tests.market.test_hostile_coordinator import HOUR_MS, announcements

ATTACK = "64 announcements"
LIVES_MS = {"an hour": HOUR_MS, "two minutes": 120_000}
LATER_S_MAX = 2.0
SLOWER_MAX = 3
"""A machine that others use may be busier during the one measurement than during the other."""


def attack(market: RunningMarket, requests: int) -> list[Row]:
    """:param requests: made during the attack."""
    before_s = undisturbed_s(market, steps=2)
    return [trio.run(_one, market, name, requests, before_s) for name in LIVES_MS]


async def _one(market: RunningMarket, name: str, requests: int, before_s: float) -> Row:
    with market.client() as client:
        listed = client.get("/v1/models").json()["data"]
    model_id = bytes.fromhex(next(one["cuckoo"]["model_id"] for one in listed))
    key = open_keystore(market.data_dir(HOSTILE[0]) / KEY_FILE, read_password(market.folder / "password"))
    async with stranger_in(market, key) as stranger:
        for _, envelope in announcements(stranger, model_id, LIVES_MS[name]):
            await stranger.gossip.publish(stranger.topic, envelope)
        answers = [await trio.to_thread.run_sync(partial(ask, market, steps=2)) for _ in range(requests)]
    slowest_s = max(answer.seconds for answer in answers)
    row = at_most(
        ATTACK,
        f"slowest answer, tasks of {name}",
        before_s,
        slowest_s,
        SLOWER_MAX * before_s + LATER_S_MAX,
        "s",
    )
    served = all(answer.status == 200 for answer in answers)
    return row if served else Row(ATTACK, row.figure, row.before, "not served", row.goal, holds=False)
