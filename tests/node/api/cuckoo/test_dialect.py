"""Results by task, and pictures behind links."""

import io

from PIL import Image

from tests.node.api.desk import FakeCoordinator, api, client_of


async def generate(http, **body):
    return await http.post("/v1/images/generations", json={"prompt": "a cat"} | body)


def format_of(data):
    return Image.open(io.BytesIO(data)).format


async def test_the_signed_png_stays_what_the_task_says():
    coordinator = FakeCoordinator()
    async with client_of(api(coordinator)) as http:
        answer = await generate(http, output_format="webp")
        output = await http.get(f"/v1/cuckoo/tasks/{answer.json()['cuckoo']['tasks'][0]}/output")
    assert output.headers["content-type"] == "image/png"
    assert format_of(output.content) == "PNG"


async def test_a_link_leads_to_the_picture_without_a_token_and_never_to_the_host_of_the_request():
    async with client_of(api(public_url="https://node.example")) as http:
        answer = await generate(http, response_format="url", output_format="webp", n=2)
        urls = [item["url"] for item in answer.json()["data"]]
        path = urls[0].removeprefix("https://node.example")
        picture = await http.get(path, headers={"Authorization": ""})
        end = "y" if path[-6] == "x" else "x"
        other = await http.get(f"{path[:-6]}{end}.webp", headers={"Authorization": ""})
        status = (await http.get("/v1/cuckoo/status")).json()["picture_links"]
    assert len(set(urls)) == 2
    assert all(url.startswith("https://node.example/v1/cuckoo/pictures/") for url in urls)
    assert len(path.rpartition("/")[2].partition(".")[0]) == 32
    assert (picture.headers["content-type"], format_of(picture.content)) == ("image/webp", "WEBP")
    assert picture.headers["x-content-type-options"] == "nosniff"
    assert (other.status_code, other.json()["error"]["code"]) == (404, "picture_not_found")
    assert (status["links"], status["given"]) == (2, 2)
