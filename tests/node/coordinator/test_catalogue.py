"""Models by name and by content: whose name it is, and what is sold without weights."""

import pytest

from node.coordinator import catalogue as subject
from node.coordinator.card_queue import CardFetch
from node.coordinator.catalogue import AmbiguousModel, Catalogue, UnknownModel
from node.coordinator.model_names import Claim, ModelNames, open_model_names
from node.inference.packages.limits import BadRequest
from node.inference.packages.model import Model
from node.settings import embedded_folders
from protocol.work import WorkKind
from tests.node.builders import CARD, CATALOGUE, PACKAGE
from tests.protocol.builders import model_card

MINER = b"\x01" * 20
NOW_MS = 1_000


def an_id(number: int) -> bytes:
    return bytes([number]) * 32


def learn(catalogue, model_id, miner=MINER, now_ms=NOW_MS, **changes) -> Model:
    """A miner offers a model, and its card comes."""
    catalogue.note_offer(model_id, miner, now_ms)
    fetch = catalogue.queue.take(now_ms)
    assert fetch == CardFetch(model_id, miner)
    return catalogue.learn(fetch, model_card(**changes), now_ms)


def test_found_by_name_and_by_id():
    assert CATALOGUE.find("cuckoo-icons") is PACKAGE
    assert CATALOGUE.find(PACKAGE.model_id.hex()) is PACKAGE
    assert CATALOGUE.get(PACKAGE.model_id) is PACKAGE
    assert CATALOGUE.get(bytes(32)) is None
    assert CATALOGUE.peek("cuckoo-icons").card is CARD


@pytest.mark.parametrize("text", ["dall-e-3", "", "@", "cuckoo-icons@", "cuckoo-icons@070707", "07" * 31])
def test_unknown_model_is_named(text):
    with pytest.raises(UnknownModel) as caught:
        CATALOGUE.find(text)
    assert caught.value.model == text
    assert caught.value.reason == (
        f"the model {text!r} is not known; GET /v1/models lists those that are served"
    )


def test_half_an_emoji_in_a_name_can_be_told():
    with pytest.raises(UnknownModel) as caught:
        CATALOGUE.find("model \ud83c")
    assert caught.value.reason.encode().startswith(b"the model 'model \\ud83c' is not known")


def test_embedded_model_is_there():
    (package,) = Catalogue.of_folders(embedded_folders()).models()
    assert package.name == "cuckoo-icons"


def test_a_model_that_only_a_miner_has_is_sold_by_its_card():
    catalogue = Catalogue([PACKAGE])
    learned = learn(catalogue, an_id(2))
    assert learned.card == model_card()
    for text in ("small", "small@02020202", an_id(2).hex()):
        assert catalogue.find(text) is learned
    assert catalogue.handles() == {PACKAGE.model_id: "cuckoo-icons", an_id(2): "small"}
    assert not catalogue.queue


def test_known_models_are_not_fetched():
    catalogue = Catalogue([PACKAGE])
    learn(catalogue, an_id(2))
    for model_id in (PACKAGE.model_id, an_id(2)):
        catalogue.note_offer(model_id, MINER, NOW_MS)
    assert catalogue.queue.take(NOW_MS) is None


def test_attack_a_second_package_takes_a_name(tmp_path):
    """The later one is listed by name and id, also after a restart in other order."""
    with open_model_names(tmp_path) as names:
        catalogue = Catalogue([PACKAGE], names)
        first, second = learn(catalogue, an_id(9)), learn(catalogue, an_id(2))
        assert catalogue.find("small") is first
        assert catalogue.find("small@02020202") is second
        assert catalogue.handles()[an_id(9)] == "small"
        assert catalogue.handles()[an_id(2)] == "small@02020202"
    with open_model_names(tmp_path) as names:
        catalogue = Catalogue([PACKAGE], names)
        learn(catalogue, an_id(2))
        with pytest.raises(UnknownModel):
            catalogue.find("small")
        assert catalogue.handles()[an_id(2)] == "small@02020202"
        learn(catalogue, an_id(9))
        assert catalogue.find("small").model_id == an_id(9)


