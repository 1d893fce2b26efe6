"""AI Horde's dialect in process: a request's life, its limits, and that no URL is ever called."""

import base64
import gc
import io
from contextlib import asynccontextmanager

import pytest
import trio
from PIL import Image

from node.api.horde import board as board_module
from node.api.horde.payload import PARAMS_REFUSED, REFUSED, WITHOUT_EFFECT, seed_of
from node.api.jobs import Job
from node.api.picture_formats import PictureFormat
from node.api.tokens.store import TokenStore, TokensUnavailable
from node.api.webhooks import Hook, Webhooks
from node.coordinator.outcomes import Announced, NoMiner, Progress
from node.coordinator.requests import SEED_MAX
from tests.node.api.desk import FakeCoordinator, Watched, api, client_of, new_token, picture
from tests.node.api.horde.recorded import PAYLOAD

ASYNC, CHECK, STATUS = "/api/v2/generate/async", "/api/v2/generate/check/", "/api/v2/generate/status/"


@pytest.fixture
async def serve(nursery):
    """An API that runs, and a client of it with a key."""

    @asynccontextmanager
    async def opened(coordinator=None, *, built=None, key="secret-token", **options):
        built = built or api(coordinator, **options)
        nursery.start_soon(built.run)
        await trio.testing.wait_all_tasks_blocked()
        async with client_of(built, token="") as http:
            http.headers["apikey"] = key
            http.built = built
            yield http

    yield opened
    nursery.cancel_scope.cancel()


async def finished(http, entry_id):
    http.headers.pop("apikey", None)  # clients send none here
    while not (checked := (await http.get(CHECK + entry_id)).json())["done"] and not checked["faulted"]:
        await trio.lowlevel.checkpoint()
    return (await http.get(STATUS + entry_id)).json()


async def test_what_silly_tavern_sends(serve):
    coordinator = FakeCoordinator()
    async with serve(coordinator) as http:
        taken = await http.post(ASYNC, json=PAYLOAD)
        document = taken.json()
        whole = await finished(http, document["id"])
    assert (taken.status_code, document["kudos"]) == (202, 10_000)
    said = {item["message"].partition(" ")[0] for item in document["warnings"]}
    assert said == {"nsfw", "trusted_workers", "params.sampler_name", "params.karras", "params.clip_skip"}
    (generation,) = whole["generations"]
    assert Image.open(io.BytesIO(base64.b64decode(generation["img"]))).format == "WEBP"
    assert (generation["seed"], generation["model"]) == ("7", "cuckoo-icons")
    (request,) = coordinator.placed
    assert (request.prompt, request.negative_prompt, request.width) == ("a red apple", "blurry", 32)


