"""A plan: the transactions that a wish takes, and in words and numbers what they do, cost and risk.

Is: a pure function of the wish and what the chain says. The words themselves are in `static/strings.json`,
under ``plan.KEY``; a value's name says how it is shown: `_wei` is an amount, `_s` a time, `_duration_s` a
length.
Is not: sent. What the chain says may have changed when the wallet sends it; the contracts then refuse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from contracts.calls import Call, Calls
from contracts.records import Commission, NodeInfo, RewardStream, UnbondingRequest
from contracts.terms import Terms
from node.portal.errors import PortalRefusal
from node.portal.wishes import Wish
from node.system.observable import to_document

TYPICAL_GAS: Final = {
    "announceCommission": 160_000,
    "approve": 60_000,
    "claim": 100_000,
    "faucet": 90_000,
    "register": 190_000,
    "setMetadata": 80_000,
    "stake": 230_000,
    "unvote": 200_000,
    "vote": 190_000,
    "withdraw": 80_000,
}
"""Of a step whose turn has not come, and which therefore cannot be tried out yet; rounded up from
`contracts/snapshots`."""
PRIORITY_FEE_WEI: Final = 10**9
BASIS_POINTS: Final = 10_000
COMMISSION_MAX: Final = 5_000
"""Basis points; `MAX_COMMISSION` of `contracts/src/Rewards.sol`."""

Sort: TypeAlias = Literal["does", "risk", "until", "note"]


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence. :ivar sort: what it is about. :ivar key: of its words. :ivar values: that it names."""

    sort: Sort
    key: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction. :ivar gas: it may take; as it was tried out, or typical."""

    call: Call
    gas: int
    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The chain's word on the account that will sign, and of the node.

    :ivar info: of the node; ``None`` if it is not registered.
    :ivar shares: of the account behind the node. :ivar staked_wei: their worth.
    :ivar head_time_s: of the newest block, from which delays count.
    :ivar stream: of rewards; ``None`` where it does not matter. :ivar active_wei: all stake that it flows to.
    """

    terms: Terms
    head_time_s: int
    base_fee_wei: int
    coin_wei: int
    cai_wei: int
    allowance_wei: int = 0
    info: NodeInfo | None = None
    commission: Commission | None = None
    shares: int = 0
    staked_wei: int = 0
    claimable_wei: int = 0
    request: UnbondingRequest | None = None
    stream: RewardStream | None = None
    active_wei: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """:ivar steps: in their order; after each one that is in a block the page asks for a plan anew.

    :ivar lines: about the whole of it.
    :ivar obstacle: why it cannot be done now: a contract's error and its arguments; ``None`` if nothing is
        known.
    """

    wish: Wish
    steps: tuple[Step, ...]
    lines: tuple[Line, ...]
    obstacle: tuple[str, dict[str, Any]] | None = None

    def with_gas(self, gas: int) -> Plan:
        """The same, with what the first step's trial took."""
        first = replace(self.steps[0], gas=gas)
        return replace(self, steps=(first, *self.steps[1:]))


def make_plan(wish: Wish, facts: Facts, calls: Calls) -> Plan:
    """The plan for a wish. :raises PortalRefusal: there is nothing to plan for."""
    make = _MAKERS.get(wish.action)
    if make is None:
        raise PortalRefusal("bad_action")
    return make(wish, facts, calls)


def fee_max_wei(gas: int, facts: Facts) -> int:
    """The most that so much gas costs: enough for some six full blocks (EIP-1559)."""
    return gas * (2 * facts.base_fee_wei + PRIORITY_FEE_WEI)


