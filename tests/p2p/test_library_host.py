"""p2p/library/host.py on real sockets: faults of the library that were mended."""

import subprocess
import sys

import pytest
from multiaddr import Multiaddr

from p2p.host import open_host
from protocol.errors import LocalError
from tests.p2p.nodes import LOOPBACK, secret

OPENS_A_STREAM_THAT_IS_REFUSED = """
import logging, trio
logging.basicConfig(level=logging.INFO)  # before the library's import, as a node does
from p2p.host_streams import StreamRefused
from tests.p2p.nodes import connect, open_hosts

async def main():
    async with open_hosts(2) as (alice, bob):
        await connect(bob, alice)
        try:
            await bob.open_stream(alice.peer_id, ["/unknown/1"])
        except StreamRefused:
            print("refused")

trio.run(main)
"""


async def test_a_port_in_use__is_refused_and_not_shared():
    async with open_host(secret(0), LOOPBACK) as host:
        taken = Multiaddr(f"/ip4/127.0.0.1/tcp/{host.listen_addresses()[0].value_for_protocol('tcp')}")
        with pytest.raises(LocalError):
            async with open_host(secret(1), [taken]):
                pass


async def test_an_address_that_is_none_to_listen_at__is_refused():
    with pytest.raises(LocalError):
        async with open_host(secret(0), [Multiaddr("/ip4/127.0.0.1/udp/1")]):
            pass


@pytest.mark.process
def test_the_librarys_own_lines__are_not_printed():
    done = subprocess.run(
        [sys.executable, "-c", OPENS_A_STREAM_THAT_IS_REFUSED], capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("refused\n", "")
