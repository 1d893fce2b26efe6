"""`GET /v1/models`, one model by its handles, and aliases."""

import time

from node.api.aliases import parse_aliases
from tests.node.api.desk import api, client, client_of
from tests.node.builders import PACKAGE

ALIASES = parse_aliases(["dall-e-3=cuckoo-icons@64x64", "gone=nothing"])


async def test_an_alias_is_listed_found_and_answered_for():
    async with client_of(api(aliases=ALIASES)) as http:
        listed = (await http.get("/v1/models")).json()["data"]
        alias = await http.get("/v1/models/dall-e-3")
        answer = await http.post(
            "/v1/images/generations", json={"prompt": "a cat", "model": "dall-e-3", "size": "1024x1024"}
        )
        gone = await http.post("/v1/images/generations", json={"prompt": "a cat", "model": "gone"})
    assert [model["id"] for model in listed] == ["cuckoo-icons", "dall-e-3"]
    assert alias.json()["cuckoo"]["alias_of"] == "cuckoo-icons"
    assert answer.headers["x-cuckoo-alias"] == "dall-e-3=cuckoo-icons@64x64"
    assert answer.json()["size"] == "64x64"
    assert gone.status_code == 404


async def test_one_model_by_its_handles():
    before = int(time.time())
    async with client() as http:
        listed = (await http.get("/v1/models")).json()["data"][0]
        found = [
            (await http.get(f"/v1/models/{handle}")).json()
            for handle in (
                "cuckoo-icons",
                PACKAGE.model_id.hex(),
                f"cuckoo-icons@{PACKAGE.model_id.hex()[:8]}",
            )
        ]
        unknown = await http.get("/v1/models/gpt-image-1")
    assert found == [listed] * 3
    assert listed["created"] >= before
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
