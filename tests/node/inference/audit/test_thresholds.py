"""Thresholds: the package's, and never ones by which a cheat would pass."""

import json
from dataclasses import replace

import pytest

from node.inference.audit.thresholds import (
    ACCUSE_PPB_MAX,
    CALIBRATION_BYTES_MAX,
    CALIBRATION_FORMAT,
    CALIBRATION_NAME,
    class_a,
    class_b,
    thresholds_of,
)
from node.inference.packages.errors import PackageError
from node.inference.packages.package import PackagedFile
from tests.node.inference.builders import embedded, with_card


def document(**changes):
    return {
        "format": CALIBRATION_FORMAT,
        "precision_class": "A",
        "accuse_ppb": 20_000,
        "honest_excess_ppb": 4_000,
        "sketch_bins_apart": 2,
        "cheats": [{"name": "a cheat", "least_score_ppb": 24_000}],
    } | changes


def package(folder, content, precision_class="A"):
    if content is not None:
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / CALIBRATION_NAME).write_text(text)
    files = {} if content is None else {CALIBRATION_NAME: PackagedFile(bytes(32), 1)}
    return replace(with_card(embedded(), precision_class=precision_class), folder=folder, files=files)


def test_without_a_calibration_the_narrowest_hold(tmp_path):
    assert thresholds_of(package(tmp_path, None)) == class_a()
    assert thresholds_of(package(tmp_path, None, "B")) == class_b()
    assert (class_a().accuse_single, class_b().accuse_single) == (1e-5, 1.0)


def test_those_of_the_calibration(tmp_path):
    found = thresholds_of(package(tmp_path, document()))
    assert found == class_a(20_000, 2)
    assert found.accuse_single == found.accuse_mean == 2e-5
    told = [{"least_score_ppb": 10**9 + 1}]
    in_b = thresholds_of(package(tmp_path, document(precision_class="B", cheats=told), "B"))
    assert in_b == class_b(2)
    with pytest.raises(PackageError, match=r"^the package's threshold lets cheats pass$"):
        thresholds_of(package(tmp_path, document(precision_class="B"), "B"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"accuse_ppb": 9_999, "honest_excess_ppb": 1}, "the package's threshold is out of bounds"),
        ({"accuse_ppb": ACCUSE_PPB_MAX + 1}, "the package's threshold is out of bounds"),
        ({"honest_excess_ppb": 4_001}, "the package's honest work is too near to its threshold"),
        ({"cheats": [{"least_score_ppb": 20_000}]}, "the package's threshold lets cheats pass"),
        ({"cheats": []}, "the package's threshold lets cheats pass"),
        ({"sketch_bins_apart": 3}, "the package's honest auditors differ by too much for sketches"),
        ({"sketch_bins_apart": True}, "calibration.json is malformed"),
        ({"accuse_ppb": 2e4}, "calibration.json is malformed"),
        ({"accuse_ppb": -1}, "calibration.json is malformed"),
        ({"format": "cuckoo-calibration/1"}, "calibration.json is malformed"),
        ({"precision_class": "B"}, "calibration.json is malformed"),
        ({"cheats": 1}, "calibration.json is malformed"),
    ],
)
def test_attack_a_packager_cannot_let_cheats_pass(tmp_path, changes, reason):
    with pytest.raises(PackageError) as error:
        thresholds_of(package(tmp_path, document(**changes)))
    assert str(error.value) == reason


@pytest.mark.parametrize("content", ["", "[]", "[" * 100_000, "{}", '"a"', " " * (CALIBRATION_BYTES_MAX + 1)])
def test_what_is_no_calibration_is_refused(tmp_path, content):
    with pytest.raises(PackageError, match=r"^calibration\.json is malformed$"):
        thresholds_of(package(tmp_path, content))


def test_a_file_that_is_gone_is_refused(tmp_path):
    gone = package(tmp_path, document())
    (tmp_path / CALIBRATION_NAME).unlink()
    with pytest.raises(PackageError, match=r"^calibration\.json cannot be read$"):
        thresholds_of(gone)


def test_accusing_and_convicting():
    single = class_a()
    assert not single.accuses(1e-5, 1e-5)
    assert single.accuses(1.1e-5, 0)
    for worst, mean, convicts in ((1e-4, 5e-5, False), (1.1e-4, 0, True), (6e-5, 5.1e-5, True)):
        assert single.convicts(worst, mean) is convicts
    half = class_b()
    assert not half.accuses(1.0, 0.75)
    assert half.accuses(0.9, 0.8)
    assert not half.convicts(4.0, 2.0)
    assert half.convicts(4.1, 0)
    assert half.convicts(3.0, 2.1)
    for no_number in (float("nan"), float("inf")):
        assert single.accuses(no_number, 0)
        assert single.convicts(no_number, 0)
        assert half.accuses(0, no_number)


def test_the_embedded_model_has_been_measured():
    assert CALIBRATION_NAME in embedded().files
    assert thresholds_of(embedded()) == class_a()