async def test_links_several_pictures_and_an_image_to_start_from(serve):
    source = base64.b64encode(picture(50, 40)).decode()
    coordinator = FakeCoordinator()
    async with serve(coordinator, public_url="https://node.example") as http:
        body = {"prompt": "a cat", "params": {"n": 3, "seed": "cat"}, "source_image": source}
        whole = await finished(http, (await http.post(ASYNC, json=body)).json()["id"])
        urls = [item["img"] for item in whole["generations"]]
        shown = await http.get(urls[0].removeprefix("https://node.example"))
    assert len(set(urls)) == 3
    assert shown.headers["content-type"] == "image/webp"
    assert all(request.source for request in coordinator.placed)


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"prompt": ""}, "prompt"),
        ({"params": []}, "params"),
        ({"params": {"steps": 1000}}, "params.steps"),
        ({"params": {"seed": 7}}, "params.seed"),
        ({"params": {"n": 11}}, "params.n"),
        ({"params": {"width": 512, "height": 512}}, "params.width"),
        ({"params": {"loras": [{"name": "x"}]}}, "params.loras"),
        ({"params": {"hires_fix": True}}, "params.hires_fix"),
        ({"params": {"nonsense": True}}, "params.nonsense"),
        ({"nonsense": True}, "nonsense"),
        ({"models": "cuckoo-icons"}, "models"),
        ({"models": ["x"] * 65}, "models"),
        ({"source_processing": "inpainting"}, "source_processing"),
        ({"source_image": "!!!"}, "source_image"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(serve, body, parameter):
    async with serve() as http:
        response = await http.post(ASYNC, json={"prompt": "a cat"} | body)
    assert (response.status_code, list(response.json()["errors"])) == (400, [parameter])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("webhook", "http://127.0.0.1:1/"),
        ("webhook", "https://evil.example/"),
        ("webhook", "https://hooks.example@evil.example/"),
        ("source_image", "http://127.0.0.1:1/"),
        ("source_image", "HTTPS://evil.example/cat.png"),
        ("extra_source_images", [{"image": "http://127.0.0.1:1/"}]),
        ("source_mask", "http://127.0.0.1:1/"),
    ],
)
async def test_attack_no_request_makes_the_node_call_a_url(serve, field, value):
    coordinator = FakeCoordinator()
    async with serve(coordinator) as http:
        response = await http.post(ASYNC, json={"prompt": "a cat", field: value})
    assert (response.status_code, list(response.json()["errors"])) == (400, [field])
    assert coordinator.placed == []


async def test_a_listed_webhook_hears_of_each_picture_when_all_are_made(serve, monkeypatch):
    told = []

    def lookup(host, port):
        return ["93.184.216.34"]

    async def tell(self, hook, make, token_id):
        document = make()
        whole = (await http.get(STATUS + document["request"])).json()
        told.append((hook, document, whole["done"]))
        return True

    monkeypatch.setattr(Webhooks, "tell", tell)
    built = api(webhooks=frozenset({("hooks.example", 443)}))
    monkeypatch.setattr(built.services.webhooks, "_lookup", lookup)
    body = {"prompt": "a cat", "params": {"n": 2, "seed": "7"}, "webhook": "https://hooks.example/a?b=c"}
    async with serve(built=built) as http:
        refused = await http.post(ASYNC, json=body | {"webhook": "https://evil.example/"})
        dry = await http.post(ASYNC, json=body | {"dry_run": True, "webhook": "https://evil.example/"})
        document = (await http.post(ASYNC, json=body)).json()
        whole = await finished(http, document["id"])
        await trio.testing.wait_all_tasks_blocked()
    reason = "webhook: the node's operator has not listed evil.example:443; ask for the status instead"
    assert (refused.status_code, refused.json()["errors"]) == (400, {"webhook": reason})
    assert dry.json() == {"kudos": 20_000}
    hook = Hook("hooks.example", 443, "/a?b=c", "93.184.216.34")
    further = {"request": document["id"], "kudos": 20_000}
    assert told == [(hook, item | further, True) for item in whole["generations"]]


async def test_attack_calls_that_wait_keep_no_picture_beyond_the_bound(serve, monkeypatch):
    """Calls of a slow host wait; what was sent and made goes all the same. Then there is nothing to tell."""
    turn, told = trio.Event(), []

    async def tell(self, hook, make, token_id):
        await turn.wait()
        told.append(make())

    monkeypatch.setattr(Webhooks, "tell", tell)
    built = api(webhooks=frozenset({("hooks.example", 443)}))
    monkeypatch.setattr(built.services.webhooks, "_lookup", lambda host, port: ["93.184.216.34"])
    async with serve(built=built) as http:
        body = {"prompt": "a cat", "params": {"n": 2}, "webhook": "https://hooks.example/"}
        gc.collect()
        # By their types: some object of a library answers a question for its class with a warning.
        before = {id(item) for item in gc.get_objects() if type(item) in {Job, board_module.Made}}
        entry_id = (await http.post(ASYNC, json=body)).json()["id"]
        assert len((await finished(http, entry_id))["generations"]) == 2
        await trio.testing.wait_all_tasks_blocked()
        monkeypatch.setattr(board_module, "RESULT_BYTES_MAX", 0)
        assert (await http.get(CHECK + entry_id)).status_code == 404
        gc.collect()
        kept = [item for item in gc.get_objects() if type(item) in {Job, board_module.Made}]
        assert [item for item in kept if id(item) not in before] == []
        turn.set()
        await trio.testing.wait_all_tasks_blocked()
    assert told == [None, None]


