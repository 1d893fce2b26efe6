"""`cuckoo-slash watch --submit` on a real chain: two offences side by side, interrupted, and gone on with."""

from types import SimpleNamespace

import pytest
import trio

from node.commands.evidence_watch import Finder, reporting, watch
from node.peer.evidence_store import EvidenceStore
from protocol.evidence import verify_evidence
from protocol.statement import Domain
from tests.contracts.conftest import chain_process, deployment, world
from tests.contracts.world import NODE, NODE_SECRET, OTHER_NODE, OTHER_NODE_SECRET
from tests.node.commands.test_evidence_submission import POLL_S, WAITS_FOR
from tests.protocol.builders import Key
from tests.protocol.traces import trace_evidence

pytestmark = pytest.mark.process
__all__ = ["chain_process", "deployment", "world"]
CHEATS = (Key("node", NODE_SECRET, NODE), Key("other node", OTHER_NODE_SECRET, OTHER_NODE))


@pytest.fixture
async def data_dir(world, tmp_path):
    """Of a node that has heard of a false step of each of two miners."""
    domain = Domain(world.staking.chain_id, world.slashing.address)
    store = EvidenceStore(tmp_path / "evidence", domain)
    for cheat in CHEATS:
        await world.register(cheat.secret)
        evidence = trace_evidence(domain, cheat)[0]
        assert store.add(evidence, verify_evidence(domain, evidence, {}), {})
    return tmp_path


async def go_on(world, lines, until):
    """Make the blocks that lines say are waited for, until one line has a word in it, or for ever."""
    read = 0
    while True:
        for line in lines[read:]:
            read += 1
            if until and until in line:
                return
            if match := WAITS_FOR.match(line.partition(": ")[2]):
                await world.chain.mine(int(match[1]) - int(match[2]))
        await trio.sleep(POLL_S)


async def watch_until(world, data_dir, until=""):
    """Watch until a line has a word in it, or to the end. :returns: all lines."""
    lines = []
    chain = SimpleNamespace(clients=world.clients, deployment=world.deployment, sender=world.reporter)
    async with trio.open_nursery() as nursery:

        async def make_blocks():
            await go_on(world, lines, until)
            nursery.cancel_scope.cancel()

        nursery.start_soon(make_blocks)
        await watch(Finder([data_dir]), lines.append, reporting(chain, lines.append), count=len(CHEATS))
        nursery.cancel_scope.cancel()
    return lines


async def test_two_offences_are_reported_side_by_side_and_gone_on_with_after_an_interruption(world, data_dir):
    before_wei = await world.token.balance(world.reporter.address)
    interrupted = await watch_until(world, data_dir, "committed in block")
    assert not any("paid to you" in line for line in interrupted)
    lines = await watch_until(world, data_dir)
    assert any(line.endswith(": going on with the report that was begun") for line in lines)
    assert sum(": paid to you: " in line for line in lines) == len(CHEATS)
    for cheat in CHEATS:
        assert (await world.staking.node_info(cheat.address)).own_stake_wei == 0
    assert await world.token.balance(world.reporter.address) > before_wei
    assert not list((data_dir / "evidence").glob("*.report"))
    again = await watch_until(world, data_dir)
    assert sum(line.endswith(": reported, and its reward is paid") for line in again) == len(CHEATS)
