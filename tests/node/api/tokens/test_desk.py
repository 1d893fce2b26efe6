"""What tokens may do, over the API in process: limits, revoking, and that nobody sees another's things."""

from contextlib import asynccontextmanager

import pytest
import trio

from node.api.tokens import desk
from node.api.tokens.acts import NewToken, NoArgument, RevokedToken, TokenActs
from node.api.tokens.store import TokenRefused
from node.coordinator.outcomes import OrderLost
from node.coordinator.records import FailureKind
from node.coordinator.watching import Watch
from node.system.events import EventBus, TaskPaid
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.hashing import sha256
from tests.node.api.desk import FakeCoordinator, api, client_of, new_token, token_store

PATH = "/v1/images/generations"
TASK = sha256((7).to_bytes(8, "big"))


async def ask(http, key="", **body):
    headers = {"Idempotency-Key": key} if key else {}
    return await http.post(PATH, json={"prompt": "a cat", "seed": 7} | body, headers=headers)


def told(response):
    return response.status_code, response.json()["error"]["code"]


async def used_images(http):
    used = (await http.get("/v1/cuckoo/usage")).json()["used"]
    return used[0]["images"] if used else 0


async def test_a_quota_counts_pictures_that_came_and_says_what_is_left():
    built = api()
    async with client_of(built, new_token(built, images_per_day=3)) as http:
        assert (await ask(http, n=2)).status_code == 200
        refused = await ask(http, n=2, stream=True)
        assert told(refused) == (429, "quota_exceeded")
        assert refused.json()["error"]["message"] == (
            "this token may have 3 pictures a day, and 1 are left today"
        )
        assert refused.headers["x-should-retry"] == "false"
        assert 0 < int(refused.headers["retry-after"]) <= 24 * 60 * 60
        assert (await ask(http, n=1)).status_code == 200
        assert await used_images(http) == 3


async def test_asking_again_under_a_name_counts_once():
    built = api()
    async with client_of(built, new_token(built, images_per_day=1)) as http:
        for _ in range(3):
            assert (await ask(http, key="mine")).status_code == 200
        assert told(await ask(http, key="another")) == (429, "quota_exceeded")
        # It was not counted, so it is no known name either.
        assert told(await ask(http, key="another")) == (429, "quota_exceeded")
        assert await used_images(http) == 1


@pytest.mark.parametrize("key", ["", "mine"])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_comes_to_nothing_is_not_counted(key, stream):
    coordinator = FakeCoordinator(OrderLost(FailureKind.FAILED, "out of memory"))
    built = api(coordinator)
    async with client_of(built, new_token(built, images_per_day=1)) as http:
        for _ in range(2):
            assert told(await ask(http, key=key, stream=stream)) == (502, "task_failed")
        coordinator.outcome = None
        assert (await ask(http, key=key, stream=stream)).status_code == 200
        assert await used_images(http) == 1


async def test_a_rate_says_when_to_ask_again():
    built = api()
    async with client_of(built, new_token(built, requests_per_minute=2)) as http:
        assert [(await ask(http)).status_code for _ in range(2)] == [200, 200]
        refused = await ask(http)
    assert told(refused) == (429, "rate_limit_exceeded")
    assert 0 < int(refused.headers["retry-after-ms"]) <= 30_001


async def test_a_clock_that_is_set_back_shuts_nobody_out(monkeypatch):
    built = api()
    async with client_of(built, new_token(built, requests_per_minute=2)) as http:
        assert (await ask(http)).status_code == 200
        hour_ms, true_ms = 3_600_000, desk.now_ms
        monkeypatch.setattr(desk, "now_ms", lambda: true_ms() - hour_ms)
        assert (await ask(http)).status_code == 200


async def test_only_its_models_are_seen_and_used():
    built = api()
    async with client_of(built, new_token(built, models=("another-model",))) as http:
        assert (await http.get("/v1/models")).json()["data"] == []
        assert told(await http.get("/v1/models/cuckoo-icons")) == (404, "model_not_found")
        assert told(await ask(http)) == (403, "model_not_allowed")
    async with client_of(built, new_token(built, "bob", models=("cuckoo-icons",))) as http:
        assert len((await http.get("/v1/models")).json()["data"]) == 1
        assert (await ask(http)).status_code == 200


