"""One chain a session; each test finds it freshly deployed."""

from __future__ import annotations

import sys

import pytest
import trio

# py_ecc, which eth_account's key files bring along, raises the limit for the whole process; then nested JSON
# can overflow the stack. The tests use eth_account to compare with; what they test must not.
_recursion_limit = sys.getrecursionlimit()
import eth_account  # noqa: E402, F401

sys.setrecursionlimit(_recursion_limit)

from contracts.anvil import anvil_process  # noqa: E402
from tests.contracts.world import deploy_for_tests, visit  # noqa: E402


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
