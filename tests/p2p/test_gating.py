"""Who may do what: anybody may connect and listen; what nobody registered signed, nobody hears.

The gate is not at the door: `p2p/connections.py` says why. `protocol/rules/` judges each message by its
author, and `p2p/gossip/` neither delivers nor forwards what a rule does not accept.
"""

from contextlib import asynccontextmanager

from p2p.mesh import Validation
from protocol.rules.offers import TOPIC, validate_offer
from protocol.rules.view import Seen
from tests.p2p.nodes import connect, hear, open_gossip, until
from tests.protocol import builders
from tests.protocol.builders import MINERS, NOW_MS, STRANGER, sealed


def validator():
    """The rule of offers as a node applies it: by the chain's view, whoever forwarded the offer."""
    seen, view = Seen(), builders.view()

    def validate(data, _forwarder):
        validate_offer(seen, view, data, NOW_MS)
        return Validation.ACCEPT

    return validate


@asynccontextmanager
async def three_in_a_line():
    """An unstaked peer, one in the middle, one far away; all subscribe to offers."""
    async with open_gossip(3) as (hosts, services):
        channels = [hear(service, TOPIC, validator()) for service in services]
        await connect(hosts[0], hosts[1])
        await connect(hosts[1], hosts[2])
        await until(lambda: [len(service.mesh_peers(TOPIC)) for service in services] == [1, 2, 1])
        yield services, channels


async def test_a_peer_without_stake__hears_what_others_say():
    async with three_in_a_line() as (services, channels):
        offer = sealed(MINERS["ann"], builders.offer())
        await services[2].publish(TOPIC, offer)
        assert await channels[0].receive() == offer


async def test_what_a_peer_without_stake_signs__is_neither_delivered_nor_forwarded():
    async with three_in_a_line() as (services, channels):
        await services[0].publish(TOPIC, sealed(STRANGER, builders.offer()))
        await services[0].publish(TOPIC, offer := sealed(MINERS["ann"], builders.offer()))
        # The one that it passes on for a registered miner arrives; its own, sent before, has not.
        for channel in channels[1:]:
            assert await channel.receive() == offer
            assert channel.statistics().current_buffer_used == 0
        assert services[1].score(services[1].peers(TOPIC)[0]) >= 0
