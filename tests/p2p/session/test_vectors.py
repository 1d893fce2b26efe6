"""Replays the committed vectors of sessions as another implementation would: from the files alone."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from p2p.identity import peer_id_from_secret
from p2p.session.noise import Handshake
from p2p.session.payload import open_payload
from p2p.session.yamux import Yamux
from tests.vectors import generate
from tests.vectors.session import event_document

FOLDER = Path(generate.__file__).parent
NOISE = json.loads((FOLDER / "noise.json").read_text())
YAMUX = json.loads((FOLDER / "yamux.json").read_text())
of_hex = bytes.fromhex


def handshake(side):
    return Handshake(
        initiator=side == "initiator",
        static=X25519PrivateKey.from_private_bytes(of_hex(NOISE[side]["static_secret"])),
        ephemeral=X25519PrivateKey.from_private_bytes(of_hex(NOISE[side]["ephemeral_secret"])),
        payload=of_hex(NOISE[side]["payload"]),
    )


@pytest.mark.parametrize("side", ["initiator", "responder"])
def test_each_side_of_the_handshake__says_what_is_written_and_learns_who_the_other_is(side):
    other = {"initiator": "responder", "responder": "initiator"}[side]
    first, second, third = map(of_hex, NOISE["messages"])
    ours = handshake(side)
    if side == "initiator":
        assert ours.start() == first
        assert ours.receive(second) == third
    else:
        assert ours.receive(first) == second
        assert ours.receive(third) == b""
    peer_id, _ = open_payload(ours.remote_payload, ours.remote_static)
    assert peer_id == peer_id_from_secret(of_hex(NOISE[other]["identity_secret"]))
    transport, _ = ours.transport()
    for record in NOISE["records"]:
        plaintext, sealed = of_hex(record["plaintext"]), of_hex(record["record"])
        assert (transport.seal(plaintext) if record["from"] == side else transport.open(sealed)) == (
            sealed if record["from"] == side else [plaintext]
        )


@pytest.mark.parametrize("case", YAMUX, ids=lambda case: case["name"])
def test_yamux__makes_of_bytes_what_is_written(case):
    machine = Yamux(initiator=False)
    assert [event_document(event) for event in machine.receive(of_hex(case["input"]))] == case["events"]
    assert machine.take_output().hex() == case["output"]
    assert machine.violation == case.get("violation")
