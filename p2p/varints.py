"""Unsigned varints, as libp2p and protobuf write them: seven bits a byte, the lowest first.

Is: the writer. Readers are their callers', with a bound on each number (:mod:`p2p.gossip.wire`,
:mod:`p2p.small_messages`).
"""

from __future__ import annotations

from typing import Final

VARINT_CONTINUES: Final = 0x80
"""Set in each byte but the last."""
_SHORT_VARINTS: Final = tuple(bytes((number,)) for number in range(VARINT_CONTINUES))


def encode_varint(number: int) -> bytes:
    """A number, not negative."""
    if number < VARINT_CONTINUES:
        return _SHORT_VARINTS[number]
    encoded = bytearray()
    while number >= VARINT_CONTINUES:
        encoded.append(number & 0x7F | VARINT_CONTINUES)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