async def test_a_price_ceiling_is_the_tokens_and_the_requests_whichever_is_less():
    coordinator = FakeCoordinator()
    built = api(coordinator)
    async with client_of(built, new_token(built, price_max_micro_cai=9_000)) as http:
        await ask(http)
        await ask(http, price_max_micro_cai=8_500)
        await ask(http, n=2, price_max_micro_cai=50_000)
    assert [request.price_max_micro_cai for request in coordinator.placed] == [9_000, 8_500, 9_000, 9_000]
    async with client_of(built, new_token(built, "bob", price_max_micro_cai=100)) as http:
        response = await ask(http)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "price_max_micro_cai")


async def test_spending_of_a_day_has_a_bound_and_is_what_was_paid(nursery):
    built, bus = api(), EventBus()
    nursery.start_soon(built.services.desk.run, bus)
    await trio.testing.wait_all_tasks_blocked()
    async with client_of(built, new_token(built, micro_cai_per_day=25_000)) as http:
        assert (await ask(http, n=2)).status_code == 200  # 10,000 each at most
        bus.publish(TaskPaid(TASK, bytes(20), 18_000 * WEI_PER_MICRO_CAI))
        await trio.testing.wait_all_tasks_blocked()
        refused = await ask(http)
        assert told(refused) == (429, "spending_exceeded")
        assert refused.json()["error"]["message"] == (
            "this token may spend 25000 micro-CAI a day, 7000 are left, this may cost 10000"
        )
        used = (await http.get("/v1/cuckoo/usage")).json()["used"][0]
        assert used["spent_wei"] == str(18_000 * WEI_PER_MICRO_CAI)
    nursery.cancel_scope.cancel()


async def test_attack_nobody_sees_the_task_of_another():
    built = api()
    ann, bob = new_token(built), new_token(built, "bob")
    path = f"/v1/cuckoo/tasks/{TASK.hex()}/output"
    async with client_of(built, ann) as http:
        assert (await ask(http)).status_code == 200
        assert (await http.get(path)).status_code == 200
    async with client_of(built, bob) as http:
        assert told(await http.get(path)) == (404, "task_not_found")
    async with client_of(built) as http:
        assert (await http.get(path)).status_code == 200


async def test_attack_a_name_of_an_order_is_its_tokens_own():
    coordinator = FakeCoordinator()
    built = api(coordinator)
    for token in (new_token(built), new_token(built, "bob")):
        async with client_of(built, token) as http:
            await ask(http, key="mine")
    async with client_of(built) as http:
        await ask(http, key="mine")
    assert len(set(coordinator.keys)) == 3
    assert {key.partition("/")[2] for key in coordinator.keys} == {"mine/0"}


async def test_what_is_seen_of_the_node_is_for_its_operator():
    built = api()
    async with client_of(built, new_token(built)) as http:
        assert told(await http.get("/v1/cuckoo/status")) == (403, "operator_only")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_revoked_token_is_refused_at_once_and_its_work_ends(nursery, stream):
    class Slow(FakeCoordinator):
        @asynccontextmanager
        async def submit(self, request, *, key="", body_hash=b""):
            self.placed.append(request)
            try:
                yield Watch(bytes(32))
            finally:
                self.placed.clear()

    coordinator, answers = Slow(), []
    built = api(coordinator)
    async with client_of(built, new_token(built)) as http:

        async def work():
            answers.append(await ask(http, stream=stream))

        nursery.start_soon(work)
        while not coordinator.placed:
            await trio.lowlevel.checkpoint()
        built.services.tokens.revoke("ann", 1)
        while not answers:
            await trio.lowlevel.checkpoint()
        assert coordinator.placed == []
        assert '"invalid_api_key"' in answers[0].text
        assert answers[0].status_code == (200 if stream else 401)
        assert told(await ask(http)) == (401, "invalid_api_key")


async def test_commands_make_list_and_revoke():
    acts = TokenActs(token_store())
    wish = NewToken("ann", 5, 6, 7, 8, "a, b", 0)
    secret = (await acts.new(wish))["token"]
    assert secret.startswith("ck_")
    (listed,) = await acts.listed(NoArgument())
    assert listed["limits"] == {
        "images_per_day": 5,
        "requests_per_minute": 6,
        "micro_cai_per_day": 7,
        "price_max_micro_cai": 8,
        "models": ["a", "b"],
        "expires_at_ms": None,
    }
    assert secret not in str(listed)
    assert await acts.revoke(RevokedToken("ann")) == {"revoked": "ann"}
    with pytest.raises(TokenRefused, match="a limit is a whole number"):
        await acts.new(NewToken("bob", -1, 0, 0, 0, "", 0))
    with pytest.raises(TokenRefused, match="would have expired already"):
        await acts.new(NewToken("bob", 0, 0, 0, 0, "", 1))