def test_attack_a_strangers_package_takes_the_name_of_the_operators():
    names = ModelNames.in_memory()
    catalogue = Catalogue([], names)
    learn(catalogue, an_id(2), name="cuckoo-icons")
    assert catalogue.find("cuckoo-icons").model_id == an_id(2)
    catalogue = Catalogue([PACKAGE], names)
    learn(catalogue, an_id(2), name="cuckoo-icons")
    assert catalogue.find("cuckoo-icons") is PACKAGE
    assert catalogue.handles()[an_id(2)] == "cuckoo-icons@02020202"


def test_attack_an_id_that_begins_like_another():
    """Thirty-two bits can be searched for; neither is taken for the other, and both can be named whole."""
    catalogue = Catalogue([])
    learn(catalogue, an_id(9))
    one, other = an_id(2), an_id(2)[:31] + b"\x03"
    learn(catalogue, one)
    learn(catalogue, other)
    with pytest.raises(AmbiguousModel) as caught:
        catalogue.find("small@02020202")
    assert caught.value.reason == "several models are called 'small@02020202'; name more digits of the id"
    for model_id in (one, other):
        assert catalogue.handles()[model_id] == f"small@{model_id.hex()}"
        assert catalogue.find(f"small@{model_id.hex()}").model_id == model_id


def test_the_operator_changes_a_name_while_it_runs():
    names = ModelNames.in_memory()
    catalogue = Catalogue([PACKAGE], names)
    learn(catalogue, an_id(9))
    second = learn(catalogue, an_id(2))
    names.bind("small", an_id(2), Claim.OPERATOR)
    assert catalogue.find("small") is second
    assert catalogue.handles()[an_id(9)] == "small@09090909"
    names.bind("cuckoo-icons", an_id(2), Claim.OPERATOR)
    # Also over the operator's own folders, which speak again at each start.
    assert Catalogue([PACKAGE], names).handles()[PACKAGE.model_id] == "cuckoo-icons@07070707"


def test_the_default_is_the_first_own_folder_that_does_the_work():
    text_alone = Model(an_id(1), model_card(name="aaa", work_kinds=(WorkKind.TEXT_TO_IMAGE,)))
    catalogue = Catalogue([text_alone, PACKAGE])
    learn(catalogue, an_id(2), name="a")
    assert catalogue.default(WorkKind.TEXT_TO_IMAGE) is text_alone
    assert catalogue.default(WorkKind.IMAGE_TO_IMAGE) is PACKAGE


def test_the_default_is_the_operators_choice():
    catalogue = Catalogue([PACKAGE], default_model="small")
    with pytest.raises(UnknownModel):
        catalogue.default(WorkKind.TEXT_TO_IMAGE)
    learned = learn(catalogue, an_id(2), work_kinds=(WorkKind.TEXT_TO_IMAGE,))
    assert catalogue.default(WorkKind.TEXT_TO_IMAGE) is learned
    with pytest.raises(BadRequest) as caught:
        catalogue.default(WorkKind.IMAGE_TO_IMAGE)
    assert (caught.value.field, caught.value.reason) == (
        "model",
        "this node has no default model for image-to-image; name one",
    )


def test_cards_are_bounded_and_those_in_use_stay(monkeypatch):
    monkeypatch.setattr(subject, "LEARNED_MAX", 2)
    catalogue = Catalogue([])
    learn(catalogue, an_id(1), name="used", now_ms=1)
    catalogue.find("used")
    learn(catalogue, an_id(2), name="old", now_ms=2)
    learn(catalogue, an_id(3), name="new", now_ms=3)
    assert [model.name for model in catalogue.models()] == ["used", "new"]
    # A card that went is wanted again when its model is offered.
    catalogue.note_offer(an_id(2), MINER, 4)
    assert len(catalogue.queue) == 1


def test_who_only_looks_a_model_up_does_not_give_it_its_name():
    names = ModelNames.in_memory()
    catalogue = Catalogue([], names)
    learned = learn(catalogue, an_id(2))
    assert catalogue.peek("small") is learned
    assert names.get("small").claim == Claim.LISTED
    assert catalogue.find("small") is learned
    assert names.get("small").claim == Claim.USED
