"""Behind which nodes an account has stake, and its withdrawals on their way, rebuilt from events.

Is: pairs of an account and a node, and numbers of open withdrawals; the contract has no list of either.
Is not: amounts. A slash changes them without a word about each account, so they are asked of the contract.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from contracts.contract import Contract
from contracts.events import OVERLAP_BLOCKS, Cursor, EventFeed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from contracts.deployment import Deployment
    from contracts.logs import Event
    from contracts.rpc import Rpc

PAIRS_MAX: Final = 1 << 16
"""Pairs that are kept, some 30 MB. Each costs its account more than 100,000 gas; of further ones is counted
how many were passed over, and whoever knows the node can still ask for it by name."""
_EVENTS: Final = ("Staked", "UnbondingStarted", "Withdrawn")


class _Book:
    """Nodes by account, each with the numbers of open withdrawals."""

    def __init__(self) -> None:
        self.pairs = 0
        self.passed_over = 0
        self._nodes: defaultdict[bytes, dict[bytes, set[int]]] = defaultdict(dict)

    def apply(self, events: Iterable[Event]) -> None:
        for event in events:
            account, node = event.arguments["account"], event.arguments["node"]
            requests = self._nodes[account].get(node) if account in self._nodes else None
            if requests is None:
                if self.pairs >= PAIRS_MAX:
                    self.passed_over += 1
                    continue
                self.pairs += 1
                requests = self._nodes[account][node] = set()
            if event.name == "UnbondingStarted":
                requests.add(event.arguments["requestId"])
            elif event.name == "Withdrawn":
                requests.discard(event.arguments["requestId"])

    def of(self, account: bytes) -> dict[bytes, set[int]]:
        return self._nodes.get(account, {})


class Positions:
    """Those of one staking contract. Not to be advanced by two tasks at once.

    :ivar is_caught_up: whether the last step has read all that there was.
    """

    def __init__(self, rpc: Rpc, deployment: Deployment, *, overlap_blocks: int = OVERLAP_BLOCKS) -> None:
        """:param overlap_blocks: newest blocks that are read anew each time."""
        self._first_block = deployment.deployed_at_block
        contract = Contract(rpc, deployment.staking, "Staking")
        self._feed = EventFeed(
            rpc, contract, _EVENTS, Cursor(self._first_block), overlap_blocks=overlap_blocks
        )
        self._settled, self._recent = _Book(), _Book()
        self._newest: tuple[Event, ...] = ()
        self.is_caught_up = False

    @property
    def next_block(self) -> int:
        """The first block that was not read for good."""
        return self._feed.cursor.next_block

    @property
    def head(self) -> int:
        """The newest block at the last step; 0 before."""
        return self._feed.head

    @property
    def pairs(self) -> int:
        """How many pairs are kept."""
        return self._settled.pairs

    @property
    def passed_over(self) -> int:
        """Events of pairs beyond `PAIRS_MAX`."""
        return self._settled.passed_over

    async def advance(self) -> None:
        """Read one page. A chain that was reorganised deeper than is read anew is read from its beginning.

        :raises ChainError: the chain fails us; what was read stays read.
        """
        batch = await self._feed.read()
        if batch.undone_after is not None:
            self._feed.cursor = Cursor(self._first_block)
            self._settled, self._recent, self.is_caught_up = _Book(), _Book(), False
            return
        self._settled.apply(batch.settled)
        self._recent = _Book()
        self._recent.apply(event for event in batch.recent if event.name != "Withdrawn")
        self._newest = tuple(event for event in batch.recent if event.name == "Withdrawn")
        self.is_caught_up = batch.is_caught_up

    def of(self, account: bytes) -> dict[bytes, frozenset[int]]:
        """Nodes behind which an account has or had stake, with the numbers of its open withdrawals.

        :param account: 20 bytes. At most `PAIRS_MAX` nodes, in the order of their first events.
        """
        found = {node: set(requests) for node, requests in self._settled.of(account).items()}
        for node, requests in self._recent.of(account).items():
            found.setdefault(node, set()).update(requests)
        for event in self._newest:
            if event.arguments["account"] == account:
                found.get(event.arguments["node"], set()).discard(event.arguments["requestId"])
        return {node: frozenset(requests) for node, requests in found.items()}
