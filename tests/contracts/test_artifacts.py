"""contracts/artifacts.py and contracts/build.py; `test_solidity` compares with what the sources build to."""

from __future__ import annotations

import pytest

from contracts import build
from contracts.artifacts import CONTRACT_NAMES, ArtifactMissing, load_artifact
from contracts.toolchain import ToolMissing


def test_a_changed_artefact_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "ARTIFACTS_FOLDER", tmp_path)
    (tmp_path / "CAI.json").write_text("{}", "utf-8")
    (tmp_path / "Staking.json").write_text("same\n", "utf-8")
    built = {"CAI": "{ }", "Staking": "same\n", "Slashing": "missing"}
    assert build.differences(built) == ["CAI", "Slashing"]


def test_a_missing_toolchain_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "CONTRACTS_FOLDER", tmp_path)
    with pytest.raises(ToolMissing, match="make setup"):
        build.build()


@pytest.mark.process
def test_sources_that_do_not_compile_are_a_failed_build(tmp_path, monkeypatch):
    failing = tmp_path / "forge"
    failing.write_text("#!/bin/sh\necho ParserError; exit 1\n", "utf-8")
    failing.chmod(0o755)
    monkeypatch.setattr(build, "find_tool", lambda _name, _folder: failing)
    with pytest.raises(build.BuildFailed, match="ParserError"):
        build.build()


@pytest.mark.parametrize("name", CONTRACT_NAMES)
def test_every_artefact_can_be_deployed(name):
    artifact = load_artifact(name)
    assert artifact.name == name
    assert artifact.bytecode
    assert len(artifact.bytecode) <= 49_152  # EIP-3860
    assert any(entry["type"] == "constructor" for entry in artifact.abi)


def test_an_unknown_artefact_is_missing():
    with pytest.raises(ArtifactMissing) as caught:
        load_artifact("Escrow of tomorrow")
    assert caught.value.name == "Escrow of tomorrow"
