"""The machines of a session as targets: any bytes, whole or in pieces, give the same, and never an error."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from p2p.session.noise import Handshake, Transport
from p2p.session.payload import open_payload
from p2p.session.yamux import Yamux
from p2p.session.yamux_streams import Event
from tests.fuzz.target import Target
from tests.vectors.session import YAMUX_CASES, noise_vectors

KEYS = [X25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (0x22, 0x32)]
NOISE = noise_vectors()


def _cuts(data: bytes) -> list[bytes]:
    """The same bytes in three pieces; where they are cut is theirs to say."""
    first = data[0] % len(data) if data else 0
    return [data[:first], data[first : first + 5], data[first + 5 :]]


def _yamux(data: bytes) -> None:
    def heard(pieces: list[bytes]) -> tuple[list[Event], str | None, bytes]:
        machine = Yamux(initiator=False)
        machine.open_stream()
        events = [event for piece in pieces for event in machine.receive(piece)]
        for stream in machine._streams.values():
            assert min(stream.send_window, stream.receive_window) >= 0
        return events, machine.violation, machine.take_output()

    assert heard([data]) == heard(_cuts(data))


def _handshake(data: bytes) -> None:
    for initiator in (True, False):

        def heard(pieces: list[bytes], *, initiator: bool = initiator) -> tuple[bytes, str | None, bool]:
            side = Handshake(initiator=initiator, static=KEYS[0], ephemeral=KEYS[1], payload=b"payload")
            out = side.start() + b"".join([side.receive(piece) for piece in pieces])
            return out, side.violation, side.done

        assert heard([data]) == heard(_cuts(data))


def _records(data: bytes) -> None:
    def heard(pieces: list[bytes]) -> tuple[list[bytes], str | None]:
        transport = Transport(bytes(32), bytes(32))
        return [text for piece in pieces for text in transport.open(piece)], transport.violation

    assert heard([data]) == heard(_cuts(data))


def _payload(data: bytes) -> None:
    open_payload(data, bytes(32))


def session_targets() -> list[Target]:
    """One for each machine and the payload."""
    sender = Transport(bytes(32), bytes(32))
    records = b"".join(sender.seal(text) for text in (b"one", b"two", bytes(99)))
    return [
        Target("yamux", _yamux, tuple(YAMUX_CASES.values())),
        Target("noise handshake", _handshake, tuple(bytes.fromhex(one) for one in NOISE["messages"])),
        Target("noise records", _records, (records,)),
        Target("noise payload", _payload, (bytes.fromhex(NOISE["initiator"]["payload"]),)),
    ]
