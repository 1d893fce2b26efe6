"""Noise_XX_25519_ChaChaPoly_SHA256 as libp2p uses it, sans I/O: bytes in, bytes out, never an exception.

Is: the three messages of the handshake and the records after it (Noise Protocol Framework, revision 34;
libp2p noise specification). Keys are given, so that vectors can be replayed.
Is not: a check of who the remote is; the payload that says so is opened by :mod:`p2p.session.payload`.

    message  = length (2 bytes, big-endian) | body
    1  ->  e
    2  <-  e, ee, s, es, payload
    3  ->  s, se, payload
    record   = ciphertext of 0 to 65,519 bytes | tag (16 bytes); a counter for each direction is the nonce

Any bytes, whole or one at a time, give the same plaintext. What breaks the protocol is not raised but named
in ``violation``; everything before it has come out then, and nothing more does.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from p2p.session.counts import Violation
from protocol.errors import LocalError

PROTOCOL_NAME: Final = b"Noise_XX_25519_ChaChaPoly_SHA256"
KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
LENGTH_BYTES: Final = 2
RECORD_PLAINTEXT_BYTES_MAX: Final = 65_535 - TAG_BYTES
"""Plaintext of one record; the length of its ciphertext has two bytes."""

_NONCE_PREFIX: Final = bytes(4)


class Handshake:
    """One side of the handshake. :meth:`start`, then :meth:`receive` until it is ``done``.

    :ivar violation: what the remote did wrong (NOISE_KEY, NOISE_MESSAGE or NOISE_TAG), or None.
    :ivar remote_static: the remote's X25519 key, 32 bytes, once it has come.
    :ivar remote_payload: the remote's payload, once it has come; authentic for ``remote_static`` and no more.
    """

    def __init__(
        self, *, initiator: bool, static: X25519PrivateKey, ephemeral: X25519PrivateKey, payload: bytes
    ) -> None:
        self.violation: Violation | None = None
        self.remote_static = b""
        self.remote_payload = b""
        self._initiator = initiator
        self._static = static
        self._ephemeral = ephemeral
        self._payload = payload
        self._buffer = bytearray()
        self._remote_ephemeral = b""
        self._step = 0
        self._hash = self._chain = PROTOCOL_NAME  # 32 bytes long, so it stands for its own hash
        self._key: ChaCha20Poly1305 | None = None
        self._nonce = 0
        self._mix_hash(b"")  # libp2p's prologue is empty

    @property
    def done(self) -> bool:
        """Whether all three messages have passed; then :meth:`transport` can be had."""
        return self._step == 3  # noqa: PLR2004 - the pattern has three messages

    def start(self) -> bytes:
        """Bytes that go out before anything comes in: the first message, or nothing from a responder."""
        if not self._initiator:
            return b""
        self._step = 1
        ephemeral = self._ephemeral.public_key().public_bytes_raw()
        self._mix_hash(ephemeral)
        self._mix_hash(b"")
        return _framed(ephemeral)

    def receive(self, data: bytes) -> bytes:
        """Take bytes as they came; returns what goes out in answer. Never raises."""
        self._buffer += data
        answer = b""
        while self.violation is None and not self.done:
            message = _next_message(self._buffer)
            if message is None:
                break
            try:
                answer += self._take(message)
            except InvalidTag:
                self.violation = Violation.NOISE_TAG
            except ValueError:  # a point of low order
                self.violation = Violation.NOISE_KEY
        return answer

    def transport(self) -> tuple[Transport, bytes]:
        """The session's ciphers, and the bytes that came after the handshake, still sealed.

        :raises LocalError: the handshake is not done.
        """
        if not self.done:
            raise LocalError("the handshake is not done")
        first, second = _hkdf(self._chain, b"")
        keys = (first, second) if self._initiator else (second, first)
        return Transport(*keys), bytes(self._buffer)

    def _take(self, message: bytes) -> bytes:
        if self._step == 0:
            return self._take_first(message)
        if self._initiator:
            return self._take_second(message)
        return self._take_third(message)

    def _take_first(self, message: bytes) -> bytes:
        if len(message) < KEY_BYTES:
            self.violation = Violation.NOISE_MESSAGE
            return b""
        self._remote_ephemeral = message[:KEY_BYTES]
        self._mix_hash(self._remote_ephemeral)
        self._mix_hash(message[KEY_BYTES:])  # the first payload is empty, but nothing forbids one
        ephemeral = self._ephemeral.public_key().public_bytes_raw()
        self._mix_hash(ephemeral)
        self._mix_key(self._ephemeral, self._remote_ephemeral)
        sealed = self._seal(self._static.public_key().public_bytes_raw())
        self._mix_key(self._static, self._remote_ephemeral)
        self._step = 2
        return _framed(ephemeral + sealed + self._seal(self._payload))

    def _take_second(self, message: bytes) -> bytes:
        if len(message) < 2 * KEY_BYTES + 2 * TAG_BYTES:
            self.violation = Violation.NOISE_MESSAGE
            return b""
        self._remote_ephemeral = message[:KEY_BYTES]
        self._mix_hash(self._remote_ephemeral)
        self._mix_key(self._ephemeral, self._remote_ephemeral)
        static_end = 2 * KEY_BYTES + TAG_BYTES
        self.remote_static = self._open(message[KEY_BYTES:static_end])
        self._mix_key(self._ephemeral, self.remote_static)
        self.remote_payload = self._open(message[static_end:])
        sealed = self._seal(self._static.public_key().public_bytes_raw())
        self._mix_key(self._static, self._remote_ephemeral)
        self._step = 3
        return _framed(sealed + self._seal(self._payload))

    def _take_third(self, message: bytes) -> bytes:
        if len(message) < KEY_BYTES + 2 * TAG_BYTES:
            self.violation = Violation.NOISE_MESSAGE
            return b""
        static_end = KEY_BYTES + TAG_BYTES
        self.remote_static = self._open(message[:static_end])
        self._mix_key(self._ephemeral, self.remote_static)
        self.remote_payload = self._open(message[static_end:])
        self._step = 3
        return b""

    def _mix_hash(self, data: bytes) -> None:
        self._hash = hashlib.sha256(self._hash + data).digest()

    def _mix_key(self, private: X25519PrivateKey, public: bytes) -> None:
        shared = private.exchange(X25519PublicKey.from_public_bytes(public))
        self._chain, key = _hkdf(self._chain, shared)
        self._key, self._nonce = ChaCha20Poly1305(key), 0

    def _seal(self, plaintext: bytes) -> bytes:
        assert self._key is not None
        sealed = self._key.encrypt(_nonce(self._nonce), plaintext, self._hash)
        self._nonce += 1
        self._mix_hash(sealed)
        return sealed

    def _open(self, sealed: bytes) -> bytes:
        assert self._key is not None
        plaintext = self._key.decrypt(_nonce(self._nonce), sealed, self._hash)
        self._nonce += 1
        self._mix_hash(sealed)
        return plaintext


class Transport:
    """Seals what goes out and opens what comes in. The counters are 64 bits wide and never come round.

    :ivar violation: NOISE_TAG or NOISE_MESSAGE after a record that is not the remote's, or None.
    """

    def __init__(self, sending_key: bytes, receiving_key: bytes) -> None:
        self.violation: Violation | None = None
        self._sending = ChaCha20Poly1305(sending_key)
        self._receiving = ChaCha20Poly1305(receiving_key)
        self._sent = 0
        self._received = 0
        self._buffer = bytearray()
        self._needed = LENGTH_BYTES

    def seal(self, plaintext: bytes) -> bytes:
        """Records that hold the plaintext, as few as can be; none for nothing."""
        if len(plaintext) <= RECORD_PLAINTEXT_BYTES_MAX:
            return self._seal_record(plaintext) if plaintext else b""
        records = []
        view = memoryview(plaintext)
        for start in range(0, len(plaintext), RECORD_PLAINTEXT_BYTES_MAX):
            piece = view[start : start + RECORD_PLAINTEXT_BYTES_MAX]
            records.append(self._seal_record(piece))
        return b"".join(records)

    def _seal_record(self, plaintext: bytes | memoryview) -> bytes:
        nonce = _NONCE_PREFIX + self._sent.to_bytes(8, "little")
        self._sent += 1
        length = (len(plaintext) + TAG_BYTES).to_bytes(LENGTH_BYTES, "big")
        return length + self._sending.encrypt(nonce, plaintext, None)

    def open(self, data: bytes) -> list[bytes]:
        """Take bytes as they came; returns the plaintext of each whole record. Never raises."""
        if self.violation is not None:
            return []
        if self._buffer:
            # Grown in place: a record that comes byte by byte is not copied with every byte.
            self._buffer += data
            if len(self._buffer) < self._needed:
                return []
            data = bytes(self._buffer)
            self._buffer = bytearray()
        opened: list[bytes] = []
        offset, end = 0, len(data)
        view = memoryview(data)
        self._needed = LENGTH_BYTES
        while end - offset >= LENGTH_BYTES:
            start = offset + LENGTH_BYTES
            record_end = start + (data[offset] << 8 | data[offset + 1])
            if record_end > end:
                self._needed = record_end - offset
                break
            plaintext = self._open_record(view[start:record_end])
            if plaintext is None:
                return opened
            opened.append(plaintext)
            offset = record_end
        if offset < end:
            self._buffer += view[offset:]
        return opened

    def _open_record(self, sealed: memoryview) -> bytes | None:
        if len(sealed) < TAG_BYTES:
            self.violation = Violation.NOISE_MESSAGE
            return None
        nonce = _NONCE_PREFIX + self._received.to_bytes(8, "little")
        try:
            plaintext = self._receiving.decrypt(nonce, sealed, None)
        except InvalidTag:
            self.violation = Violation.NOISE_TAG
            return None
        self._received += 1
        return plaintext


def _nonce(counter: int) -> bytes:
    return _NONCE_PREFIX + counter.to_bytes(8, "little")


def _hkdf(chain: bytes, material: bytes) -> tuple[bytes, bytes]:
    """HKDF of the framework's section 4.3, two outputs."""
    temporary = hmac.digest(chain, material, "sha256")
    first = hmac.digest(temporary, b"\x01", "sha256")
    return first, hmac.digest(temporary, first + b"\x02", "sha256")


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(LENGTH_BYTES, "big") + message


def _next_message(buffer: bytearray) -> bytes | None:
    if len(buffer) < LENGTH_BYTES:
        return None
    end = LENGTH_BYTES + int.from_bytes(buffer[:LENGTH_BYTES])
    if len(buffer) < end:
        return None
    message = bytes(buffer[LENGTH_BYTES:end])
    del buffer[:end]
    return message
