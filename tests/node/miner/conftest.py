"""Shared by the tests of the miner's engine: one engine, and whoever is around it."""

import pytest

from tests.node.miner.engine_world import World


@pytest.fixture
def world():
    return World()
