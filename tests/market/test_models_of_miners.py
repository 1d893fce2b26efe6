"""A model that only a miner has is bought by name through the stock client; nobody takes its name away."""

import base64
import io
import time

import openai
import pytest
from PIL import Image

from node.inference.packages.package import load
from node.system.control_client import ask as ask_node
from protocol.receipt import verify_document
from tests.limits import HANG_S
from tests.market.rogues import IMITATOR, OFFER_IMITATION, OWNER, PACKAGES_FOLDER, TINY_NAME, TINY_STEPS_MAX

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def client(rogue_market):
    with openai.OpenAI(
        base_url=rogue_market.api_url + "/v1", api_key=rogue_market.token, max_retries=0
    ) as opened:
        yield opened


def package(market, folder):
    return load(market.folder.parent / PACKAGES_FOLDER / folder)


def listed(client, *names):
    """The models of those names, once all of them are listed."""
    deadline = time.monotonic() + HANG_S
    while True:
        found = {model.id: model.cuckoo for model in client.models.list().data}
        if set(names) <= set(found):
            return [found[name] for name in names]
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def assert_no_weights_were_given(market, name, folder):
    """A miner has given no more of its packages than a card and the text files that requests need."""
    given = ask_node(market.data_dir(name), "status")["models_given"]
    request_files = package(market, folder).card.request_files
    assert given["served"] <= len(request_files)
    assert given["sent_bytes"] <= sum(file.size_bytes for file in request_files)


def test_a_package_that_only_a_miner_has_is_bought_by_its_name(rogue_market, client):
    (model,) = listed(client, TINY_NAME)
    assert model["model_id"] == package(rogue_market, "tiny").model_id.hex()
    assert (model["miners"], model["steps_max"]) == (1, TINY_STEPS_MAX)
    answer = client.images.generate(prompt="a red apple", model=TINY_NAME)
    image = Image.open(io.BytesIO(base64.b64decode(answer.data[0].b64_json)))
    assert image.size == (32, 32)
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(prompt="x", model=TINY_NAME, extra_body={"steps": TINY_STEPS_MAX + 1})
    assert caught.value.param == "steps"
    assert_no_weights_were_given(rogue_market, OWNER, "tiny")
    files = [path for path in rogue_market.data_dir("coordinator").rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix == ".safetensors"]


def test_a_second_package_of_the_same_name_does_not_take_its_place(rogue_market, client):
    imitation = package(rogue_market, "imitation")
    qualified = f"{TINY_NAME}@{imitation.model_id.hex()[:8]}"
    listed(client, TINY_NAME)
    with rogue_market.ordered(IMITATOR, OFFER_IMITATION):
        first, second = listed(client, TINY_NAME, qualified)
        assert first["model_id"] == package(rogue_market, "tiny").model_id.hex()
        assert second["model_id"] == imitation.model_id.hex()
        for name, miner in ((TINY_NAME, OWNER), (qualified, IMITATOR)):
            task_id = client.images.generate(prompt="a red apple", model=name).cuckoo["tasks"][0]
            with rogue_market.client() as http:
                receipt = verify_document(http.get(f"/v1/cuckoo/tasks/{task_id}").json())
            signer = "0x" + receipt.commitment.signer.address.hex()
            assert signer == rogue_market.description["addresses"][miner]
    assert_no_weights_were_given(rogue_market, IMITATOR, "imitation")
