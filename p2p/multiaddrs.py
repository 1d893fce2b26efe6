"""Reading multiaddrs that others wrote.

Is: the one place where the multiaddr library meets bytes and text of strangers.
Is not: a judgement whether an address may be dialled (:func:`p2p.records.is_plausible`).
"""

from __future__ import annotations

from multiaddr import Multiaddr

from protocol.errors import DecodeError


def parse_multiaddr(raw: bytes | str) -> Multiaddr:
    """An address, each part of it checked; the library itself checks bytes when they are asked for only.

    :raises DecodeError: it is not an address, or an empty one.
    """
    try:
        address = Multiaddr(raw)
        is_empty = not str(address).strip("/")
        list(address.items())  # its text may be right where its parts are not
        is_whole = isinstance(raw, str) or Multiaddr(str(address)).to_bytes() == raw
    except Exception as error:  # the library raises what it likes
        raise DecodeError("not a multiaddr") from error
    if is_empty:
        raise DecodeError("an empty multiaddr")
    if not is_whole:
        raise DecodeError("a multiaddr that is cut short")  # the library fills up what is missing
    return address
