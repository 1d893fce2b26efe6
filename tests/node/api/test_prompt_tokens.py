"""How much of a prompt a model reads: counted with the embedded model's own tokenizer."""

import shutil

import pytest

from node.api import prompt_tokens
from node.api.prompt_tokens import TOKENIZERS_MAX, PromptCount, PromptTokens, require_whole
from node.coordinator.catalogue import Catalogue
from node.coordinator.requests import BadRequest, ImageRequest
from node.inference.packages import package
from node.inference.packages.model import Model
from node.settings import embedded_folders
from tests.node.api.desk import FakeCoordinator, api, client_of
from tests.node.builders import PACKAGE

(FOLDER,) = embedded_folders()
EMBEDDED = package.load(FOLDER)
HINDI = "नीली पृष्ठभूमि पर एक लाल सेब"


def request(prompt, negative_prompt="", model=EMBEDDED):
    return ImageRequest(model, prompt, negative_prompt, 32, 32, 20, 0, 4000, 0)


async def test_texts_are_counted_with_their_marks():
    counts = await PromptTokens().count(request("a red apple on a blue background", HINDI))
    assert counts == (PromptCount("prompt", 9, 16), PromptCount("negative_prompt", 71, 16))
    assert [count.is_cut for count in counts] == [False, True]


async def test_models_of_others_are_not_counted():
    stranger = Model(EMBEDDED.model_id, EMBEDDED.card)
    assert PromptTokens().can_count(EMBEDDED)
    assert not PromptTokens().can_count(stranger)
    (count,) = await PromptTokens().count(request("a cat", model=stranger))
    assert (count.tokens, count.is_cut) == (None, False)


async def test_without_the_library_nothing_is_counted(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(prompt_tokens.importlib, "import_module", missing)
    assert not PromptTokens().can_count(EMBEDDED)
    assert (await PromptTokens().count(request("a cat")))[0].tokens is None


@pytest.mark.parametrize("damage", ["altered", "gone"])
async def test_a_tokenizer_that_is_not_the_cards_does_not_count(tmp_path, damage):
    shutil.copytree(FOLDER, tmp_path / "model")
    model = package.load(tmp_path / "model")
    path = tmp_path / "model" / "tokenizer" / "tokenizer.json"
    if damage == "gone":
        path.unlink()
    else:
        path.write_text(path.read_text() + " ")
    assert (await PromptTokens().count(request("a cat", model=model)))[0].tokens is None


async def test_tokenizers_in_memory_have_a_limit():
    counter = PromptTokens()
    for number in range(TOKENIZERS_MAX + 1):
        model = package.ModelPackage(
            bytes([number]) * 32, EMBEDDED.card, FOLDER, EMBEDDED.files, EMBEDDED.table
        )
        await counter.count(request("a cat", model=model))
    assert len(counter._tokenizers) == TOKENIZERS_MAX


def test_who_wants_no_cut_is_refused_one_and_what_may_be_one():
    require_whole((PromptCount("prompt", 16, 16), PromptCount("negative_prompt", 99, 0)))
    with pytest.raises(BadRequest, match=r"^prompt has 17 tokens, and the model reads 16$") as caught:
        require_whole((PromptCount("prompt", 17, 16),))
    assert caught.value.field == "prompt"
    with pytest.raises(BadRequest, match=r"cannot be counted here; leave truncation at auto$") as caught:
        require_whole((PromptCount("prompt", None, 16),))
    assert caught.value.field == "truncation"


async def test_a_cut_is_named_in_the_answer_or_refused_as_the_app_likes():
    coordinator = FakeCoordinator()
    async with client_of(api(coordinator, catalogue=Catalogue([EMBEDDED]))) as http:
        body = {"prompt": HINDI, "model": "cuckoo-icons"}
        cut = await http.post("/v1/images/generations", json=body)
        streamed = await http.post("/v1/images/generations", json=body | {"stream": True})
        refused = await http.post("/v1/images/generations", json=body | {"truncation": "disabled"})
        whole = await http.post("/v1/images/generations", json=body | {"prompt": "a red apple"})
    assert cut.headers["x-cuckoo-prompt-cut"] == "prompt;tokens=71;read=16"
    assert cut.json()["cuckoo"]["prompt_cut"] == {"prompt": {"tokens": 71, "tokens_max": 16}}
    assert cut.json()["usage"] == {
        "input_tokens": 71,
        "output_tokens": 0,
        "total_tokens": 71,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 71},
    }
    assert streamed.headers["x-cuckoo-prompt-cut"] == "prompt;tokens=71;read=16"
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "prompt")
    assert whole.json()["cuckoo"]["prompt_cut"] == {}
    assert "x-cuckoo-prompt-cut" not in whole.headers
    assert len(coordinator.placed) == 3


async def test_the_limit_stands_in_the_list_of_models():
    async with client_of(api(catalogue=Catalogue([PACKAGE]))) as http:
        (model,) = (await http.get("/v1/models")).json()["data"]
    assert model["cuckoo"]["prompt_tokens_max"] == 16
    assert model["cuckoo"]["prompt_tokens_counted"] is False
    assert model["cuckoo"]["prompt_characters_max"] == 1000
