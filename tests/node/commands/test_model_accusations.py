"""`cuckoo-peer model accusations`: what it reads of a calibration, and what it says."""

import json

import pytest

from node.commands.model_accusations import ASSUMPTIONS, accusations, blocks_of
from node.inference.audit.false_accusations import Blocks
from node.settings import embedded_folders
from protocol.errors import LocalError

CALIBRATION = embedded_folders()[0] / "calibration.json"


def test_what_the_embedded_models_calibration_says(capsys):
    accusations(image_ms=500)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "package   cuckoo-icons: false from an excess of 10000 parts per billion on",
        "measured  10 maxima of 320 outputs: 59 to 151",
        "a year    of a picture every 500 ms: 34,058,880 outputs are computed again",
    ]
    light, heavy = (line.split() for line in lines[3:5])
    assert " ".join(light[:6]) == "accused if the tail falls exponentially:"
    assert float(light[6]) <= float(light[-1]) < 1e-3
    assert float(heavy[8]) < 1e-3
    assert lines[5:] == [f"assumed   {line}" for line in ASSUMPTIONS]


@pytest.mark.parametrize("change", [{"precision_class": "B"}, {"jobs": None}, {"configurations": [{}]}])
def test_what_is_no_calibration_of_class_a_is_refused(tmp_path, change):
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(json.loads(CALIBRATION.read_text()) | change))
    with pytest.raises(LocalError):
        blocks_of(path)
    with pytest.raises(LocalError, match="is not the file of a calibration"):
        blocks_of(tmp_path / "nowhere.json")


def test_configurations_of_equal_kernels_are_left_out():
    assert isinstance(blocks_of(CALIBRATION), Blocks)
    assert min(blocks_of(CALIBRATION).maxima_ppb) > 0
