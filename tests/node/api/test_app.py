"""The gate and the answers that need no market: in process, through the application's own interface."""

from dataclasses import dataclass

import httpx2
import pytest

from node.api.app import Api, load_token
from node.coordinator.coordinator import KeyConflict
from node.coordinator.drawing import NotReady
from node.coordinator.outcomes import Busy, NoMiner, OrderLost
from node.coordinator.records import FailureKind
from node.pay.purse import DepositUsedUp
from node.system.files import UnsafeFile
from node.system.observable import Observable
from node.system.readiness import Readiness
from protocol.errors import LocalError
from tests.node.builders import CATALOGUE

TOKEN = "secret-token"


class RefusingCoordinator:
    """Stands where the role would; every submission ends as the test says."""

    def __init__(self, outcome):
        self.outcome = outcome

    def submit(self, request, *, key="", body_hash=b""):
        raise self.outcome


class Context:
    """What is seen of a node."""

    def __init__(self):
        self.observable = Observable()
        self.readiness = Readiness()


def client(outcome, context=None):
    application = Api(RefusingCoordinator(outcome), CATALOGUE, context or Context()).application(TOKEN)
    transport = httpx2.ASGITransport(app=application, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx2.AsyncClient(transport=transport, base_url="http://node", headers=headers)


@pytest.mark.parametrize(
    ("outcome", "status", "code", "retry"),
    [
        (NoMiner("nobody is here"), 503, "no_miner_available", True),
        (Busy("as many as we carry"), 429, "too_many_requests", True),
        (NotReady("the chain has no epoch seed yet"), 503, "node_not_ready", True),
        (DepositUsedUp(bytes(20), 2, 1), 402, "deposit_used_up", False),
        (KeyConflict("of another request"), 422, "idempotency_key_reused", False),
        (OrderLost(FailureKind.REFUSED, "the prompt is too long"), 400, "refused_by_miners", False),
        (OrderLost(FailureKind.FAILED, "out of memory"), 502, "task_failed", False),
        (OrderLost(FailureKind.EXPIRED, "too late"), 504, "task_expired", False),
        (OrderLost(FailureKind.UNPAID, "nothing is left"), 402, "deposit_used_up", False),
        (OrderLost(FailureKind.NO_MINER, "nobody is here"), 503, "no_miner_available", True),
        (LocalError("our disk is full: /secret/path"), 500, "internal_error", False),
    ],
)
async def test_outcomes_are_told_in_the_openai_shape(outcome, status, code, retry):
    async with client(outcome) as http:
        response = await http.post("/v1/images/generations", json={"prompt": "a cat"})
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert ("retry-after" in response.headers) is retry
    assert (response.headers.get("x-should-retry") == "false") is not retry or status == 500
    assert "secret" not in response.text


async def test_probes_need_no_token_and_hear_why_the_node_is_not_ready():
    context, reasons = Context(), {"no_offer": "nobody is here"}
    context.readiness.register("no_offer", lambda: reasons["no_offer"])
    async with client(NoMiner(""), context) as http:
        http.headers.clear()
        alive = await http.get("/healthz")
        not_ready = await http.get("/readyz")
        reasons["no_offer"] = None
        ready = await http.get("/readyz")
        gone = await http.get("/health")
    assert (alive.status_code, alive.json()) == (200, {"alive": True})
    assert (not_ready.status_code, not_ready.json()) == (
        503,
        {"ready": False, "reasons": {"no_offer": "nobody is here"}},
    )
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": {}})
    assert gone.status_code == 401


async def test_status_is_the_observable():
    @dataclass(frozen=True)
    class Pay:
        free_wei: int

    context = Context()
    context.observable.register("pay", lambda: Pay(1 << 70))
    async with client(NoMiner(""), context) as http:
        response = await http.get("/v1/cuckoo/status")
    assert response.json() == {"pay": {"free_wei": str(1 << 70)}}


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "bearer " + TOKEN, "Basic " + TOKEN, "Bearer " + TOKEN + "x"]
)
async def test_only_the_token_opens(authorization):
    async with client(NoMiner("")) as http:
        response = await http.get("/v1/cuckoo/tasks/00", headers={"Authorization": authorization})
    assert response.status_code == 401


def test_token_is_made_once_and_kept_private(tmp_path):
    token = load_token(tmp_path)
    assert len(token) >= 32
    assert load_token(tmp_path) == token
    (tmp_path / "api-token").chmod(0o644)
    with pytest.raises(UnsafeFile):
        load_token(tmp_path)