async def test_attack_a_webhook_that_breaks_ends_nothing(serve, monkeypatch):
    def lookup(host, port):
        return ["93.184.216.34"]

    async def tell(self, hook, make, token_id):
        raise RuntimeError("by our fault")

    monkeypatch.setattr(Webhooks, "tell", tell)
    built = api(webhooks=frozenset({("hooks.example", 443)}))
    monkeypatch.setattr(built.services.webhooks, "_lookup", lookup)
    async with serve(built=built) as http:
        body = {"prompt": "a cat", "webhook": "https://hooks.example/"}
        whole = await finished(http, (await http.post(ASYNC, json=body)).json()["id"])
        await trio.testing.wait_all_tasks_blocked()
        assert len(whole["generations"]) == 1
        assert built.services.context.observable.snapshot()["horde"].failed == 1
        http.headers["apikey"] = "secret-token"
        assert (await http.post(ASYNC, json={"prompt": "a cat"})).status_code == 202


async def test_fields_of_stock_clients_at_their_defaults_are_taken(serve):
    nothing = dict.fromkeys({*REFUSED, "webhook"}, "") | dict.fromkeys(WITHOUT_EFFECT)
    async with serve() as http:
        body = {"prompt": "a cat", "params": dict.fromkeys(PARAMS_REFUSED, 0)} | nothing
        assert (await http.post(ASYNC, json=body)).status_code == 202
        unknown = await http.post(ASYNC, json={"prompt": "a cat", "models": ["x", "y"]})
    assert (unknown.status_code, unknown.json()["rc"]) == (404, "ModelNotFound")


async def test_a_downgrade_is_taken_where_it_is_allowed(serve):
    coordinator = FakeCoordinator()
    body = {"prompt": "a cat", "params": {"width": 512, "height": 512, "steps": 500}, "allow_downgrade": True}
    async with serve(coordinator) as http:
        document = (await http.post(ASYNC, json=body)).json()
    assert "params.steps: the model makes 100 at most" in document["message"]
    assert (coordinator.placed[0].width, coordinator.placed[0].steps) == (64, 100)


async def test_a_dry_run_says_the_price_alone(serve):
    coordinator = FakeCoordinator()
    async with serve(coordinator) as http:
        response = await http.post(ASYNC, json={"prompt": "a cat", "params": {"n": 2}, "dry_run": True})
    assert response.json() == {"kudos": 20_000}
    assert coordinator.placed == []


async def test_attack_dry_runs_are_taken_from_the_rate(serve):
    built, asked = api(), {"prompt": "a cat", "dry_run": True}
    async with serve(built=built, key=new_token(built, requests_per_minute=2)) as http:
        assert [(await http.post(ASYNC, json=asked)).status_code for _ in range(3)] == [200, 200, 429]


async def test_who_may_ask(serve):
    built = api()
    async with serve(built=built, key="0000000000") as http:
        refused = await http.post(ASYNC, json={"prompt": "a cat"})
        assert (refused.status_code, refused.json()["rc"]) == (401, "InvalidAPIKey")
        new_token(built, "anonymous", images_per_day=1)
        assert (await http.post(ASYNC, json={"prompt": "a cat"})).status_code == 202
        beyond = await http.post(ASYNC, json={"prompt": "a cat"})
        assert (beyond.status_code, beyond.json()["rc"]) == (429, "TooManyPrompts")
        assert (await http.get("/v1/models")).status_code == 401  # elsewhere it is no key
        http.headers["apikey"] = new_token(built)
        assert (await http.get("/api/v2/find_user")).json()["username"] == "ann"
        for path in ("status/models", "status/models/cuckoo-icons", "status/performance", "workers"):
            assert (await http.get(f"/api/v2/{path}")).status_code == 200
        assert (await http.get("/api/v2/status/models/nothing")).status_code == 404
        assert (await http.get("/api/v2/status/models?type=text")).json() == []
        assert (await http.get("/api/v2/status/heartbeat")).json()["message"] == "OK"


