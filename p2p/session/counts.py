"""The counts of all sessions of a node, and the closed list of violations that end one.

Is: names. Is not: a judgement; noise, yamux and the handshake make those, each of its own violations.
"""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, field


class Violation(enum.StrEnum):
    """A fault of a remote; the connection ends with it."""

    ANOTHER_PEER = "another_peer"
    """It is not the peer that was dialled."""
    HANDSHAKE_CUT_SHORT = "handshake_cut_short"
    """It left within the handshake. Not counted: whoever only looks whether we are here does so."""
    MUXER_NOT_AGREED = "muxer_not_agreed"
    """It does not speak yamux, or left before it said so. Not counted, likewise."""
    NOISE_KEY = "noise_key"
    """A key of low order."""
    NOISE_MESSAGE = "noise_message"
    """A message or record that is too short."""
    NOISE_TAG = "noise_tag"
    """Something was not sealed with the key that it should be."""
    PAYLOAD_MALFORMED = "payload_malformed"
    PAYLOAD_KEY = "payload_key"
    """An identity key of no known kind, or too large."""
    PAYLOAD_SIGNATURE = "payload_signature"
    """The identity does not vouch for the noise key."""
    YAMUX_VERSION = "yamux_version"
    YAMUX_TYPE = "yamux_type"
    YAMUX_STREAM_ID = "yamux_stream_id"
    """No stream, or one that is opened though it is open or ours."""
    YAMUX_WINDOW = "yamux_window"
    """More than was granted, or more granted than can be."""
    YAMUX_FINISHED = "yamux_finished"
    """Data after FIN."""
    YAMUX_FLOOD = "yamux_flood"
    """It asks for answers that it does not fetch."""


@dataclass(slots=True)
class StreamCounts:
    """Streams since the start.

    :ivar refused: beyond those that a remote may have open.
    :ivar late_frames: for streams that had ended already.
    :ivar abandoned_reset: left by us, and reset because there were too many of them.
    :ivar reset_unseen: opened and reset by the remote before anybody looked.
    """

    refused: int = 0
    late_frames: int = 0
    abandoned_reset: int = 0
    reset_unseen: int = 0


@dataclass(slots=True)
class SessionCounts:
    """Sessions since the start.

    :ivar failed: ended by a fault of ours.
    :ivar silent: ended because the remote did not even answer a ping.
    :ivar violations: ended by the remote, by what it did wrong.
    """

    failed: int = 0
    silent: int = 0
    violations: Counter[Violation] = field(default_factory=Counter)
    streams: StreamCounts = field(default_factory=StreamCounts)
