"""Documents about network, chain and accounts, as JSON, from what the node knows already
where it can, and from few kept answers of the chain where it must.

Is: one method a document. Amounts are wei and weights micro-CAI, as decimal text; addresses hexadecimal.
Is not: HTTP (`app`), or what a wallet is to sign (`planning`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any, Final

import numpy as np

from contracts.errors import ContractReverted
from contracts.records import Commission, NodeInfo, Role, UnbondingRequest
from contracts.registry_store import Entry
from contracts.terms import Terms, read_terms
from node.peer.peer import Peer
from node.portal.errors import PortalRefusal
from node.portal.ledger import Ledger
from node.portal.pulse import Pulse
from node.portal.questions import BURST_MAX, Questions
from node.settings import RoleName
from node.system.clock import now_ms
from node.system.observable import to_document
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.draw import EpochView, Snapshot

HEAD_LIFE_MS: Final = 1_500
SHORT_LIFE_MS: Final = 2_000
LONG_LIFE_MS: Final = 60_000
TERMS_LIFE_MS: Final = 3_600_000
LIST_LIFE_MS: Final = 5_000
DRAWN_SHOWN_MAX: Final = 40
"""Miners that the picture of the draw has one by one; the rest is one field."""
PAGE_NODES: Final = 50
PAGE_POSITIONS: Final = 8
HEAD_COST: Final = 2
ACCOUNT_COST_MAX: Final = BURST_MAX - HEAD_COST
"""As which the dearest account counts: beyond the burst it would never be shown."""
METADATA_COST: Final = 8
"""Questions that looking an introduction up takes, usually fewer."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest block. :ivar time_s: as its maker said."""

    block: int
    time_s: int


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """:ivar introduction: what its owner says of it; ``None`` if it was not found."""

    info: NodeInfo
    commission: Commission
    introduction: str | None


