"""One chain a session; each test finds it freshly deployed."""

from __future__ import annotations

import pytest
import trio

from contracts.anvil import anvil_process
from tests.contracts.world import deploy_for_tests, visit


@pytest.fixture(scope="session")
def chain_process():
    with anvil_process() as process:
        yield process


@pytest.fixture(scope="session")
def deployment(chain_process):
    return trio.run(deploy_for_tests, chain_process)


@pytest.fixture
async def world(chain_process, deployment):
    async with visit(chain_process, deployment) as found:
        yield found
