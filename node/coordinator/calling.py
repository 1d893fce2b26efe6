"""How a coordinator calls a miner: "whoever worked on this is lost; come now".

Is: the coordinator's end of `/cuckoo/calls/1` (`protocol/README.md`); whom to call is the engine's decision.
Is not: needed for a task to go on: a miner comes by itself when its head start is over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from node.exchange.protocols import CALLS_PROTOCOL
from p2p.host import Host
from p2p.host_streams import NotConnected
from p2p.identity import peer_id_from_public_key
from protocol.errors import InvalidMessage
from protocol.messages import Offer, TaskCall
from protocol.statement import Statement

HEAR_TIMEOUT_MS: Final = 2_000
"""Time for a miner to confirm that it has heard."""


async def call_miner(
    host: Host, offer_of: Callable[[bytes], Statement[Offer] | None], miner: bytes, task_id: bytes
) -> None:
    """Call a miner over a connection that is there already.

    :param offer_of: a miner's last offer, by address; its signature tells the miner's PeerID.
    :raises Refusal: it is not connected, does not answer, or knows of no such task.
    :raises ProtocolError: it answered something else than the stream's end.
    """
    offer = offer_of(miner)
    if offer is None:
        raise NotConnected("its offer is gone")
    peer_id = peer_id_from_public_key(offer.signer.public_key)
    async with host.open_direct_stream(peer_id, CALLS_PROTOCOL, timeout_ms=HEAR_TIMEOUT_MS) as stream:
        await stream.send(TaskCall(task_id).encode(), timeout_ms=HEAR_TIMEOUT_MS)
        await stream.finish(timeout_ms=HEAR_TIMEOUT_MS)
        if await stream.receive(timeout_ms=HEAR_TIMEOUT_MS) is not None:
            raise InvalidMessage("a call has no answer but the stream's end")
