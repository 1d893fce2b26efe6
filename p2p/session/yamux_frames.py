"""Yamux's frames, and those of ours that wait to be sent.

Is: the format (hashicorp/yamux ``spec.md``), and the one place where frames are written.
Is not: a decision what to write (:mod:`p2p.session.yamux`).

    frame  = version 0 (1 byte) | type (1) | flags (2) | stream (4) | length (4), big-endian | body of DATA
    types    0 DATA, 1 WINDOW UPDATE (length: bytes granted), 2 PING (length: any), 3 GO AWAY (length: code)
    flags    1 SYN opens a stream, 2 ACK accepts it or answers a ping, 4 FIN ends a direction, 8 RST both
"""

from __future__ import annotations

import struct
from typing import Final

HEADER: Final = struct.Struct("!BBHII")
PLAIN_HEADER: Final = struct.Struct("!III")  # a header whose first number is 0: DATA without flags
DATA, WINDOW_UPDATE, PING, GO_AWAY = 0, 1, 2, 3
SYN, ACK, FIN, RST = 1, 2, 4, 8
NORMAL, PROTOCOL_ERROR = 0, 1

FRAME_BODY_BYTES_MAX: Final = 65_519 - HEADER.size
"""Bytes of one DATA frame of ours: with its header, one record of noise."""


class OutputFrames:
    """Frames that wait to be sent, in order. Small writes in a row share one.

    :ivar output_bytes: how many wait.
    """

    def __init__(self) -> None:
        self.output_bytes = 0
        self._output: list[bytes] = []
        # The DATA frame at the end of the output takes more until another frame follows.
        self._tail_id = 0
        self._tail_bytes = 0
        self._tail_place = 0

    def take_output(self) -> bytes:
        """All that waits to be sent."""
        if self._tail_id:
            self._end_tail()
        output = b"".join(self._output)
        self._output.clear()
        self.output_bytes = 0
        return output

    def _queue(self, kind: int, flags: int, stream_id: int, length: int) -> None:
        if self._tail_id:
            self._end_tail()
        self._output.append(HEADER.pack(0, kind, flags, stream_id, length))
        self.output_bytes += HEADER.size

    def _queue_data(self, stream_id: int, body: bytes) -> None:
        # Small writes in a row share one frame.
        if stream_id != self._tail_id or self._tail_bytes + len(body) > FRAME_BODY_BYTES_MAX:
            if self._tail_id:
                self._end_tail()
            self._tail_id, self._tail_place = stream_id, len(self._output)
            self._output.append(b"")
            self.output_bytes += HEADER.size
        self._output.append(body)
        self._tail_bytes += len(body)
        self.output_bytes += len(body)

    def _end_tail(self) -> None:
        self._output[self._tail_place] = HEADER.pack(0, DATA, 0, self._tail_id, self._tail_bytes)
        self._tail_id = self._tail_bytes = 0
