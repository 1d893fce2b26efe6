"""Vectors of sessions: one noise handshake with fixed keys and what follows, and yamux as events of bytes."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from p2p.identity import key_pair_from_secret
from p2p.session.noise import Handshake
from p2p.session.payload import make_payload
from p2p.session.yamux import Yamux
from p2p.session.yamux_frames import ACK, DATA, FIN, GO_AWAY, HEADER, PING, RST, SYN, WINDOW_UPDATE
from p2p.session.yamux_streams import Event

SIDES = ("initiator", "responder")
TEXTS = (b"from the initiator", b"again", bytes(300))


def noise_vectors() -> Any:
    """A handshake, message by message, and records both ways."""
    sides = {side: _side(side) for side in SIDES}
    initiator, responder = (_handshake(side) for side in sides.values())
    first = initiator.start()
    second = responder.receive(first)
    third = initiator.receive(second)
    responder.receive(third)
    (one, _), (other, _) = initiator.transport(), responder.transport()
    records = [
        {"from": side, "plaintext": text.hex(), "record": sender.seal(text).hex()}
        for side, sender in zip(SIDES, (one, other), strict=True)
        for text in TEXTS
    ]
    return {
        "protocol": "Noise_XX_25519_ChaChaPoly_SHA256",
        **sides,
        "messages": [message.hex() for message in (first, second, third)],
        "records": records,
    }


def _side(side: str) -> dict[str, str]:
    number = SIDES.index(side)
    identity, static, ephemeral = (bytes([start + number]) * 32 for start in (0x11, 0x21, 0x31))
    key_pair = key_pair_from_secret(identity)
    public = X25519PrivateKey.from_private_bytes(static).public_key().public_bytes_raw()
    return {
        "identity_secret": identity.hex(),
        "static_secret": static.hex(),
        "ephemeral_secret": ephemeral.hex(),
        "payload": make_payload(key_pair.private_key, public).hex(),
    }


def _handshake(side: dict[str, str]) -> Handshake:
    return Handshake(
        initiator=side["identity_secret"].startswith("11"),
        static=X25519PrivateKey.from_private_bytes(bytes.fromhex(side["static_secret"])),
        ephemeral=X25519PrivateKey.from_private_bytes(bytes.fromhex(side["ephemeral_secret"])),
        payload=bytes.fromhex(side["payload"]),
    )


def _frame(kind: int, flags: int, stream_id: int, length: int = 0, body: bytes = b"") -> bytes:
    return HEADER.pack(0, kind, flags, stream_id, length or len(body)) + body


OPEN = _frame(WINDOW_UPDATE, SYN, 1)
YAMUX_CASES = {
    "a stream opens, carries and ends": OPEN + _frame(DATA, 0, 1, body=b"hello") + _frame(DATA, FIN, 1),
    "a stream opens with its data": _frame(DATA, SYN, 3, body=b"x"),
    "a stream ends with its data": OPEN + _frame(DATA, FIN, 1, body=b"last"),
    "a stream opens with more window": _frame(WINDOW_UPDATE, SYN, 1, 1_000),
    "a stream is reset": OPEN + _frame(WINDOW_UPDATE, RST, 1),
    "frames of a stream that is gone": OPEN + _frame(DATA, RST, 1) + _frame(DATA, 0, 1, body=b"late"),
    "a ping": _frame(PING, SYN, 0, 0xDEADBEEF),
    "an answer to a ping": _frame(PING, ACK, 0, 7),
    "a farewell": _frame(GO_AWAY, 0, 0),
    "flags that nobody knows": _frame(WINDOW_UPDATE, SYN | 0x8000, 1),
    "another version": b"\x01" + OPEN[1:],
    "an unknown type": _frame(4, 0, 0),
    "data for the session": _frame(DATA, 0, 0, body=b"x"),
    "a stream that only we may open": _frame(WINDOW_UPDATE, SYN, 2),
    "a stream that is open": OPEN + OPEN,
    "data beyond the window": OPEN + _frame(DATA, 0, 1, 256 * 1024 + 1),
    "more window than 32 bits": OPEN + _frame(WINDOW_UPDATE, 0, 1, 2**32 - 1),
    "data after the end": OPEN + _frame(DATA, FIN, 1) + _frame(DATA, 0, 1, body=b"x"),
}


def yamux_vectors() -> Any:
    """What a listener that did nothing by itself makes of bytes."""
    cases = []
    for name, data in YAMUX_CASES.items():
        machine = Yamux(initiator=False)
        events = [event_document(event) for event in machine.receive(data)]
        case = {"name": name, "input": data.hex(), "events": events, "output": machine.take_output().hex()}
        if machine.violation is not None:
            case["violation"] = machine.violation
        cases.append(case)
    return cases


def event_document(event: Event) -> dict[str, Any]:
    """An event with its name; bytes in hexadecimal."""
    values = {
        name: value.hex() if isinstance(value, bytes) else value for name, value in event._asdict().items()
    }
    return {"event": type(event).__name__, **values}
