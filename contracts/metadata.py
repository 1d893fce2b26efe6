"""Owners' descriptions of their nodes, looked up when somebody asks: it costs nothing but gas to write.

Is: one node's latest text, found in a bounded number of questions: the contract knows the epoch to look in.
Is not: followed, kept or trusted. Nothing but people reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from contracts.contract import Contract
from contracts.errors import AnswerTooLarge, RpcError
from contracts.events import PageSize

if TYPE_CHECKING:
    from contracts.deployment import Deployment
    from contracts.rpc import Rpc

REQUESTS_MAX: Final = 128
"""Questions for logs about one node."""
_EVENT: Final = "MetadataChanged"


class MetadataReader:
    """The introductions of one staking contract's nodes."""

    def __init__(self, rpc: Rpc, deployment: Deployment) -> None:
        self._rpc = rpc
        self._contract = Contract(rpc, deployment.staking, "Staking")
        self._first_block = deployment.deployed_at_block
        self._page = PageSize()

    async def read(self, node: bytes) -> str | None:
        """The newest metadata of a node; ``None`` if it is not found in `REQUESTS_MAX` questions.

        :param node: 20 bytes, registered.
        :returns: at most `METADATA_BYTES_MAX` bytes, otherwise anything; bytes that are no UTF-8 are read as
            replacement characters.
        :raises ChainError: the chain fails us.
        :raises ContractReverted: ``NotRegistered``.
        """
        last = await self._last_block(node)
        for _ in range(REQUESTS_MAX):
            if last < self._first_block:
                return None
            first = max(self._first_block, last - self._page.blocks + 1)
            try:
                found = await self._contract.events([_EVENT], first, last, node=node)
            except (AnswerTooLarge, RpcError):
                if first == last:
                    raise
                self._page.refused(last - first + 1)
                continue
            self._page.served()
            if found:
                text: str = found[-1].arguments["metadata"]
                return text
            last = first - 1
        return None

    async def _last_block(self, node: bytes) -> int:
        """From which block on to look backwards: the last of the epoch, or the newest.

        On a rollup the contract may count the blocks of the chain below it; then it says nothing of ours.
        """
        told: int = await self._contract.read("metadataEpoch", node)
        epoch_blocks: int = await self._contract.read("EPOCH_BLOCKS")
        head = await self._rpc.block_number()
        if head // epoch_blocks != await self._contract.read("currentEpoch"):
            return head
        return min(head, (told + 1) * epoch_blocks - 1)
