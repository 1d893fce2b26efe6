"""Who may use the API: tokens, hosts, origins, and requests that could be read in two ways."""

import httpx2
import pytest

from node.api.gate import load_token
from node.system.files import UnsafeFile
from tests.node.api.desk import TOKEN, api, client, client_of

PAGE = "https://app.example"


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic " + TOKEN, "Bearer " + TOKEN + "x", TOKEN]
)
async def test_only_the_token_opens(authorization):
    async with client() as http:
        response = await http.get("/v1/cuckoo/tasks/00", headers={"Authorization": authorization})
    assert response.status_code == 401


@pytest.mark.parametrize("authorization", ["bearer " + TOKEN, "BEARER  " + TOKEN, "Bearer " + TOKEN + " "])
async def test_the_scheme_has_no_case_and_spaces_do_not_count(authorization):
    async with client() as http:
        response = await http.get("/v1/models", headers={"Authorization": authorization})
    assert response.status_code == 200


def test_token_is_made_once_and_kept_private(tmp_path):
    token = load_token(tmp_path)
    assert len(token) >= 32
    assert load_token(tmp_path) == token
    (tmp_path / "api-token").chmod(0o644)
    with pytest.raises(UnsafeFile):
        load_token(tmp_path)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8420", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8420", 200),
        ("node.example", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("evil.example:8420", 421),
        ("[", 421),
        ("user@evil.example", 421),
    ],
)
async def test_attack_a_name_that_is_rebound_to_this_machine(host, status):
    async with client_of(api(public_url="https://node.example")) as http:
        response = await http.get("/v1/models", headers={"Host": host})
    assert response.status_code == status


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("origin", [PAGE, "null", "http://127.0.0.1:9999"])
async def test_attack_a_foreign_page(method, origin):
    async with client() as http:
        response = await http.request(method, "/v1/models", headers={"Origin": origin})
    assert (response.status_code, response.json()["error"]["code"]) == (403, "foreign_origin")
    assert "access-control-allow-origin" not in response.headers


async def test_the_nodes_own_pages_are_not_foreign():
    async with client_of(api(public_url="https://node.example")) as http:
        for origin in ("http://127.0.0.1", "https://node.example"):
            assert (await http.get("/v1/models", headers={"Origin": origin})).status_code == 200


async def test_a_page_that_the_operator_allows_works_in_a_browser():
    async with client_of(api(origins=(PAGE,))) as http:
        preflight = await http.options(
            "/v1/images/generations",
            headers={
                "Origin": PAGE,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os",
                "Authorization": "",
            },
        )
        answer = await http.get("/v1/models", headers={"Origin": PAGE})
        refused = await http.get("/v1/models", headers={"Origin": PAGE, "Authorization": ""})
        other = await http.get("/v1/models", headers={"Origin": "https://other.example"})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert "x-stainless-os" in preflight.headers["access-control-allow-headers"]
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "x-request-id" in answer.headers["access-control-expose-headers"]
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, PAGE)
    assert other.status_code == 403


async def test_attack_a_request_within_a_request():
    headers = {"content-length": "5", "transfer-encoding": "chunked"}

    async def body():
        yield b"0\r\n\r\n"

    async with client() as http:
        request = httpx2.Request("POST", "http://127.0.0.1/v1/images/generations", content=body())
        request.headers.update(headers)
        response = await http.send(request)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "ambiguous_length")
    assert response.headers["connection"] == "close"
