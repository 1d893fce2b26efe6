"""Many requests, as many under way as a node carries at a time for one app: each gets its own picture."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.market.asking import WHOLE, ask, tell

pytestmark = pytest.mark.process
REQUESTS = 500 if WHOLE else 100
AT_A_TIME = 64


def test_none_of_many_requests_is_lost(market):
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        answers = list(threads.map(lambda seed: ask(market, steps=1, seed=seed), range(REQUESTS)))
    tell(f"{REQUESTS} requests, {AT_A_TIME} at a time: the slowest {max(a.seconds for a in answers):.1f} s")
    assert Counter(answer.status for answer in answers) == {200: REQUESTS}
    assert len({answer.task_id for answer in answers}) == REQUESTS
    with market.client() as client:
        status = client.get("/v1/cuckoo/status").json()
    assert status["coordinator"]["tasks_active"] == status["coordinator"]["orders"] == 0
    assert int(status["pay"]["held_wei"]) == 0
