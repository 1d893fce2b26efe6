"""node/bootstrap/bootstrap.py as a process of its own, on real sockets and without any chain."""

import random
import signal
import subprocess
import sys

import pytest
import trio
from multiaddr import Multiaddr

from node.bootstrap.bootstrap import TOPICS
from node.commands import peer as peer_cli
from node.devnet.processes import NodeDied
from node.peer.peer import RULES
from node.system.control_client import RequestRefused, ask
from p2p.connections import ConnectionKeeper
from p2p.gossip.service import GossipService
from p2p.host import open_host
from p2p.mesh import Validation
from p2p.record_store import PeerRecords
from tests.limits import CHILD_TIMEOUT_S, HANG_S
from tests.node.bootstrap.processes import LISTEN, ask_once, call_many, running_bootstrap
from tests.p2p.nodes import secret, until

RESIDENT_MIB_MAX = 120


def test_it_subscribes_to_all_topics_that_have_rules():
    assert set(TOPICS) == set(RULES)


@pytest.mark.process
def test_it_needs_neither_the_chains_libraries_nor_arrays():
    forbidden = "{'web3', 'eth_account', 'numpy', 'torch', 'diffusers', 'starlette', 'anycorn'}"
    modules = "node.cli, node.system.logs, node.bootstrap.bootstrap"
    program = f"import sys, {modules}; print({forbidden} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=CHILD_TIMEOUT_S
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.process
async def test_short_calls__leave_nothing_behind_and_a_newcomer_is_answered(tmp_path):
    async with running_bootstrap(tmp_path) as running:
        await call_many(running.address, 60, random.Random(1))
        before = running.resident_mib
        assert await call_many(running.address, 200, random.Random(2)) == 100
        await ask_once(running.address)
        assert running.resident_mib <= RESIDENT_MIB_MAX
        assert running.resident_mib - before < 3
        with trio.fail_after(HANG_S):
            while (health := await trio.to_thread.run_sync(running.health))["network"]["peers"]:
                await trio.sleep(0.1)  # the last one is still on its way out
        assert health["readiness"] == {"ready": True, "reasons": {}}
        assert health["discovery"]["connections"]["connected"] >= 131


@pytest.mark.process
async def test_a_second_one_on_its_data_directory__does_not_start_and_commands_speak_with_the_first(
    tmp_path, capsys
):
    async with running_bootstrap(tmp_path) as running:
        folder = tmp_path / "node"
        with pytest.raises(NodeDied, match=f"another node runs on {folder}; stop it first"):
            async with running_bootstrap(tmp_path):
                pass
        status = await trio.to_thread.run_sync(ask, folder, "status")
        assert status["node"]["process"] == running.process.process.pid
        assert status == running.health() | {name: status[name] for name in ("control", "node")}
        with pytest.raises(RequestRefused, match="no peer with this on-chain address is known"):
            await trio.to_thread.run_sync(lambda: peer_cli.find("0x" + "ab" * 20, data_dir=folder))
        running.process.kill()
        await running.process.process.wait()
        async with running_bootstrap(tmp_path) as again:
            status = await trio.to_thread.run_sync(ask, folder, "status")
            assert status["node"]["process"] == again.process.process.pid


@pytest.mark.process
async def test_killed_and_started_again__it_has_its_identity_and_its_book(tmp_path):
    listen = []
    async with open_host(secret(1), LISTEN) as host:
        for life in range(2):
            async with running_bootstrap(tmp_path, *listen) as running:
                listen = ["--listen", str(running.address).partition("/p2p/")[0]]
                records = PeerRecords(secret(1))
                keeper = ConnectionKeeper(host, records, [running.address], random.Random(1))
                async with trio.open_nursery() as nursery:
                    await nursery.start(keeper.run)
                    await until(host.connected_peers)
                    await until(lambda keeper=keeper: keeper.statistics().exchange.asked >= 1)
                    await trio.sleep(0.5)
                    nursery.cancel_scope.cancel()
                if life == 0:
                    running.process.process.send_signal(signal.SIGTERM)
                    await running.process.process.wait()
                    identity = running.address
                    await until(lambda: not host.connected_peers())
                else:
                    assert running.address == identity
                    assert "records=1" in (tmp_path / "node" / "node.log").read_text()
                    running.process.kill()
                    await running.process.process.wait()
        # After SIGKILL the book is that of the last save; after garbage there is none, and it starts.
        (tmp_path / "node" / "peers.json").write_bytes(b"garbage")
        async with running_bootstrap(tmp_path, *listen) as running:
            assert running.address == identity
            assert "cannot be read" in (tmp_path / "node" / "node.log").read_text()
            assert running.health()["network"]["records"] == 0


@pytest.mark.process
async def test_it_takes_part_in_no_mesh_and_names_others_to_who_asks_into_it(tmp_path):
    topic = "cuckoo/1/31337-00000000/offers"
    async with running_bootstrap(tmp_path) as running, trio.open_nursery() as nursery:
        services = []
        for number in range(4):
            host = await nursery.start(_node, number, running.address, topic, services)
            assert host
        everybody = {host.peer_id for host, _ in services}
        await until(
            lambda: all(
                set(service.mesh_peers(topic)) == everybody - {host.peer_id} for host, service in services
            ),
            timeout_s=30,
        )
        nursery.cancel_scope.cancel()


async def _node(number, bootnode: Multiaddr, topic, services, task_status):
    async with (
        open_host(secret(number), LISTEN, loopback_exempt=True) as host,
        trio.open_nursery() as nursery,
    ):
        records = PeerRecords(secret(number))
        rng = random.Random(number)
        service = GossipService(host, rng)
        service.join(topic, lambda _data, _peer: Validation.ACCEPT)
        keeper = ConnectionKeeper(host, records, [bootnode], rng)
        await nursery.start(service.run)
        await nursery.start(keeper.run)
        services.append((host, service))
        task_status.started(host)
        await trio.sleep_forever()