def document_of(plan: Plan, facts: Facts, chain_id: int) -> dict[str, Any]:
    """A plan as the page takes it."""
    gas = sum(step.gas for step in plan.steps)
    cost_wei = fee_max_wei(gas, facts)
    obstacle = plan.obstacle
    if obstacle is None and cost_wei > facts.coin_wei:
        obstacle = ("NotEnoughCoin", {"have_wei": facts.coin_wei, "needed_wei": cost_wei})
    return {
        "action": plan.wish.action,
        "account": to_document(plan.wish.account),
        "chain_id": chain_id,
        "steps": [
            {
                "function": step.call.function,
                "to": to_document(step.call.to),
                "data": to_document(step.call.data),
                "value": "0x0",
                "gas": step.gas,
                "line": _line_document(step.line),
            }
            for step in plan.steps
        ],
        "lines": [_line_document(line) for line in plan.lines],
        "cost": {"gas": gas, "fee_max_wei": str(cost_wei), "coin_wei": str(facts.coin_wei)},
        "obstacle": None
        if obstacle is None
        else {"name": obstacle[0], "arguments": {k: str(to_document(v)) for k, v in obstacle[1].items()}},
    }


def _line_document(line: Line) -> dict[str, Any]:
    return {"sort": line.sort, "key": line.key, "values": {k: _text(v) for k, v in line.values.items()}}


def _text(value: object) -> str:
    return str(to_document(value))


# One function an action


def _faucet(wish: Wish, facts: Facts, calls: Calls) -> Plan:
    limit_wei, amount_wei = facts.terms.faucet_limit_wei, wish.amount_wei or 0
    if limit_wei is None:
        raise PortalRefusal("refused", name="NoFaucet", arguments={})
    step = _step(calls.faucet(amount_wei), "does", "faucet", amount_wei=amount_wei)
    lines = (Line("risk", "nothing_at_risk"), Line("note", "faucet_worth"))
    obstacle = None
    if amount_wei > limit_wei:
        obstacle = ("FaucetLimitExceeded", {"amount": amount_wei, "limit": limit_wei})
    return Plan(wish, (step,), lines, obstacle)


def _deposit(wish: Wish, facts: Facts, calls: Calls) -> Plan:
    amount_wei = wish.amount_wei or 0
    make = calls.stake if wish.action == "stake" else calls.vote
    step = _step(make(wish.node, amount_wei), "does", wish.action, amount_wei=amount_wei, node=wish.node)
    steps = (*_approval(amount_wei, facts, calls), step)
    lines = _stake_lines(wish, amount_wei, facts)
    if wish.action == "stake" and facts.info is None:
        lines = (*lines, Line("note", "key_without_node", {"node": wish.node}))
    return Plan(wish, steps, lines, _why_no_deposit(wish, facts, amount_wei))


def _why_no_deposit(wish: Wish, facts: Facts, amount_wei: int) -> tuple[str, dict[str, Any]] | None:
    info, node = facts.info, {"node": wish.node}
    if facts.cai_wei < amount_wei:
        return "NotEnoughCai", {"have_wei": facts.cai_wei, "needed_wei": amount_wei}
    if info is None:
        return ("NotRegistered", node) if wish.action == "vote" else None
    is_owner = info.owner == wish.account
    if wish.action == "vote":
        if is_owner:
            return "OwnerCannotVote", node
        return None if info.active else ("NodeInactive", node)
    if info.left:
        return "NodeHasLeft", node
    return None if is_owner else ("NotOwner", node | {"account": wish.account})


