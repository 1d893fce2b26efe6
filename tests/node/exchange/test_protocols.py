"""node/exchange/protocols.py: that one node can serve them all."""

import random

from node.exchange import protocols
from node.exchange.audit_paying import AUDIT_PAY_ADMISSION
from node.peer.clock_exchange import CLOCK_PROTOCOL
from p2p.network import NetworkConfig, open_network
from tests.p2p.nodes import secret


async def test_the_shares_of_streams_of_all_protocols__fit_into_one_host():
    names = {name: value for name, value in vars(protocols).items() if name.endswith("_PROTOCOL")}
    assert names
    async with open_network(secret(0), NetworkConfig(), rng=random.Random(0)) as network:
        for protocol in (*names.values(), CLOCK_PROTOCOL):
            admission = AUDIT_PAY_ADMISSION if protocol == protocols.AUDIT_PAY_PROTOCOL else None
            network.host.handle_direct_streams(protocol, lambda _stream, _peer: None, admission=admission)