async def test_progress_is_told_and_a_request_can_be_ended(serve):
    coordinator = Watched()
    async with serve(coordinator) as http:
        entry_id = (await http.post(ASYNC, json={"prompt": "a cat", "params": {"n": 2}})).json()["id"]
        coordinator.watches[0].tell(Progress(bytes(20), 5, 20))
        await trio.testing.wait_all_tasks_blocked()
        checked = (await http.get(CHECK + entry_id)).json()
        assert [checked[name] for name in ("finished", "processing", "waiting", "done")] == [0, 1, 1, False]
        ended = (await http.delete(STATUS + entry_id)).json()
        assert (ended["done"], ended["generations"], coordinator.left) == (True, [], 2)


async def test_a_revoked_tokens_requests_end(serve):
    coordinator = Watched()
    built = api(coordinator)
    async with serve(built=built, key=new_token(built)) as http:
        entry_id = (await http.post(ASYNC, json={"prompt": "a cat"})).json()["id"]
        built.services.tokens.revoke("ann", 1)
        assert (await finished(http, entry_id))["generations"] == []
    assert coordinator.left == 1


async def test_what_is_refused_at_once_is_an_error(serve):
    async with serve(FakeCoordinator(NoMiner("nobody is here"))) as http:
        refused = await http.post(ASYNC, json={"prompt": "a cat"})
    assert (refused.status_code, refused.json()["rc"]) == (503, "NoValidWorkers")


def board_of(http):
    return http.built.services.context.observable.document()["horde"]


async def test_requests_are_bounded_by_token_and_forgotten_in_time(serve, monkeypatch):
    monkeypatch.setattr(board_module, "ENTRIES_OF_TOKEN_MAX", 2)
    monkeypatch.setattr(board_module, "KEPT_MS", 0)
    async with serve(Watched()) as http:
        ids = [(await http.post(ASYNC, json={"prompt": "a cat"})).json()["id"] for _ in range(2)]
        assert (await http.post(ASYNC, json={"prompt": "a cat"})).status_code == 429
        assert board_of(http)["refused"] == 1
        await http.delete(STATUS + ids[0])
        assert (await http.get(CHECK + ids[0])).status_code == 404
        assert (await http.get(CHECK + ids[1])).status_code == 200
        assert (await http.get(CHECK + "nonsense")).status_code == 404


async def test_results_are_bounded_in_bytes(serve, monkeypatch):
    monkeypatch.setattr(board_module, "RESULT_BYTES_MAX", 1)
    async with serve() as http:
        await http.post(ASYNC, json={"prompt": "a cat"})
        while not board_of(http)["dropped"]:
            await trio.lowlevel.checkpoint()
        assert (board_of(http)["under_way"], board_of(http)["kept"]) == (0, 0)


async def made_by(http, key, count):
    """Ids of requests that a token made, one after another."""
    ids = []
    for _ in range(count):
        http.headers["apikey"] = key
        ids.append((await http.post(ASYNC, json={"prompt": "a cat", "r2": False})).json()["id"])
        await finished(http, ids[-1])
    return ids


