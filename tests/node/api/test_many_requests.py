"""200 requests at once, of several tokens, through the whole API: all are answered, each has its share."""

from collections import Counter
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from node.api.queue import PLACES_MIN
from node.coordinator.outcomes import NoMiner
from tests.node.api.desk import FakeCoordinator, api, client_of, new_token

REQUESTS = 200
SHARE_OFF_MAX = 0.1
"""How far a token may be from its share, as a part of it."""
WORK_S = 0.3
GENERATIONS = "/v1/images/generations"


class Paced(FakeCoordinator):
    """Each order takes a while, as with miners that work side by side. :ivar at_once: most at a time."""

    def __init__(self):
        super().__init__()
        self.under_way = self.at_once = 0

    @asynccontextmanager
    async def submit(self, request, **named):
        self.under_way += 1
        self.at_once = max(self.at_once, self.under_way)
        await trio.sleep(WORK_S)
        self.under_way -= 1
        if request.prompt == "refused":
            raise NoMiner("nobody is here")
        async with super().submit(request, **named) as watch:
            yield watch


@pytest.fixture(autouse=True)
def no_threads(monkeypatch):
    """The clock of a test runs on while a thread works."""

    async def at_once(function, *arguments, **_options):
        await trio.lowlevel.checkpoint()
        return function(*arguments)

    monkeypatch.setattr("trio.to_thread.run_sync", at_once)


async def asked(nursery, shares, prompt="a cat"):
    """All requests at once. :returns: answers with their tokens, in the order in which they came."""
    coordinator, answers = Paced(), []
    built = api(coordinator)
    nursery.start_soon(built.run)

    async def ask(http, token, seed):
        response = await http.post(GENERATIONS, json={"prompt": prompt, "seed": seed})
        answers.append((token, response))

    async with trio.open_nursery() as asking:
        for token, count in shares.items():
            http = client_of(built, new_token(built, token))
            for number in range(count):
                asking.start_soon(ask, http, token, len(shares) * 1000 + number)
    nursery.cancel_scope.cancel()
    return coordinator, answers


async def test_200_at_once_are_answered_and_no_token_is_10_percent_off_its_share(nursery, autojump_clock):
    tokens = {f"t{number}": REQUESTS // 5 for number in range(5)}
    coordinator, answers = await asked(nursery, tokens)
    assert Counter(response.status_code for _, response in answers) == {200: REQUESTS}
    assert coordinator.at_once == PLACES_MIN
    # The first places were free: whoever came first had them, and nobody waited.
    for part in (REQUESTS // 2, REQUESTS * 3 // 4):
        made = Counter(token for token, _ in answers[PLACES_MIN : PLACES_MIN + part])
        share = part / len(tokens)
        assert all(abs(made[token] - share) <= SHARE_OFF_MAX * share for token in tokens), made


async def test_attack_whoever_asks_ten_times_as_much_has_no_more_than_its_share(nursery, autojump_clock):
    modest = {f"t{number}": 15 for number in range(4)}
    _, answers = await asked(nursery, {"greedy": REQUESTS - 60} | modest)
    assert Counter(response.status_code for _, response in answers) == {200: REQUESTS}
    last = max(index for index, (token, _) in enumerate(answers) if token in modest)
    made = Counter(token for token, _ in answers[: last + 1])
    # One by turns, besides those that were under way before anybody else had asked, and with the last.
    assert made["greedy"] <= 15 * (1 + SHARE_OFF_MAX) + 2 * (PLACES_MIN - 1), made


@pytest.mark.parametrize("prompt", ["refused", " "])
async def test_of_200_that_come_to_nothing_none_is_answered_by_silence(nursery, autojump_clock, prompt):
    _, answers = await asked(nursery, {"ann": REQUESTS // 2, "bob": REQUESTS // 2}, prompt)
    codes = Counter((response.status_code, response.json()["error"]["code"]) for _, response in answers)
    assert codes == {(503, "no_miner_available") if prompt == "refused" else (400, "invalid_value"): REQUESTS}
