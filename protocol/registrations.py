"""The owners of nodes, and the blocks that nodes were registered in.

Is: a table of nodes that is looked up by address, made once an epoch.
Is not: the list that follows the chain (`contracts/registry.py`), or weights (`draw.Snapshot`).
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from protocol.signature import ADDRESS_BYTES

REGISTRATIONS_MAX: Final = 1 << 21
"""Most nodes of one table, of both roles."""
BLOCK_MAX: Final = (1 << 64) - 1
_BLOCK_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Registrations:
    """Nodes of one network, ascending by address. Made by `of`.

    :ivar nodes: addresses, 20 bytes each, no address twice, joined.
    :ivar owners: addresses of their owners in the same order, joined.
    :ivar blocks: numbers of the blocks that they were registered in, 8 bytes each, big-endian, joined.
    """

    nodes: bytes = b""
    owners: bytes = b""
    blocks: bytes = b""

    @classmethod
    def of(cls, entries: Iterable[tuple[bytes, bytes, int]]) -> Registrations:
        """The table of (node, owner, block number) in any order.

        :raises ValueError: an address twice or not of 20 bytes, a number that needs more than 64 bits, or
            more than `REGISTRATIONS_MAX` nodes.
        """
        rows = sorted(entries)
        if len(rows) > REGISTRATIONS_MAX:
            message = f"{len(rows)} nodes where at most {REGISTRATIONS_MAX} are allowed"
            raise ValueError(message)
        if any(len(node) != ADDRESS_BYTES or len(owner) != ADDRESS_BYTES for node, owner, _ in rows):
            raise ValueError("an address has 20 bytes")
        if any(not 0 <= block <= BLOCK_MAX for _, _, block in rows):
            raise ValueError("a block's number has 64 bits")
        if any(one[0] == other[0] for one, other in pairwise(rows)):
            raise ValueError("a node is registered once")
        return cls(
            b"".join(node for node, _, _ in rows),
            b"".join(owner for _, owner, _ in rows),
            b"".join(block.to_bytes(_BLOCK_BYTES, "big") for _, _, block in rows),
        )

    def __len__(self) -> int:
        """How many nodes there are."""
        return len(self.nodes) // ADDRESS_BYTES

    def owner_of(self, node: bytes) -> bytes:
        """Address of a node's owner; of one that is not in the table its own, as if it owned itself."""
        index = self._index_of(node)
        return node if index is None else self.owners[index * ADDRESS_BYTES : (index + 1) * ADDRESS_BYTES]

    def block_of(self, node: bytes) -> int | None:
        """Number of the block that a node was registered in; None for one that is not in the table."""
        index = self._index_of(node)
        if index is None:
            return None
        return int.from_bytes(self.blocks[index * _BLOCK_BYTES : (index + 1) * _BLOCK_BYTES], "big")

    def _node(self, index: int) -> bytes:
        return self.nodes[index * ADDRESS_BYTES : (index + 1) * ADDRESS_BYTES]

    def _index_of(self, node: bytes) -> int | None:
        index = bisect.bisect_left(range(len(self)), node, key=self._node)
        return index if index < len(self) and self._node(index) == node else None
