"""`/openapi.json`: every route is in it, open ones are said to be, and the guide prints the same list."""

from pathlib import Path

from node.api.a1111.bodies import WORKING as A1111_WORKING
from node.api.a1111.operations import EDIT as A1111_EDIT
from node.api.horde.operations import PARAMS, PAYLOAD
from node.api.horde.payload import PARAMS_WITHOUT_EFFECT, PARAMS_WORKING, WITHOUT_EFFECT, WORKING
from node.api.openai.operations import EDIT
from node.api.openai.parameters import WITHOUT_EFFECT as OPENAI_WITHOUT_EFFECT
from node.api.openai.parameters import WORKING as OPENAI_WORKING
from node.api.openapi import path_of
from tests.node.api.desk import api, client_of
from tests.node.api.test_app import OPEN

README = Path(__file__).parents[3] / "README.md"


async def test_every_route_is_in_the_document_and_nothing_else():
    built = api(public_url="https://node.example")
    async with client_of(built, token="") as stranger:
        document = (await stranger.get("/openapi.json")).json()
    assert document["servers"] == [{"url": "https://node.example"}]
    described = {
        (method.upper(), path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    table = {
        (method, path_of(route.path))
        for route in [*built.open_routes(), *built.routes()]
        for method in route.methods - {"HEAD"}
    }
    assert set(described) == table
    assert {path for (_, path), operation in described.items() if operation.get("security") == []} == OPEN


def test_every_field_that_is_read_is_in_the_document():
    assert set(EDIT) == OPENAI_WORKING | set(OPENAI_WITHOUT_EFFECT) | {"image", "strength"}
    assert set(A1111_EDIT) >= A1111_WORKING
    assert set(PAYLOAD["properties"]) == WORKING | WITHOUT_EFFECT
    assert set(PARAMS["properties"]) == PARAMS_WORKING | PARAMS_WITHOUT_EFFECT


def test_the_guide_prints_the_open_routes():
    text = README.read_text()
    for path in OPEN:
        assert f"`{path.partition('{')[0]}" in text, path