class Reading:
    """One portal's."""

    def __init__(
        self, peer: Peer, role: RoleName, questions: Questions, pulse: Pulse, ledger: Ledger, portal_url: str
    ) -> None:
        self._peer = peer
        self._role = role
        self._version = metadata.version("cuckoo-peer")
        self._clients = peer.clients
        self._questions = questions
        self._pulse = pulse
        self._ledger = ledger
        self._portal_url = portal_url

    # What the node knows

    async def network(self) -> dict[str, Any]:
        """All that does not change: the network, its contracts and their terms, and whose page this is."""
        terms, parameters = await self.terms(), self._peer.network.parameters
        return {
            "name": parameters.name,
            "chain_id": self._peer.network.deployment.chain_id,
            # The network's own, that everybody has; what this operator was given may be secret.
            "rpc_url": parameters.default_rpc_url,
            "contracts": to_document(self._peer.network.deployment.contracts()),
            "terms": to_document(asdict(terms)),
            "minimum_own_stake_wei": {role.name.lower(): str(role.minimum_own_stake_wei) for role in Role},
            "node": {
                "address": to_document(self._peer.key.address),
                "role": self._role,
                "version": self._version,
                "url": self._portal_url,
            },
        }

    async def overview(self) -> dict[str, Any]:
        """How the network is now."""
        head = await self.head()
        stream = await self._questions.ask("stream", LIST_LIFE_MS, 1, self._clients.rewards.stream)
        latest = self._peer.view.latest
        readiness = self._peer.context.readiness.status()
        return {
            "now_ms": now_ms(),
            "chain": {
                "head_block": head.block,
                "head_time_s": head.time_s,
                "epoch": None if latest is None else latest.number,
                "fault": self._chain_fault(),
            },
            "ready": readiness.ready,
            "miners": _totals(None if latest is None else latest.miners),
            "coordinators": _totals(None if latest is None else latest.coordinators),
            "tasks": {"per_minute": self._pulse.per_minute(), "since_ms": self._pulse.began_ms},
            "watched": self._watched(),
            "stream": to_document(stream),
            "draw": None if latest is None else await self._draw(latest),
        }

    def _watched(self) -> dict[str, Any]:
        """Words of auditors, and faults that are proven, as far as this node knows."""
        counts, kept = self._pulse.counts, self._peer.evidence.status()
        return {
            "audits": counts.audits,
            "audits_failed": counts.audits_failed,
            # Of evidence, all that was kept since this node's folder was made: a fault is not forgotten.
            "faults": kept.files,
            "slashable": kept.slashable,
            "since_ms": self._pulse.began_ms,
        }

    def _chain_fault(self) -> str | None:
        chain = self._peer.chain
        faults = {
            "unreachable": chain.unreachable,
            "behind": chain.behind,
            "disagreement": chain.disagreement or self._clients.rpc.disagreement(),
        }
        return next((name for name, text in faults.items() if text is not None), None)

    async def _draw(self, epoch: EpochView) -> dict[str, Any]:
        key = ("draw", epoch.number, epoch.seed)
        shown = await self._questions.ask(key, LONG_LIFE_MS, 0, lambda: _heaviest(epoch.miners))
        rest = epoch.miners.total - sum(weight for _, weight in shown)
        return {
            "epoch": epoch.number,
            "seed": to_document(epoch.seed),
            "total": str(epoch.miners.total),
            "miners": [{"address": to_document(item), "weight": str(weight)} for item, weight in shown],
            "others": {"count": len(epoch.miners) - len(shown), "weight": str(rest)},
        }

    async def nodes(self, role: Role, offset: int) -> dict[str, Any]:
        """A page of the registered nodes, the most stake first.

        :raises PortalRefusal: there is no such page.
        """
        latest = self._peer.view.latest
        key = ("nodes", role, None if latest is None else (latest.number, latest.seed))
        listed = await self._questions.ask(key, LIST_LIFE_MS, 0, lambda: self._listed(role, latest))
        if offset and offset >= len(listed):
            raise PortalRefusal("bad_query")
        total = sum(weight for weight, _ in listed)
        return {
            "epoch": None if latest is None else latest.number,
            "total": len(listed),
            "offset": offset,
            "page": PAGE_NODES,
            "weight": str(total),
            "nodes": [
                _entry_document(entry) | {"weight": str(weight)}
                for weight, entry in listed[offset : offset + PAGE_NODES]
            ],
        }

    async def _listed(self, role: Role, latest: EpochView | None) -> list[tuple[int, Entry]]:
        snapshot = (
            None if latest is None else latest.coordinators if role is Role.COORDINATOR else latest.miners
        )
        found = [
            (0 if snapshot is None else snapshot.weight_of(entry.address), entry)
            for entry in self._peer.chain.nodes(role)
        ]
        return sorted(found, key=lambda pair: (-pair[0], pair[1].block_number, pair[1].log_index))

    # What the chain is asked

    async def terms(self) -> Terms:
        """All that is fixed in the contracts."""
        deployment = self._peer.network.deployment
        return await self._questions.ask(
            "terms", TERMS_LIFE_MS, 5, lambda: read_terms(self._clients.rpc, deployment)
        )

    def active_wei(self) -> int:
        """All stake that counts in the present epoch, of both roles."""
        latest = self._peer.view.latest
        if latest is None:
            return 0
        return (latest.miners.total + latest.coordinators.total) * WEI_PER_MICRO_CAI

    async def head(self) -> Head:
        """The newest block."""
        rpc = self._clients.rpc

        async def look() -> Head:
            return Head(await rpc.block_number(), await rpc.head_time_s())

        return await self._questions.ask("head", HEAD_LIFE_MS, HEAD_COST, look)

    async def facts(self, node: bytes) -> NodeFacts:
        """A node as the chain has it now. :raises PortalRefusal: it is not registered."""
        info = await self._questions.ask(
            ("info", node), SHORT_LIFE_MS, 1, lambda: self._clients.staking.node_info(node)
        )
        if info is None:
            raise PortalRefusal("not_registered", node=to_document(node))
        commission = await self._questions.ask(
            ("commission", node), SHORT_LIFE_MS, 1, lambda: self._clients.rewards.commission(node)
        )
        introduction = await self._questions.ask(
            ("metadata", node), LONG_LIFE_MS, METADATA_COST, lambda: self._introduction(node)
        )
        return NodeFacts(info, commission, introduction)

    async def _introduction(self, node: bytes) -> str | None:
        try:
            return await self._clients.metadata.read(node)
        except ContractReverted:
            return None  # it was registered a moment ago, in a block that is gone

    async def node(self, node: bytes) -> dict[str, Any]:
        """Everything of one node. :raises PortalRefusal: it is not registered."""
        facts, latest = await self.facts(node), self._peer.view.latest
        info = facts.info
        weight = 0
        if latest is not None:
            snapshot = latest.coordinators if info.role is Role.COORDINATOR else latest.miners
            weight = snapshot.weight_of(node)
        total = 0 if latest is None or info.role is Role.COORDINATOR else latest.miners.total
        document: dict[str, Any] = to_document(
            {
                "address": node,
                **asdict(info),
                "role": info.role.name.lower(),
                "minimum_own_stake_wei": info.role.minimum_own_stake_wei,
                "commission": asdict(facts.commission),
                "introduction": facts.introduction,
                "epoch": None if latest is None else latest.number,
                "weight": str(weight),
                "miners_weight": str(total),
            }
        )
        return document

    async def account(self, account: bytes, offset: int) -> dict[str, Any]:
        """All that an account has, and a page of its positions. :raises PortalRefusal: there is no such
        page.
        """
        found = self._ledger.of(account)
        if offset and offset >= len(found):
            raise PortalRefusal("bad_query")
        pairs = list(found.items())[offset : offset + PAGE_POSITIONS]

        async def look() -> dict[str, Any]:
            return {
                "cai_wei": await self._clients.token.balance(account),
                "coin_wei": await self._clients.rpc.balance(account),
                "positions": [await self._position(node, account, requests) for node, requests in pairs],
            }

        head = await self.head()
        cost = min(ACCOUNT_COST_MAX, 2 + sum(3 + len(requests) for _, requests in pairs))
        key = ("account", account, offset, tuple(pairs))
        document = await self._questions.ask(key, SHORT_LIFE_MS, cost, look)
        owned = [entry.address for entry in self._peer.chain.nodes() if entry.owner == account]
        rest = {
            "address": account,
            "head_time_s": head.time_s,
            "total": len(found),
            "offset": offset,
            "page": PAGE_POSITIONS,
            "owns": owned[:PAGE_NODES],
            "read": asdict(self._ledger.status()),
        }
        whole: dict[str, Any] = to_document(document | rest)
        return whole

    async def _position(self, node: bytes, account: bytes, requests: frozenset[int]) -> dict[str, Any]:
        staking = self._clients.staking
        info = await staking.node_info(node)
        open_requests: list[UnbondingRequest] = []
        for number in sorted(requests):
            request = await staking.unbonding(node, account, number)
            if request is not None:
                open_requests.append(request)
        return {
            "node": node,
            "role": None if info is None else info.role.name.lower(),
            "is_owner": info is not None and info.owner == account,
            "active": info is not None and info.active,
            "stake_wei": await staking.stake_of(node, account),
            "claimable_wei": 0 if info is None else await self._clients.rewards.claimable(node, account),
            "unbonding": [
                {
                    "request_id": item.request_id,
                    "amount_wei": item.amount_wei,
                    "release_s": item.release_time_s,
                }
                for item in open_requests
            ],
        }

    async def transaction(self, transaction_hash: bytes) -> dict[str, Any]:
        """Where a transaction is."""
        rpc = self._clients.rpc

        async def look() -> dict[str, Any]:
            receipt = await rpc.receipt(transaction_hash)
            if receipt is not None:
                return {"state": "done" if receipt.succeeded else "failed", "block": receipt.block_number}
            return {"state": "waiting" if await rpc.knows(transaction_hash) else "unknown", "block": None}

        return await self._questions.ask(("transaction", transaction_hash), 500, 2, look)


def _totals(snapshot: Snapshot | None) -> dict[str, Any]:
    return {
        "count": 0 if snapshot is None else len(snapshot),
        "weight": str(0 if snapshot is None else snapshot.total),
    }


async def _heaviest(snapshot: Snapshot) -> list[tuple[bytes, int]]:
    weights = np.asarray(snapshot.weights, dtype=np.uint64)
    order = np.argsort(weights, kind="stable")[::-1][:DRAWN_SHOWN_MAX]
    return [(snapshot.miner(int(index)), snapshot.weights[int(index)]) for index in order]


def _entry_document(entry: Entry) -> dict[str, Any]:
    return {
        "address": to_document(entry.address),
        "owner": to_document(entry.owner),
        "role": entry.role.name.lower(),
        "block": entry.block_number,
    }
