"""node/commands/peer.py: a peer is found by its on-chain address, against a running network."""

import json
import random

import pytest
import trio

from node.commands import peer as peer_cli
from p2p.discovery import PeerExchange
from p2p.host import open_host
from p2p.identity import address_of_peer
from p2p.record_store import PeerRecords
from p2p.relay.client import RelayClient
from protocol.errors import LocalError, Refusal
from tests.node.bootstrap.processes import running_bootstrap
from tests.p2p.nodes import LOOPBACK, secret, until


@pytest.mark.parametrize("text", ["", "0x12", "coordinator", "0x" + "g" * 40, "0x" + "0" * 42])
def test_what_is_no_address__is_refused_with_what_one_is(text):
    with pytest.raises(LocalError, match="40 hexadecimal digits"):
        peer_cli.find(text)


def test_a_network_without_bootnodes__cannot_be_asked(tmp_path):
    with pytest.raises(LocalError):
        peer_cli.find("0x" + "00" * 20, network=str(tmp_path))


@pytest.mark.process
async def test_a_listener_and_a_hidden_peer__are_found_and_reached_and_a_stranger_is_not(tmp_path, capsys):
    async with running_bootstrap(tmp_path) as bootstrap, trio.open_nursery() as nursery:
        (tmp_path / "network" / "bootnodes.txt").write_text(f"{bootstrap.address}\n")
        async with open_host(secret(1), LOOPBACK) as listener, open_host(secret(2), []) as hidden:
            client = RelayClient(hidden, is_wanted=lambda: True)
            await nursery.start(client.run)
            for number, host in enumerate((listener, hidden), start=1):
                peer = await host.connect(bootstrap.address)
                await until(lambda host=host: host.addresses())
                records = PeerRecords(secret(number))
                records.renew_own(host.addresses(), 1)
                await PeerExchange(host, records, random.Random(1)).ask(peer)
            for host, through_a_relay in ((listener, False), (hidden, True)):
                account = "0x" + address_of_peer(host.peer_id).hex()
                await trio.to_thread.run_sync(lambda account=account: find(account, tmp_path))
                found = json.loads(capsys.readouterr().out)
                assert found["peer"] == str(host.peer_id)
                assert found["addresses"] == [str(address) for address in host.addresses()]
                assert (found["reached"], found["through_a_relay"]) == (True, through_a_relay)
            with pytest.raises(Refusal, match="no peer with this on-chain address"):
                await trio.to_thread.run_sync(lambda: find("0x" + "ab" * 20, tmp_path))
            nursery.cancel_scope.cancel()
    with pytest.raises(LocalError, match="is the network running"):
        await trio.to_thread.run_sync(lambda: find("0x" + "ab" * 20, tmp_path))


def find(account, folder):
    """In a thread of its own, where it runs its own loop, as the command does."""
    peer_cli.find(account, network=str(folder / "network"))
