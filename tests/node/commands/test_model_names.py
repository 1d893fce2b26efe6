"""The operator's word on names: shown, changed and taken back while the node runs."""

import pytest

from node.commands.model import BadModelId
from node.commands.model_names import NoNames, UnknownName, forget, list_, set_
from node.coordinator.model_names import BadName, Claim, open_model_names

ONE, OTHER = b"\x01" * 32, b"\x02" * 32


@pytest.fixture
def data_dir(tmp_path):
    with open_model_names(tmp_path) as names:
        names.bind("icons", ONE, Claim.FOLDER)
        names.bind("small", ONE, Claim.LISTED)
    return tmp_path


def test_listed_with_by_whose_word(data_dir, capsys):
    list_(data_dir)
    assert capsys.readouterr().out == f"{ONE.hex()} folder   icons\n{ONE.hex()} listed   small\n"


def test_set_holds_in_a_node_that_runs(data_dir, capsys):
    with open_model_names(data_dir) as names:
        set_(data_dir, "icons", OTHER.hex())
        assert names.get("icons").model_id == OTHER
    assert capsys.readouterr().out == f"{OTHER.hex()} operator icons\n"


def test_forgotten(data_dir, capsys):
    forget(data_dir, "small")
    assert capsys.readouterr().out == "forgot small\n"
    with pytest.raises(UnknownName, match=r"^the name 'small' stands for no model here$"):
        forget(data_dir, "small")


def test_refused(data_dir, tmp_path):
    with pytest.raises(BadModelId, match=r"^'zz' is not a model id, which is 64 hexadecimal digits$"):
        set_(data_dir, "icons", "zz")
    with pytest.raises(BadName):
        set_(data_dir, "Not a name", OTHER.hex())
    for act in (list_, lambda folder: forget(folder, "small")):
        with pytest.raises(NoNames):
            act(tmp_path / "elsewhere")
