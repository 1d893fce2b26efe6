"""What is true must not depend on who looks: statements and vectors in a second implementation."""

import json
import random
import subprocess

import pytest
import trio
from multiaddr import Multiaddr

from p2p.gossip.service import GossipService
from p2p.mesh import Validation
from protocol.evidence import FORM_OF
from protocol.messages import Offer
from protocol.rules import offers
from protocol.rules.view import Seen
from protocol.statement import open_statement
from tests.interop.peer import FOLDER, js_peer, until_async
from tests.limits import CHILD_TIMEOUT_S
from tests.p2p.nodes import open_hosts, secret, until
from tests.protocol import builders
from tests.protocol.builders import DOMAIN, MINERS, MODEL_ID, NOW_MS, STRANGER, offer, sealed

pytestmark = pytest.mark.process
TOPIC = "cuckoo/1/31337-c0ffee00/offers"
NETWORK = {"chain_id": DOMAIN.chain_id, "slashing_contract": DOMAIN.verifying_contract.hex()}
VIEW = {
    **NETWORK,
    "epochs": [{"number": 7, "miners": [{"address": miner.address.hex()} for miner in MINERS.values()]}],
}


def fields(sequence):
    """An offer, in the notation of ``tests/vectors/cbor.json``."""
    numbers = [{"uint": str(number)} for number in (sequence, NOW_MS, NOW_MS + 20_000, 1)]
    works = [[{"uint": kind}, [{"uint": "2500000"}], {"uint": "900"}] for kind in ("0", "1")]
    return [*numbers, [[{"bytes": MODEL_ID.hex()}, works]]]


def validator(accepted):
    seen = Seen()

    def validate(data, _peer):
        accepted.append(offers.validate_offer(seen, builders.view(), data, NOW_MS))
        return Validation.ACCEPT

    return validate


def test_their_replay_of_our_vectors__agrees_in_every_case():
    vectors = FOLDER.parent / "vectors"
    ended = subprocess.run(
        ["node", FOLDER / "js" / "vectors.js", vectors],
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
    )
    assert ended.returncode == 0, ended.stderr
    replayed = json.loads(ended.stdout)
    assert replayed["offers"] == len(json.loads((vectors / "rules" / "offers.json").read_text()))
    assert min(replayed.values()) >= 2
    assert replayed["evidence"] == len(FORM_OF) - 4  # of the others, rules of statements alone are asked
    assert replayed["traces"] == len(json.loads((vectors / "trace.json").read_text()))


async def test_the_same_words__are_the_same_bytes_whoever_signs():
    ann = MINERS["ann"]
    async with js_peer(ann.secret) as js:
        theirs = await js.do("seal", **NETWORK, kind=1, fields=fields(3), secret=ann.secret.hex())
        assert bytes.fromhex(theirs) == sealed(ann, offer())
        statement = open_statement(DOMAIN, sealed(ann, offer()), Offer)
        assert await js.do("open", **NETWORK, envelope=theirs) == {
            "kind": 1,
            "slot": statement.message.slot().hex(),
            "digest": statement.digest.hex(),
            "signer": ann.address.hex(),
        }


async def test_an_offer_that_they_sign__passes_our_rules_and_ours_pass_theirs():
    ann, bob = MINERS["ann"], MINERS["bob"]
    accepted = []
    async with open_hosts(1) as (host,), js_peer(ann.secret) as js, trio.open_nursery() as nursery:
        service = GossipService(host, random.Random(0))
        service.join(TOPIC, validator(accepted))
        await nursery.start(service.run)
        await host.connect(Multiaddr(js.multiaddr))
        await js.do("subscribe", topic=TOPIC, view=VIEW, now_ms=NOW_MS)
        await until(lambda: service.mesh_peers(TOPIC))
        theirs = await js.do("seal", **NETWORK, kind=1, fields=fields(0), secret=ann.secret.hex())
        await js.do("publish", topic=TOPIC, data=theirs)
        await until(lambda: accepted)
        # Its network identity and the signer of its words are one address.
        assert accepted[0].signer.address == js.address == ann.address
        assert accepted[0].message.sequence == 0
        await service.publish(TOPIC, sealed(bob, offer()))
        await js.until_received(TOPIC, sealed(bob, offer()))
        nursery.cancel_scope.cancel()


async def test_a_bad_offer_of_theirs__costs_them_and_a_bad_one_of_ours_is_dropped_by_them():
    ann = MINERS["ann"]
    accepted = []
    async with open_hosts(1) as (host,), js_peer(secret(7)) as js, trio.open_nursery() as nursery:
        service = GossipService(host, random.Random(0))
        service.join(TOPIC, validator(accepted))
        await nursery.start(service.run)
        await host.connect(Multiaddr(js.multiaddr))
        await js.do("subscribe", topic=TOPIC, view=VIEW, now_ms=NOW_MS)
        await until(lambda: service.mesh_peers(TOPIC))
        forged = bytearray(sealed(ann, offer()))
        forged[-1] ^= 4  # neither 27 nor 28: no signature
        await js.do("publish", topic=TOPIC, data=forged.hex())
        await until(lambda: service.score(js.peer_id) < 0)
        await service.publish(TOPIC, sealed(STRANGER, offer()))
        await service.publish(TOPIC, sealed(ann, offer(sequence=9)))
        await until_async(lambda: has(js, sealed(ann, offer(sequence=9))))
        assert await js.received(TOPIC) == [sealed(ann, offer(sequence=9))]
        assert accepted == []
        nursery.cancel_scope.cancel()


async def has(js, data):
    return data in await js.received(TOPIC)