def _unvote(wish: Wish, facts: Facts, calls: Calls) -> Plan:
    wanted_wei, delay_s = wish.amount_wei, facts.terms.unbonding_delay_s
    if wanted_wei is None or not facts.staked_wei:
        shares, amount_wei = facts.shares, facts.staked_wei
    else:
        # Rounded up, as far as there are shares: what leaves is not less than what was asked for.
        amount_wei = wanted_wei
        shares = min(facts.shares, -(-facts.shares * wanted_wei // facts.staked_wei))
    obstacle = None
    if not facts.shares or amount_wei > facts.staked_wei:
        obstacle = ("NotEnoughStake", {"have_wei": facts.staked_wei, "needed_wei": amount_wei})
    values = {"amount_wei": amount_wei, "node": wish.node, "staked_wei": facts.staked_wei}
    lines = [Line("note", "earns_no_more")]
    info = facts.info
    if info is not None and info.owner == wish.account:
        left_wei = facts.staked_wei - amount_wei
        if left_wei <= info.role.minimum_own_stake_wei:
            lines.append(Line("note", "node_stops", {"minimum_wei": info.role.minimum_own_stake_wei}))
            if info.total_stake_wei > info.own_stake_wei:
                # The contract has an owner wait until voters could have left.
                delay_s *= 2
    release = {"release_s": facts.head_time_s + delay_s, "delay_duration_s": delay_s}
    lines += [Line("risk", "still_at_risk", {"amount_wei": amount_wei}), Line("until", "release", release)]
    return Plan(
        wish, (_step(calls.unvote(wish.node, shares), "does", "unvote", **values),), tuple(lines), obstacle
    )


def _withdraw(wish: Wish, facts: Facts, calls: Calls) -> Plan:
    request = facts.request
    amount_wei = 0 if request is None else request.amount_wei
    step = _step(
        calls.withdraw(wish.node, wish.request_id), "does", "withdraw", amount_wei=amount_wei, node=wish.node
    )
    obstacle: tuple[str, dict[str, Any]] | None = None
    if request is None:
        obstacle = ("NoSuchRequest", {"requestId": wish.request_id})
    elif request.release_time_s > facts.head_time_s:
        obstacle = ("StillUnbonding", {"releaseTime": request.release_time_s})
    return Plan(wish, (step,), (Line("risk", "nothing_at_risk"),), obstacle)


def _claim(wish: Wish, facts: Facts, calls: Calls) -> Plan:
    step = _step(calls.claim(wish.node), "does", "claim", amount_wei=facts.claimable_wei, node=wish.node)
    lines = (Line("note", "claim_at_least"), Line("risk", "nothing_at_risk"))
    obstacle = None if facts.claimable_wei else ("NothingToClaim", {"node": wish.node})
    return Plan(wish, (step,), lines, obstacle)


def _register(wish: Wish, facts: Facts, calls: Calls) -> Plan:
    consent, wanted_wei = wish.consent, wish.amount_wei or 0
    if consent is None:
        raise PortalRefusal("bad_consent", reason="form")
    minimum_wei = consent.role.minimum_own_stake_wei
    missing_wei = max(0, wanted_wei - facts.staked_wei)
    steps: list[Step] = []
    if missing_wei:
        stake = calls.stake(wish.node, missing_wei)
        steps += _approval(missing_wei, facts, calls)
        steps.append(_step(stake, "does", "stake", amount_wei=missing_wei, node=wish.node))
    values = {"node": wish.node, "role": consent.role.name.lower(), "introduction": wish.introduction}
    steps.append(
        _step(calls.register(consent, wish.signature, wish.introduction), "does", "register", **values)
    )
    lines = (
        *_stake_lines(wish, wanted_wei, facts),
        Line("note", "registers_once"),
        Line("until", "consent_lapses", {"deadline_s": consent.deadline_s}),
    )
    obstacle: tuple[str, dict[str, Any]] | None = None
    if facts.info is not None:
        obstacle = ("AlreadyRegistered", {"node": wish.node})
    elif consent.deadline_s < facts.head_time_s:
        obstacle = ("ConsentExpired", {"deadline": consent.deadline_s})
    elif max(wanted_wei, facts.staked_wei) <= minimum_wei:
        obstacle = ("OwnStakeTooSmall", {"amount": wanted_wei, "minimum": minimum_wei})
    elif facts.cai_wei < missing_wei:
        obstacle = ("NotEnoughCai", {"have_wei": facts.cai_wei, "needed_wei": missing_wei})
    return Plan(wish, tuple(steps), lines, obstacle)


def _introduce(wish: Wish, facts: Facts, calls: Calls) -> Plan:
    values = {"node": wish.node, "introduction": wish.introduction}
    step = _step(calls.set_metadata(wish.node, wish.introduction), "does", "introduce", **values)
    lines = (Line("note", "introduced_once"), Line("risk", "nothing_at_risk"))
    return Plan(wish, (step,), lines, _why_no_owner(wish, facts, is_active=True))


def _commission(wish: Wish, facts: Facts, calls: Calls) -> Plan:
    percent = _percent(wish.basis_points)
    call = calls.announce_commission(wish.node, wish.basis_points)
    step = _step(call, "does", "set_commission", node=wish.node, next_percent=percent)
    now = facts.commission.now if facts.commission is not None else 0
    lines = [Line("note", "commission_now", {"now_percent": _percent(now)}), Line("risk", "voters_may_leave")]
    if wish.basis_points > now:
        notice = {"from_s": facts.head_time_s + facts.terms.commission_notice_s}
        lines.append(Line("until", "commission_from", notice))
    else:
        lines.append(Line("until", "commission_at_once"))
    obstacle = _why_no_owner(wish, facts)
    if obstacle is None and wish.basis_points > COMMISSION_MAX:
        obstacle = ("CommissionTooHigh", {"commission": wish.basis_points, "limit": COMMISSION_MAX})
    return Plan(wish, (step,), tuple(lines), obstacle)


def _why_no_owner(wish: Wish, facts: Facts, *, is_active: bool = False) -> tuple[str, dict[str, Any]] | None:
    info, node = facts.info, {"node": wish.node}
    if info is None:
        return "NotRegistered", node
    if info.owner != wish.account:
        return "NotOwner", node | {"account": wish.account}
    return ("NodeInactive", node) if is_active and not info.active else None


# Parts


def _approval(amount_wei: int, facts: Facts, calls: Calls) -> tuple[Step, ...]:
    if facts.allowance_wei >= amount_wei:
        return ()
    call = calls.approve(amount_wei)
    return (_step(call, "does", "approve", amount_wei=amount_wei, spender=calls.staking),)


def _stake_lines(wish: Wish, amount_wei: int, facts: Facts) -> tuple[Line, ...]:
    delay_s = facts.terms.unbonding_delay_s
    lines = [
        Line("risk", "all_at_risk", {"amount_wei": amount_wei}),
        Line("until", "can_leave", {"delay_duration_s": delay_s, "earliest_s": facts.head_time_s + delay_s}),
        Line("note", "counts_next_epoch"),
    ]
    commission = facts.commission
    if commission is not None:
        lines.append(Line("note", "commission", {"now_percent": _percent(commission.now)}))
        if commission.next_from_s:
            rise = {"next_percent": _percent(commission.next), "from_s": commission.next_from_s}
            lines.append(Line("note", "commission_rises", rise))
    return (*lines, *_forecast(wish, amount_wei, facts))


def _forecast(wish: Wish, amount_wei: int, facts: Facts) -> tuple[Line, ...]:
    """The stake's part of the stream of rewards as it flows now, until it ends, without fees for work."""
    stream, all_wei = facts.stream, facts.active_wei + amount_wei
    if stream is None or not all_wei or stream.end_time_s <= facts.head_time_s:
        return ()
    left_wei = stream.wei_per_s * (stream.end_time_s - facts.head_time_s)
    kept = facts.commission.now if wish.action == "vote" and facts.commission is not None else 0
    earned_wei = left_wei * amount_wei * (BASIS_POINTS - kept) // (all_wei * BASIS_POINTS)
    return (Line("note", "forecast", {"earned_wei": earned_wei, "end_s": stream.end_time_s}),)


def _percent(basis_points: int) -> str:
    whole, part = divmod(basis_points, BASIS_POINTS // 100)
    return f"{whole}.{part:02d}".rstrip("0").rstrip(".")


def _step(call: Call, sort: Sort, key: str, **values: Any) -> Step:
    return Step(call, TYPICAL_GAS[call.function], Line(sort, key, values))


_MAKERS: Final[dict[str, Callable[[Wish, Facts, Calls], Plan]]] = {
    "faucet": _faucet,
    "stake": _deposit,
    "vote": _deposit,
    "unvote": _unvote,
    "withdraw": _withdraw,
    "claim": _claim,
    "register": _register,
    "introduce": _introduce,
    "commission": _commission,
}
