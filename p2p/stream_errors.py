"""The errors of direct streams, and the codes of ERROR frames.

Is: names, by whose fault it is (:mod:`protocol.errors`). Is not: raised here.
"""

from __future__ import annotations

from typing import Final

from protocol.errors import ProtocolError, Refusal

ERROR_BUSY: Final = 1
"""ERROR code: too many streams; try again later."""
ERROR_PROTOCOL: Final = 2
"""ERROR code: the receiver of this frame broke the protocol."""
ERROR_INTERNAL: Final = 3
"""ERROR code: the sender of this frame failed; no detail is given."""
ERROR_REFUSED: Final = 4
"""ERROR code: an expected "no"; the text says why."""
ERROR_CANCELLED: Final = 5
"""ERROR code: the sender of this frame does not want to go on."""


class FrameTooLarge(ProtocolError):
    """A frame or the whole transfer exceeds its limit. :ivar bytes_max: the limit that was exceeded."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"more than {bytes_max} bytes")
        self.bytes_max = bytes_max


class CreditExceeded(ProtocolError):
    """The remote sent more than we had room for, or took its credit back."""


class TruncatedStream(ProtocolError):
    """The stream ended without its END frame: the remote went away, reset it, or cut it short."""


class CorruptStream(ProtocolError):
    """The END frame's counts or hash are not those of the payloads received."""


class RemoteAborted(Refusal):
    """The remote ended the transfer with an ERROR frame.

    :ivar code: 0 to 65535, meaning is the protocol's; :ivar reason: the remote's text, untrusted.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class StreamBroken(Refusal):
    """The transport under the stream failed: reset, closed, or cut within a frame of ours."""


class StreamTimeout(Refusal):
    """The remote did not act in time. :ivar timeout_ms: the time it had."""

    def __init__(self, timeout_ms: int) -> None:
        super().__init__("the remote did not act in time")
        self.timeout_ms = timeout_ms
