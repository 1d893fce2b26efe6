"""Blocks of a chain by their number: time, hash and the hash of the one before.

Is: typed questions about single blocks, one request each, and what several endpoints say of one.
Is not: what is in a block, or a judgement which block counts (`node/peer/beacon_watcher.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from contracts.endpoint_health import majority
from contracts.errors import BadChainAnswer
from contracts.libraries import BlockNotFound, BlockNumber
from contracts.rpc import Rpc, number

if TYPE_CHECKING:
    from collections.abc import Mapping

_METHOD: Final = "eth_getBlockByNumber"
_HASH_BYTES: Final = 32
_NUMBER_MAX: Final = (1 << 63) - 1
"""Heights and seconds beyond it are no chain's; a sum of two of them is exact everywhere."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block.

    :ivar number: its height, as the RPC counts.
    :ivar hash: 32 bytes.
    :ivar parent_hash: of the block before it, 32 bytes.
    :ivar time_s: what its maker said, Unix seconds.
    """

    number: int
    hash: bytes
    parent_hash: bytes
    time_s: int


class BlocksClient:
    """Questions about blocks. Every method raises `ChainUnreachable`, `BadChainAnswer` and `RpcError`."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    async def newest(self) -> Block:
        """The newest block that the endpoint in use knows."""
        found = await _block(self._rpc, "latest")
        if found is None:
            raise BadChainAnswer(_METHOD, "no newest block")
        return found

    async def block(self, height: int) -> Block | None:
        """The block that has a number now; ``None`` if the chain is not that long."""
        return await _block(self._rpc, height)

    async def doubt_about(self, block: Block) -> str | None:
        """Answers of all endpoints about a block, if they leave in doubt whether it is on the chain.

        That there is no such block is an answer too: else one that invents blocks would be asked about them
        alone. More than half decide; whom they contradict is passed over, one that has none yet only lags.

        :returns: for people; ``None`` without a doubt, or with one endpoint alone.
        """
        if not self._rpc.is_several:
            return None

        async def ask(rpc: Rpc) -> bytes:
            found = await _block(rpc, block.number)
            return b"" if found is None else found.hash

        said = await self._rpc.ask_each(ask)
        agreed = majority(said)
        if agreed is not None:
            others = [host for host, found in said.items() if found not in (agreed, b"")]
            self._rpc.outvoted(others, f"it has another block {block.number} than most others")
        if agreed == block.hash:
            return None
        if not said:
            return f"none of the chain's RPCs answers about block {block.number}"
        told = ", ".join(
            f"{host} says {'0x' + found[:8].hex() if found else 'that there is none'}"
            for host, found in said.items()
        )
        return f"the chain's RPCs disagree about block {block.number}: {told}"


async def _block(rpc: Rpc, height: int | Literal["latest"]) -> Block | None:
    async def ask() -> Block | None:
        try:
            wanted = height if isinstance(height, str) else BlockNumber(height)
            found = await rpc.web3.eth.get_block(wanted)
        except BlockNotFound:
            return None
        return _read(found, height)

    return await rpc.readable(_METHOD, ask)


def _read(found: Mapping[str, Any], height: int | Literal["latest"]) -> Block:
    """:raises BadChainAnswer: not a block, or not the one that was asked for."""
    at, time_s = number(_METHOD, found.get("number")), number(_METHOD, found.get("timestamp"))
    own, parent = bytes(found["hash"]), bytes(found["parentHash"])
    if (len(own), len(parent)) != (_HASH_BYTES, _HASH_BYTES) or max(at, time_s) > _NUMBER_MAX:
        raise BadChainAnswer(_METHOD, "not a block")
    if height not in ("latest", at):
        raise BadChainAnswer(_METHOD, "another block than was asked for")
    return Block(at, own, parent, time_s)
