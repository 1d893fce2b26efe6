"""The one tree of errors that Cuckoo raises; drawn here, subclassed in the rooms.

Is: the classes that tell *whose fault* something was, since that decides what happens next.
Is not: a list of every error. A room subclasses the branch it needs, beside the code that raises it.

    CuckooError
    ├── LocalError            our bug, our machine or our configuration: stop and tell the operator
    │   └── MustStop          to run on, or again, could cost the stake: stay down until a person has looked
    ├── ProtocolError         the remote's fault: drop what it sent, lower its score, carry on
    │   ├── DecodeError       bytes that are not the canonical form of anything
    │   ├── SignatureError    a signature that is malformed or by the wrong key
    │   ├── InvalidMessage    a well-formed message that no honest peer sends
    │   └── GossipReject      a gossip message whose forwarder deserves a penalty
    └── Refusal               nobody's fault: an expected "no" with a reason to show
        └── GossipIgnore      a gossip message not to be forwarded, without penalty

Errors carry typed fields; nothing in the project parses an error's text.
"""

from __future__ import annotations


class CuckooError(Exception):
    """Root of every error that this project raises on purpose."""


class LocalError(CuckooError):
    """Our own fault, our machine's or our configuration's; never a reason to blame a peer."""


class MustStop(LocalError):
    """This node must not run again before a person has looked; the text names the way back.

    Its command ends with exit status 2, after which services are not started again.
    """


class ProtocolError(CuckooError):
    """A remote broke the protocol. Any bytes from a peer give a value or one of these."""


class DecodeError(ProtocolError):
    """Bytes that are not the canonical encoding of a value, or exceed a limit."""


class SignatureError(ProtocolError):
    """A signature is malformed, not in its canonical form, or by another key than it must be."""


class InvalidMessage(ProtocolError):
    """A message that decodes, but says what no honest peer would say.

    :ivar reason: fixed English phrase, the same for every occurrence of the fault.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class GossipReject(ProtocolError):
    """Penalise the forwarder and do not forward.

    :ivar reason: fixed English phrase of the rule that failed.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Refusal(CuckooError):
    """An expected "no". :ivar reason: fixed English phrase to show to whoever asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class GossipIgnore(Refusal):
    """Do not forward, do not penalise. :ivar reason: fixed English phrase of the rule."""


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The errors in `group` and in the groups within it, in order."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found += leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
