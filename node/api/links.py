"""Pictures under short-lived links that nobody can guess, for apps that ask for a URL instead of bytes.

Is: a bounded memory; time and chance are arguments. Is not: HTTP, or a disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

LINK_PATH: Final = "/v1/cuckoo/pictures"
"""Links lead below it."""
LINKS_MAX: Final = 256
LINK_BYTES_MAX: Final = 128 * 1024 * 1024
"""Bytes of all pictures behind links; beyond either, the oldest link of the token that has most of it goes.
The largest answer has room: ten pictures of 2048 x 2048 pixels that no encoder can make smaller.
"""
LINK_LIFETIME_MS: Final = 60 * 60 * 1000
"""How long a link leads to its picture: as long as OpenAI's."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture behind a link.

    :ivar data: the file. :ivar media_type: of it. :ivar token_id: whose it is.
    """

    data: bytes
    media_type: str
    token_id: str
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """For people and monitors.

    :ivar links: that lead somewhere. :ivar size_bytes: of their pictures. :ivar given: since the start.
    :ivar dropped: that ended before their time, for lack of room.
    """

    links: int
    size_bytes: int
    given: int
    dropped: int


def heaviest(weights: Iterable[tuple[str, int]]) -> str:
    """The token with the most. :param weights: of single things, at least one, with the token of each."""
    totals: Counter[str] = Counter()
    for token_id, weight in weights:
        totals[token_id] += weight
    return max(totals, key=totals.__getitem__)


class PictureLinks:
    """The links of one node."""

    def __init__(self) -> None:
        self._pictures: dict[str, Picture] = {}
        self._bytes = self._given = self._dropped = 0

    def keep(self, name: str, data: bytes, media_type: str, token_id: str, now_ms: int) -> None:
        """Keep a picture for an hour.

        :param name: unguessable, of 128 random bits at least, never used.
        :param token_id: whose it is: with too many pictures one drops its own links, and nobody else's.
        """
        self._sweep(now_ms)
        self._pictures[name] = Picture(data, media_type, token_id, now_ms + LINK_LIFETIME_MS)
        self._bytes += len(data)
        self._given += 1
        while len(self._pictures) > LINKS_MAX:
            self._drop(lambda _: 1)
        while self._bytes > LINK_BYTES_MAX:
            self._drop(lambda picture: len(picture.data))

    def find(self, name: str, now_ms: int) -> Picture | None:
        """The picture of a link, if it is still kept."""
        self._sweep(now_ms)
        return self._pictures.get(name)

    def status(self) -> LinkStatus:
        """How it is; see `LinkStatus`."""
        return LinkStatus(len(self._pictures), self._bytes, self._given, self._dropped)

    def _drop(self, weight: Callable[[Picture], int]) -> None:
        token_id = heaviest((picture.token_id, weight(picture)) for picture in self._pictures.values())
        self._forget(next(name for name, picture in self._pictures.items() if picture.token_id == token_id))
        self._dropped += 1

    def _sweep(self, now_ms: int) -> None:
        # In the order of their end, since all live equally long.
        while self._pictures:
            name, picture = next(iter(self._pictures.items()))
            if picture.expires_at_ms > now_ms:
                return
            self._forget(name)

    def _forget(self, name: str) -> None:
        self._bytes -= len(self._pictures.pop(name).data)
