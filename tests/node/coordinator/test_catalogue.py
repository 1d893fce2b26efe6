"""Models by name and by content."""

import pytest

from node.coordinator.catalogue import Catalogue, UnknownModel
from node.settings import embedded_folders
from tests.node.builders import CATALOGUE, PACKAGE


def test_found_by_name_and_by_id():
    assert CATALOGUE.find("cuckoo-icons") is PACKAGE
    assert CATALOGUE.find(PACKAGE.model_id.hex()) is PACKAGE
    assert CATALOGUE.get(PACKAGE.model_id) is PACKAGE
    assert CATALOGUE.get(bytes(32)) is None


def test_unknown_model_is_named():
    with pytest.raises(UnknownModel) as caught:
        CATALOGUE.find("dall-e-3")
    assert caught.value.model == "dall-e-3"


def test_embedded_model_is_there():
    (package,) = Catalogue.of_folders(embedded_folders()).packages()
    assert package.name == "cuckoo-icons"