@pytest.mark.parametrize("bound", ["FINISHED_MAX", "RESULT_BYTES_MAX"])
async def test_attack_one_token_drops_its_own_results_and_nobody_elses(serve, monkeypatch, bound):
    built = api()
    ann, bob = new_token(built), new_token(built, "bob")
    async with serve(built=built, key=bob) as http:
        (kept,) = await made_by(http, bob, 1)
        if bound == "FINISHED_MAX":
            monkeypatch.setattr(board_module, bound, 3)
        else:
            # Pictures of one size: a real one's goes with its colour, and that with its seed.
            monkeypatch.setattr(board_module, "_size_of", lambda entry: len(entry.made))
            monkeypatch.setattr(board_module, bound, 3)
        many = await made_by(http, ann, 6)
        found = [(await http.get(CHECK + entry_id)).status_code for entry_id in [kept, *many]]
    assert found == [200, 404, 404, 404, 404, 200, 200]
    assert board_of(http)["dropped"] == 4


async def test_attack_a_finished_request_is_kept_while_as_many_as_may_be_are_under_way(serve, monkeypatch):
    monkeypatch.setattr(board_module, "UNDER_WAY_MAX", 2)
    coordinator = Watched()
    async with serve(coordinator) as http:
        ids = [(await http.post(ASYNC, json={"prompt": "a cat"})).json()["id"] for _ in range(2)]
        assert (await http.post(ASYNC, json={"prompt": "a cat"})).status_code == 429
        await http.delete(STATUS + ids[0])
        assert (await http.post(ASYNC, json={"prompt": "a cat"})).status_code == 202
        assert (await http.get(STATUS + ids[0])).json()["done"]


class Failing:
    """A stand-in for one step of a request. :ivar calls: so far."""

    def __init__(self, error):
        self.error, self.calls = error, 0

    def __call__(self, *arguments):
        self.calls += 1
        raise self.error


@pytest.mark.parametrize("error", [MemoryError(), ValueError("a bug")])
async def test_attack_a_picture_that_cannot_be_encoded_ends_its_request_alone(serve, monkeypatch, error):
    async with serve() as http:
        with monkeypatch.context() as patched:
            patched.setattr(PictureFormat, "_encode", Failing(error))
            failed = await finished(http, (await http.post(ASYNC, json=PAYLOAD)).json()["id"])
        http.headers["apikey"] = "secret-token"
        whole = await finished(http, (await http.post(ASYNC, json=PAYLOAD)).json()["id"])
        assert (board_of(http)["failed"], board_of(http)["kept"]) == (1, 2)
    assert (failed["faulted"], failed["done"], failed["generations"]) == (True, False, [])
    assert failed["message"] == "the node failed; its log says why"
    assert whole["done"]


async def test_attack_a_full_disk_under_the_tokens_ends_one_request_alone(serve, monkeypatch):
    coordinator = Watched()
    async with serve(coordinator) as http:
        entry_id = (await http.post(ASYNC, json={"prompt": "a cat"})).json()["id"]
        with monkeypatch.context() as patched:
            patched.setattr(TokenStore, "own", Failing(TokensUnavailable("the disk is full")))
            coordinator.watches[0].tell(Announced(bytes(32), (bytes(20),)))
            whole = await finished(http, entry_id)
            http.headers["apikey"] = "secret-token"
        assert whole["message"] == "the node failed; its log says why"
        assert (await http.post(ASYNC, json={"prompt": "a cat"})).status_code == 202


async def test_a_failure_before_the_orders_were_taken_is_the_answer(serve):
    async with serve(FakeCoordinator(TokensUnavailable("the disk is full"))) as http:
        failed = await http.post(ASYNC, json={"prompt": "a cat"})
        assert (failed.status_code, failed.json()["rc"]) == (500, "InternalError")
        assert board_of(http)["under_way"] == 0


def test_seeds_are_numbers_or_any_text():
    assert [seed_of(text) for text in ("0", "7", str(SEED_MAX))] == [0, 7, SEED_MAX]
    assert 0 <= seed_of(str(SEED_MAX + 1)) < 1 << 32
    assert seed_of("cat") == seed_of("cat") != seed_of("dog")
