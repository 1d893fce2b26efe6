"""Our mesh under the benchmark's load: real hosts, each judging every message by the rule of offers.

    python -m tests.bench.mesh_ours LOAD    # as tests.bench.mesh does

Each message is an offer, signed by a miner of its own: the rule drops a miner's older offers, and in a burst
messages overtake one another. Every node recovers every signer, as in production.
"""

from __future__ import annotations

from itertools import combinations

import trio

from node.peer.peer import RULES
from node.system.clock import now_ms
from node.system.lifetime import leave_startup_uncollected
from p2p.mesh import Validation, Validator
from protocol.draw import EpochView, Snapshot
from protocol.hashing import sha256
from protocol.rules.view import Seen, View
from tests.bench.mesh_load import Deliveries, Load, load_of_command, run_phases
from tests.p2p.nodes import open_gossip, until
from tests.protocol.builders import DOMAIN, TERMS, Key, changed, key, model_offer, offer, sealed

TOPIC = "cuckoo/1/31337-c0ffee00/offers"
STAKE_WEI = 20_001 * 10**18
LIFE_MS = 10 * 60 * 1000
OFFER_BYTES = 94
"""Length of an offer's envelope without models,"""
MODEL_BYTES = 66
"""and what one model adds to it at this price."""
PRICE_WEI = 5_000_000_000


def offers_of(miners: list[Key], message_bytes: int) -> list[bytes]:
    """An offer of about `message_bytes` by each."""
    issued_at_ms = now_ms()
    count = round((message_bytes - OFFER_BYTES) / MODEL_BYTES)
    models = tuple(
        changed(model_offer(PRICE_WEI), model_id=sha256(bytes([number]))) for number in range(count)
    )
    changes = {"issued_at_ms": issued_at_ms, "valid_until_ms": issued_at_ms + LIFE_MS, "models": models}
    return [sealed(miner, offer(**changes)) for miner in miners]


def validator(view: View, deliveries: Deliveries) -> Validator:
    """A node's judge, as `node.peer.peer.Peer` wires it: listeners hear at once of what the rule accepted."""
    seen, rule = Seen(), RULES["offers"]

    def validate(data: bytes, forwarder: object) -> Validation:
        del forwarder
        rule(seen, view, data, now_ms())
        deliveries.note(data)
        return Validation.ACCEPT

    return validate


async def main(load: Load) -> None:
    """Run the load."""
    miners = [key(str(number)) for number in range(load.messages)]
    view = View(
        DOMAIN,
        {
            7: EpochView(
                number=7,
                seed=bytes(32),
                miners=Snapshot.of((miner.address, STAKE_WEI) for miner in miners),
                coordinators=Snapshot.of([]),
            )
        },
        TERMS,
    )
    messages = offers_of(miners, load.message_bytes)
    deliveries = Deliveries()
    changes = {"d": load.d, "d_low": load.d_low, "d_high": load.d_high, "heartbeat_ms": load.heartbeat_ms}
    async with open_gossip(load.nodes, **changes) as (hosts, services):
        for service in services:
            service.join(TOPIC, validator(view, deliveries))
        async with trio.open_nursery() as dials:
            for left, right in combinations(hosts, 2):
                dials.start_soon(left.connect, right.listen_addresses()[0])
        await until(lambda: all(len(service.peers(TOPIC)) == load.nodes - 1 for service in services), 60)
        leave_startup_uncollected()  # as every node does
        await trio.sleep(load.settle_ms / 1000)
        await run_phases(load, messages, deliveries, lambda index, data: services[index].publish(TOPIC, data))


if __name__ == "__main__":
    trio.run(main, load_of_command())
