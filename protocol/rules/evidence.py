"""Rules of the topic `evidence`: proof of equivocation reaches everybody, each piece once."""

from __future__ import annotations

from protocol.errors import DecodeError, GossipIgnore, GossipReject, ProtocolError
from protocol.evidence import Evidence, Offence, verify_evidence
from protocol.rules.view import GOSSIP_BYTES_MAX, Seen, View

TOPIC = "evidence"


def validate_evidence(seen: Seen, view: View, data: bytes, now_ms: int) -> tuple[Evidence, Offence]:
    """The evidence in `data`, to be accepted, and what it proves.

    :param now_ms: not looked at; every rule has the same arguments.
    :raises GossipIgnore: this offence is known, or the offender has no stake to lose.
    :raises GossipReject: it proves nothing.
    """
    del now_ms
    # [REJECT] The message is at most GOSSIP_BYTES_MAX long.
    if len(data) > GOSSIP_BYTES_MAX:
        raise GossipReject("message is too long")
    # [REJECT] The message is a canonical pair of statements.
    try:
        evidence = Evidence.decode(data)
    except DecodeError as error:
        raise GossipReject("message does not decode") from error
    # [REJECT] The pair is in its one order; otherwise each piece could circulate twice.
    if evidence.first >= evidence.second:
        raise GossipReject("statements are not in order")
    # [REJECT] The pair proves an offence.
    try:
        offence = verify_evidence(view.domain, evidence)
    except ProtocolError as error:
        raise GossipReject("evidence proves nothing") from error
    key = (offence.signer, int(offence.kind), offence.slot)
    # [IGNORE] The offence is not known yet.
    if key in seen.offenders:
        raise GossipIgnore("offence is known")
    # [IGNORE] The offender has stake in an epoch that this peer knows; evidence about anybody would be spam.
    if not any(
        epoch.miners.weight_of(offence.signer) or epoch.coordinators.weight_of(offence.signer)
        for epoch in view.epochs.values()
    ):
        raise GossipIgnore("offender has no stake")
    seen.offenders[key] = None
    return evidence, offence
