"""Finds a peer by its on-chain address, for a command: by a running node, or by one made for this once."""

from __future__ import annotations

from dataclasses import dataclass

from node.system.control import Control
from p2p.network import PeerNetwork
from protocol.errors import Refusal

ADDRESS_BYTES = 20


class PeerUnknown(Refusal):
    """Nobody on the network knows a peer with this address."""


@dataclass(frozen=True, slots=True)
class FindPeer:
    """A question. :ivar account: on-chain address, 20 bytes."""

    account: bytes


@dataclass(frozen=True, slots=True)
class FoundPeer:
    """Where it is. :ivar reached: whether a connection came about."""

    peer: str
    addresses: tuple[str, ...]
    reached: bool
    through_a_relay: bool


async def find_peer(network: PeerNetwork, account: bytes) -> FoundPeer:
    """Look for the peer with this on-chain address, and try to reach it.

    :raises PeerUnknown: nobody who was asked knows it.
    """
    found = await network.lookup.find(account)
    if found is None:
        raise PeerUnknown("no peer with this on-chain address is known on the network")
    addresses = tuple(str(item) for item in network.records.addresses(found))
    reached = await network.lookup.reach(found)
    return FoundPeer(str(found), addresses, reached, network.host.is_relayed(found))


def answer_finding(control: Control, network: PeerNetwork) -> None:
    """Have commands find peers by this node: the act ``find_peer``."""

    async def find(request: FindPeer) -> FoundPeer:
        if len(request.account) != ADDRESS_BYTES:
            raise Refusal("an on-chain address has 20 bytes")
        return await find_peer(network, request.account)

    control.register("find_peer", FindPeer, find)
