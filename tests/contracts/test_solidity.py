"""The contracts' own tests, gas figures included, and the artefacts that they ran on."""

import subprocess

import pytest

from contracts import build
from contracts.toolchain import CONTRACTS_FOLDER

pytestmark = pytest.mark.process
SOLIDITY_TIMEOUT_S = 560
"""Two minutes of one idle core; within what ends a run that hangs."""


@pytest.fixture(scope="module")
def run():
    """`npm test`, which builds the sources to `contracts/out` first."""
    return subprocess.run(
        ["npm", "test", "--silent"],
        cwd=CONTRACTS_FOLDER,
        capture_output=True,
        text=True,
        timeout=SOLIDITY_TIMEOUT_S,
    )


def test_every_test_of_the_contracts_passes(run):
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_artefacts_are_what_the_sources_build_to(run):
    assert build.differences(build.artefacts_in(CONTRACTS_FOLDER / "out")) == []
