"""From a wish to a plan: asks the chain what the plan depends on, and tries the first step out.

Is: a few questions side by side, and the estimate that finds a contract's refusal before a wallet opens.
Is not: the plan itself (`plan`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from contracts.errors import RpcError
from contracts.libraries import TxParams, Web3
from contracts.reverts import reason_of
from contracts.transactions import GAS_OF_A_SECOND
from node.peer.peer import Peer
from node.portal.errors import refusal_of
from node.portal.plan import Facts, Plan, document_of, make_plan
from node.portal.questions import Questions
from node.portal.reading import Reading
from node.portal.wishes import Wish
from protocol.errors import CuckooError, Refusal, leaves

PLAN_COST: Final = 12
"""Questions that a plan takes, about."""
PLAN_LIFE_MS: Final = 500
"""So long is a plan the same for who asks again; who has sent a step asks later."""


class Planning:
    """One portal's."""

    def __init__(self, peer: Peer, questions: Questions, reading: Reading) -> None:
        self._clients = peer.clients
        self._questions = questions
        self._reading = reading

    async def plan(self, wish: Wish) -> dict[str, Any]:
        """The plan's document; see `plan.document_of`.

        :raises PortalRefusal: there is nothing to plan for, or too much is asked.
        :raises ChainError: the chain fails us.
        """
        key = ("plan", wish)
        return await self._questions.ask(key, PLAN_LIFE_MS, PLAN_COST, lambda: self._make(wish))

    async def _make(self, wish: Wish) -> dict[str, Any]:
        facts = await self._facts(wish)
        plan = make_plan(wish, facts, self._clients.calls)
        if plan.obstacle is None:
            plan = await self._tried(plan)
        return document_of(plan, facts, self._clients.deployment.chain_id)

    async def _tried(self, plan: Plan) -> Plan:
        call = plan.steps[0].call
        transaction: TxParams = {
            "from": Web3.to_checksum_address(plan.wish.account),
            "to": Web3.to_checksum_address(call.to),
            "data": call.data,
        }
        try:
            gas = await self._clients.rpc.estimate_gas(transaction)
        except RpcError as error:
            refused = reason_of(error)
            if not isinstance(refused, Refusal):
                raise
            told = refusal_of(refused).values
            return Plan(plan.wish, plan.steps, plan.lines, (told["name"], told["arguments"]))
        # As a sender of ours: state may change until the block, and what is not used is given back.
        return plan.with_gas(gas + gas // 4 + GAS_OF_A_SECOND)

    async def _facts(self, wish: Wish) -> Facts:
        clients, account, node = self._clients, wish.account, wish.node
        found: dict[str, Any] = {"terms": await self._reading.terms()}

        async def look(name: str, question: Callable[[], Awaitable[Any]]) -> None:
            found[name] = await question()

        questions: dict[str, Callable[[], Awaitable[Any]]] = {
            "head_time_s": clients.rpc.head_time_s,
            "base_fee_wei": clients.rpc.base_fee_wei,
            "coin_wei": lambda: clients.rpc.balance(account),
            "cai_wei": lambda: clients.token.balance(account),
        }
        if wish.action in {"stake", "vote", "register"}:
            staking = clients.deployment.staking
            questions["allowance_wei"] = lambda: clients.token.allowance(account, staking)
            questions["stream"] = clients.rewards.stream
            found["active_wei"] = self._reading.active_wei()
        if node:
            questions["info"] = lambda: clients.staking.node_info(node)
            questions["shares"] = lambda: clients.staking.shares(node, account)
            questions["staked_wei"] = lambda: clients.staking.stake_of(node, account)
        if wish.action == "claim":
            questions["claimable_wei"] = lambda: clients.rewards.claimable(node, account)
        if wish.action == "withdraw":
            questions["request"] = lambda: clients.staking.unbonding(node, account, wish.request_id)
        try:
            async with trio.open_nursery() as nursery:
                for name, question in questions.items():
                    nursery.start_soon(look, name, question)
        except* CuckooError as failures:
            raise leaves(failures)[0] from failures
        if wish.action in {"vote", "stake", "commission"} and found["info"] is not None:
            found["commission"] = await clients.rewards.commission(node)
        return Facts(**found)
