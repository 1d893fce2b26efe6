"""Circuit addresses by the thousand: records that name ever new relays, to have others dial them.

Parameters: 2,000 records of as many keys (80 in the tests, for a book of 64), each with the 16 circuit
addresses that a record may have, through relays that do not exist, given to one node by one peer; and records
of more addresses than there may be.
Must hold: the address book keeps no more than it may, 4 addresses a peer; the node dials no more hidden peers
at a time than its target says; each dial ends in time.
Reached: 1,024 records with 4 addresses each; 4 of the hidden peers are dialled at a time.
"""

import random

import pytest
import trio
from multiaddr import Multiaddr

from p2p.connection_params import ConnectionParams
from p2p.connections import ConnectionKeeper
from p2p.identity import peer_id_from_secret
from p2p.record_store import RECORDS_MAX, PeerRecords
from p2p.records import ADDRESSES_KEPT_MAX, ADDRESSES_PER_RECORD_MAX, RECORD_BYTES_MAX, seal_record
from p2p.relay.client import RelayClient
from protocol.errors import LocalError
from tests.p2p.nodes import open_hosts, secret, until
from tests.simulation.outcome import Outcome

RELAYS = [peer_id_from_secret(secret(5_000 + number)) for number in range(ADDRESSES_PER_RECORD_MAX)]
# As many as fit: a circuit's address has 52 bytes.
ADDRESSES = [
    Multiaddr(f"/ip4/127.0.0.1/tcp/{1 + n}/p2p/{relay}/p2p-circuit") for n, relay in enumerate(RELAYS)
]
PARAMS = ConnectionParams(tick_ms=20, backoff_ms=20, backoff_max_ms=200, dial_timeout_ms=500)


async def attack(seed: int, records: int = 2_000, records_max: int = RECORDS_MAX) -> Outcome:
    outcome = Outcome(f"circuit addresses: {records} records of relays that do not exist", seed)
    async with open_hosts(1) as (host,), trio.open_nursery() as nursery:
        RelayClient(host, is_wanted=lambda: False)
        book = PeerRecords(secret(0), records_max=records_max)
        keeper = ConnectionKeeper(host, book, [], random.Random(seed), params=PARAMS)
        dialling = [0]
        connect = host.connect

        async def count(address, **options):
            hidden = sum(book.is_hidden(peer) for peer in keeper._dialling)
            dialling[0] = max(dialling[0], hidden)
            return await connect(address, **options)

        host.connect = count
        for number in range(records):
            envelope = seal_record(secret(10_000 + number), 1, ADDRESSES).envelope
            book.accept(envelope, heard_from_ip="127.0.0.1")
        held = [len(entry.addresses) for entry in book.entries()]
        outcome.figure("records kept, addresses of each at most", f"{len(held)}, {max(held)}")
        outcome.check("the book keeps what it may", len(held) <= records_max)
        outcome.check("and few addresses of each", max(held) <= ADDRESSES_KEPT_MAX)
        await nursery.start(keeper.run)
        await until(lambda: keeper.statistics().connections.dial_failed >= 8, 30)
        outcome.figure("hidden peers dialled at a time, at most", str(dialling[0]))
        outcome.check("few hidden peers are dialled at a time", 0 < dialling[0] <= PARAMS.relayed_target)
        nursery.cancel_scope.cancel()
    return outcome


async def test_a_node_dials_few_of_them():
    outcome = await attack(seed=1, records=80, records_max=64)
    assert outcome.holds, outcome.text()


def test_a_record_of_more_addresses_than_may_be_is_none():
    with pytest.raises(LocalError):
        seal_record(secret(1), 1, [*ADDRESSES, *ADDRESSES[:1]])
    assert len(seal_record(secret(1), 1, ADDRESSES).envelope) <= RECORD_BYTES_MAX
