"""The node's policy in the peer-to-peer network: stake as a score and as protection, parameters of topics.

Is: pure answers to what :class:`p2p.network.PeerPolicy` asks, from the chain's view.
Is not: a gate. Nobody needs a stake to listen; who may say what is judged by `protocol/rules`, by the
author's signature and not by who forwarded it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from node.peer.network import Network
from p2p.gossip.params import GossipParams
from p2p.gossip.score_params import RARE, ScoreParams
from p2p.identity import PeerId, PeerIdentityError, address_of_peer
from p2p.network import PeerPolicy
from protocol.rules import evidence, verdicts
from protocol.rules.view import View

BOOTNODE_SCORE: Final = 100.0
"""P5 of a bootnode of the network's own list: enough to be believed when it names other peers."""
STAKE_SCORE_MAX: Final = 20.0
"""P5 that stake brings at most: less than conduct brings, so that nobody can buy a place in the mesh."""
STAKE_SCORE_PER_DECADE: Final = 5.0
"""P5 for each tenfold stake: a miner's least, 20,000 CAI, brings 5, a coordinator's, 2,000,000 CAI, 15."""
STAKE_WITHOUT_SCORE_MICRO_CAI: Final = 2_000 * 10**6
"""Stake up to which there is nothing, micro-CAI."""


def stake_score(stake_micro_cai: int) -> float:
    """P5 of a stake: 0 to STAKE_SCORE_MAX, by its logarithm.

    A Sybil's identities cost stake each, and a large stake in one of them is worth little more than a small.
    """
    if stake_micro_cai <= STAKE_WITHOUT_SCORE_MICRO_CAI:
        return 0.0
    decades = math.log10(stake_micro_cai / STAKE_WITHOUT_SCORE_MICRO_CAI)
    return min(STAKE_SCORE_MAX, STAKE_SCORE_PER_DECADE * decades)


def stake_of(view: View, peer: PeerId) -> int:
    """The stake that the latest epoch gives a peer's address, as miner or as coordinator, micro-CAI."""
    latest = view.latest
    if latest is None:
        return 0
    try:
        address = address_of_peer(peer)
    except PeerIdentityError:
        return 0
    return max(latest.miners.weight_of(address), latest.coordinators.weight_of(address))


def gossip_params(network: Network) -> GossipParams:
    """The parameters of gossip on a network."""
    rare = {network.topic(topic): RARE for topic in (verdicts.TOPIC, evidence.TOPIC)}
    return replace(GossipParams(), score=ScoreParams(topics=rare))


def peer_policy(view: Callable[[], View], bootnodes: Collection[PeerId]) -> PeerPolicy:
    """The chain's view of peers, for the layers below.

    :param view: what the chain says now.
    :param bootnodes: the network's own, which are believed when they name other peers.
    """

    def score(peer: PeerId) -> float:
        return BOOTNODE_SCORE if peer in bootnodes else stake_score(stake_of(view(), peer))

    return PeerPolicy(is_staked=lambda peer: stake_of(view(), peer) > 0, score=score)
