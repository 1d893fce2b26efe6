"""The local API over a real socket: who is let in, what is refused, what happens when an app goes away."""

import http.client
import json
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from node.api.openai.edits import FORM_BYTES_MAX
from node.api.serving import JSON_BYTES_MAX
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
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def head(market, headers):
    """The head of a generation's request, with these headers in it."""
    token = market.token.encode()
    first = b"POST /v1/images/generations HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    return first + b"Authorization: Bearer " + token + b"\r\n" + headers + b"\r\n\r\n"


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


def test_a_body_of_too_many_parts(client):
    response = client.post(
        "/v1/images/generations", content=b"[" * 60_000, headers={"Content-Type": "application/json"}
    )
    assert error_of(response) == (413, "request_too_large")


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff\xfe", b"{" * 4_000, b"[" * 4_000, b'"prompt"'])
def test_body_that_is_no_json_object(client, content):
    headers = {"Content-Type": "application/json"}
    response = client.post("/v1/images/generations", content=content, headers=headers)
    assert error_of(response) == (400, "invalid_json")


def test_body_too_long(client):
    body = {"prompt": "x" * JSON_BYTES_MAX}
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
    request = head(market, b"Content-Length: 5\r\nTransfer-Encoding: chunked") + b"0\r\n\r\n"
    answer = raw_exchange(market, request)
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"\r\nconnection: close\r\n" in answer


@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Content-Length: 53"])
def test_attack_a_request_within_a_request_is_never_answered(market, framing):
    request = head(market, framing + b"\r\nTransfer-Encoding: chunked") + b"0\r\n\r\n"
    answer = raw_exchange(market, request + b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert answer.count(b"HTTP/1.1") <= 1
    assert b" 200 " not in answer


def test_a_body_over_its_limit_is_refused_before_it_comes(market):
    request = head(market, b"Content-Type: application/json\r\nContent-Length: 1099511627776")
    answer = raw_exchange(market, request)
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert b"\r\nconnection: close\r\n" in answer


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/v1/images/generations", True, 413),
        ("/v1/images/generations", False, 401),
        ("/v1/nothing", True, 404),
    ],
)
def test_a_connection_says_its_end_after_a_body_that_was_not_read(market, path, token, status):
    address = urlsplit(market.api_url)
    connection = http.client.HTTPConnection(address.netloc, timeout=20)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {market.token}"
    # Twice: a client that heard of the end opens another one for its next request.
    for _ in range(2):
        connection.request("POST", path, b"x" * 600_000, headers)
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, answer.will_close) == (status, True)
    connection.close()


def test_a_browser_finds_a_page(market):
    with market.client("") as browser:
        page = browser.get("/")
    assert page.status_code == 200
    assert "<code>cuckoo-icons</code>" in page.text
    assert f"{market.api_url}/v1/images/generations" in page.text


def test_garbage_is_no_http(market, client):
    raw_exchange(market, b"\x00\xff" * 100 + b"\r\n\r\n")
    assert client.get("/v1/models").status_code == 200


def active_tasks(client):
    return client.get("/v1/cuckoo/status").json()["coordinator"]["tasks_active"]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
def test_app_that_goes_away_cancels_its_task(market, client, stream):
    body = json.dumps({"prompt": "a cat", "steps": 100, "stream": stream}).encode()
    address = urlsplit(market.api_url)
    request = head(market, b"Content-Type: application/json\r\nContent-Length: %d" % len(body)) + body
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
