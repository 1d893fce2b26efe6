"""A guard that is lost: the node refuses to start, and its offers under a new one contradict nothing."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import trio

from node.inference.pool.tickets import Counts
from node.miner import miner as module
from node.miner import offering
from node.miner.miner import Miner
from node.miner.terms import ModelTerms
from node.peer.guard_start import require_guard
from node.peer.own_statements import OwnStatements, OwnStatementsStatus
from node.signing.guard import GUARD_FILE, make_guard, open_guard
from node.system.events import EventBus
from node.system.observable import Observable
from protocol.draw import EpochView, Snapshot
from protocol.errors import MustStop
from protocol.rules import offers
from protocol.rules.view import Seen, View
from protocol.statement import open_statement, seal
from tests.node.builders import PACKAGE
from tests.node.miner.engine_world import DOMAIN, MINER, TERMS
from tests.node.miner.test_miner import Host, Payee, Throttle, now_ms

RUN_S = 600 if os.environ.get("CUCKOO_LONG") else 60
"""By a clock that jumps; ten minutes before the loss, ten after it, in the whole form."""
OFFER_INTERVAL_MS = 2_000
OFFER_LIFE_MS = 20_000
VIEW = View(
    DOMAIN,
    {7: EpochView(7, b"\x07" * 32, Snapshot.of([(MINER.address, 10**24)]), Snapshot.of([]))},
    TERMS,
)


class Network:
    """All other peers: they have heard everything, and judge by the rule of the topic."""

    def __init__(self):
        self.seen, self.heard = Seen(), []

    async def publish(self, topic, data):
        """:raises Contradiction: the miner has signed something else in this slot before."""
        await trio.lowlevel.checkpoint()
        assert topic == offers.TOPIC
        offers.validate_offer(self.seen, VIEW, data, now_ms())
        self.heard.append(data)


async def offer_for(seconds, guard, network, folder):
    """Run an honest miner on a guard."""

    def sealed(message, task=None):
        return open_statement(DOMAIN, seal(DOMAIN, message, guard.sign), type(message))

    parameters = SimpleNamespace(
        progress_timeout_ms=5_000,
        chain_poll_ms=500,
        offer_interval_ms=OFFER_INTERVAL_MS,
        offer_life_ms=OFFER_LIFE_MS,
    )
    peer = SimpleNamespace(
        key=MINER,
        domain=DOMAIN,
        beacons=SimpleNamespace(want=lambda deadline_ms: None),
        accuse=lambda found: None,
        seen=Seen(),
        data_dir=folder,
        host=Host(),
        lookup=None,
        view=VIEW,
        network=SimpleNamespace(parameters=parameters),
        guard=guard,
        seal=sealed,
        context=SimpleNamespace(observable=Observable(), events=EventBus(), started=lambda: None),
        listen=lambda topic, listener: None,
        publish=network.publish,
        alone=trio.Event(),
    )
    peer.alone.set()
    workers = SimpleNamespace(statistics=Counts().snapshot)
    miner = Miner(peer, workers, [PACKAGE], ModelTerms([PACKAGE], 0, 1), Throttle(), Payee())
    with trio.move_on_after(seconds):
        await miner.run()


async def test_attack_lost_guard__offers_before_and_after_contradict_nothing(
    tmp_path, monkeypatch, autojump_clock
):
    async def try_speed(workers, package):
        await trio.lowlevel.checkpoint()
        return 250

    async def is_known(address):
        await trio.lowlevel.checkpoint()
        return True

    for clock in (module, offering):
        monkeypatch.setattr(clock, "now_ms", now_ms)
    monkeypatch.setattr(module, "try_speed", try_speed)
    network, path = Network(), tmp_path / GUARD_FILE
    make_guard(path, MINER.address)
    with open_guard(path, MINER) as guard:
        await offer_for(RUN_S, guard, network, tmp_path)
    before = list(network.heard)
    for file in tmp_path.glob(f"{GUARD_FILE}*"):
        file.unlink()
    with pytest.raises(MustStop):
        await require_guard(tmp_path, MINER, is_known)
    assert not path.exists()
    assert network.heard == before

    make_guard(path, MINER.address, made_at_ms=now_ms())  # guard init --never-signed
    await require_guard(tmp_path, MINER, is_known)
    with open_guard(path, MINER) as guard:
        own = OwnStatements(MINER.address, DOMAIN, guard, {}, tmp_path)
        await offer_for(RUN_S, guard, network, tmp_path)
        # Whoever plays all of it back at the node stops it not.
        for encoded in network.heard:
            own.hear(encoded)
        assert own.reason is None
        after = len(network.heard) - len(before)
        assert own.status() == OwnStatementsStatus(known=after, forgotten=len(before))
    enough = RUN_S * 1_000 // OFFER_INTERVAL_MS
    assert min(len(before), after) >= enough
    assert len({open_sequence(encoded) for encoded in network.heard}) == len(network.heard)


def open_sequence(encoded):
    return open_statement(DOMAIN, encoded, offers.Offer).message.sequence
