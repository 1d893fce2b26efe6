"""The local API over a real socket: who is let in, what is refused, what happens when an app goes away."""

import json
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from node.api.app import BODY_BYTES_MAX
from node.api.edits import FORM_BYTES_MAX
from node.system.control_client import ask
from tests.limits import HANG_S

pytestmark = pytest.mark.process


def events_of(response):
    """Server-sent events as (name, data); comments under the name `comment`."""
    name = ""
    for line in response.iter_lines():
        if line.startswith(":"):
            yield "comment", line[1:].strip()
        elif line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            yield name, line.removeprefix("data:").strip()


def raw_exchange(market, request):
    address = urlsplit(market.api_url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(request)
        return connection.recv(65536)


@pytest.fixture
def client(market):
    with market.client() as opened:
        yield opened


def error_of(response):
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize("token", ["", "wrong", "x" * 10_000])
def test_wrong_token(market, token):
    with market.client(token) as stranger:
        for method, path in (("GET", "/v1/models"), ("POST", "/v1/images/generations"), ("GET", "/nothing")):
            assert error_of(stranger.request(method, path)) == (401, "invalid_api_key")


def test_probes_need_no_token_and_hear_that_every_node_is_alive_and_ready(market):
    folders = [Path(node["data_dir"]) for node in market.description["nodes"].values()]
    urls = [json.loads((folder / "node.json").read_text())["health_url"] for folder in folders]
    urls.append(market.api_url)
    assert len(set(urls)) == len(market.description["nodes"]) + 1
    for url in urls:
        with httpx2.Client(base_url=url, trust_env=False, timeout=20) as stranger:
            alive, ready = stranger.get("/healthz"), stranger.get("/readyz")
        assert (alive.status_code, alive.json()) == (200, {"alive": True}), url
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": {}}), url


def test_commands_speak_with_every_node_by_its_socket(market):
    nodes = market.description["nodes"]
    status = {name: ask(Path(node["data_dir"]), "status") for name, node in nodes.items()}
    assert {item["node"]["process"] for item in status.values()} == {
        node["process"] for node in nodes.values()
    }
    assert status["bootstrap"]["network"]["peers"] >= len(nodes) - 1
    assert status["coordinator"]["coordinator"]["live_offers"] == 3
    assert status["miner-1"]["inference"]["workers_ready"] == 1
    found = ask(
        Path(nodes["coordinator"]["data_dir"]),
        "find_peer",
        {"account": market.description["addresses"]["miner-1"]},
    )
    assert found["reached"]
    assert found["addresses"] == status["miner-1"]["network"]["multiaddrs"]


def test_listens_on_loopback_alone(market):
    assert urlsplit(market.api_url).hostname == "127.0.0.1"
    port = urlsplit(market.api_url).port
    with pytest.raises(OSError):  # noqa: PT011 - refused or unreachable, by the system
        # Another address of loopback: whoever listens on all addresses answers there too.
        socket.create_connection(("127.0.0.2", port), 2)


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff\xfe", b"{" * 5000, b"[" * 60_000, b'"prompt"'])
def test_body_that_is_no_json_object(client, content):
    assert error_of(client.post("/v1/images/generations", content=content)) == (400, "invalid_json")


def test_body_too_long(client):
    body = {"prompt": "x" * BODY_BYTES_MAX}
    assert error_of(client.post("/v1/images/generations", json=body)) == (413, "request_too_large")


def test_form_too_long(client):
    files = {"image": ("a.png", bytes(FORM_BYTES_MAX), "image/png")}
    response = client.post("/v1/images/edits", data={"prompt": "a cat"}, files=files)
    assert error_of(response) == (413, "request_too_large")


def test_empty_prompt(client):
    assert error_of(client.post("/v1/images/generations", json={"prompt": ""})) == (400, "invalid_value")


def test_unknown_model(client):
    body = {"prompt": "a cat", "model": "nothing"}
    assert error_of(client.post("/v1/images/generations", json=body)) == (404, "model_not_found")


def test_refused_stream_is_an_ordinary_error(client):
    body = {"prompt": "", "stream": True}
    assert error_of(client.post("/v1/images/generations", json=body)) == (400, "invalid_value")


def test_unknown_task(client):
    assert error_of(client.get("/v1/cuckoo/tasks/" + "00" * 32)) == (404, "task_not_found")


def test_unknown_path(client):
    assert error_of(client.get("/v1/nothing")) == (404, "not_found")


def test_two_lengths_are_refused(market):
    request = (
        b"POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        + market.token.encode()
        + b"\r\n"
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    assert b" 400 " in raw_exchange(market, request).split(b"\r\n")[0]


def test_garbage_is_no_http(market, client):
    raw_exchange(market, b"\x00\xff" * 100 + b"\r\n\r\n")
    assert client.get("/v1/models").status_code == 200


def active_tasks(client):
    return client.get("/v1/cuckoo/status").json()["coordinator"]["tasks_active"]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
def test_app_that_goes_away_cancels_its_task(market, client, stream):
    body = json.dumps({"prompt": "a cat", "steps": 100, "stream": stream}).encode()
    address = urlsplit(market.api_url)
    request = (
        b"POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        + market.token.encode()
        + b"\r\nContent-Length: "
        + str(len(body)).encode()
        + b"\r\n\r\n"
        + body
    )
    before = client.get("/v1/cuckoo/status").json()["journal"]["receipts"]
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(request)
        deadline = time.monotonic() + HANG_S
        while not active_tasks(client):
            assert time.monotonic() < deadline
    # To its end, it would leave a receipt.
    deadline = time.monotonic() + HANG_S
    while active_tasks(client):
        assert time.monotonic() < deadline, "the task goes on for nobody"
    assert client.get("/v1/cuckoo/status").json()["journal"]["receipts"] == before
