"""The API behind the real server, over a real socket."""

import httpx2
import trio

from node.settings import API_HOST
from node.system.web_server import serve_web
from tests.node.api.desk import TOKEN, api


async def test_a_link_begins_with_the_address_that_was_bound():
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve_web, api().application(TOKEN), API_HOST, 0, "the API")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
            body = {"prompt": "a cat", "response_format": "url"}
            link = (await http.post("/v1/images/generations", json=body)).json()["data"][0]["url"]
            picture = await http.get(link, headers={"Authorization": ""})
        nursery.cancel_scope.cancel()
    assert link.startswith(f"{url}/v1/cuckoo/pictures/")
    assert picture.content.startswith(b"\x89PNG")
