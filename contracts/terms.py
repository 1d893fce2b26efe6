"""Terms that are fixed for good in a network's contracts, for people who are about to send something there.

Is: delays and bounds of staking, and whether the token has a faucet.
Is not: anything that changes; that is asked each time (`staking`, `rewards`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.contract import Contract, selector_of

if TYPE_CHECKING:
    from contracts.deployment import Deployment
    from contracts.rpc import Rpc


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Of one staking contract and its token."""

    unbonding_delay_s: int
    """From `unvote` to `withdraw`; twice as long for an owner who leaves voters behind."""
    open_requests_max: int
    """Withdrawals of an account behind a node that may be on their way at a time."""
    commission_notice_s: int
    """From the announcement of a higher commission to the first that is earned with it."""
    faucet_limit_wei: int | None
    """The most that the faucet gives at a time; ``None`` where there is none: CAI has value there."""


async def read_terms(rpc: Rpc, deployment: Deployment) -> Terms:
    """Ask the contracts.

    :raises ChainError: the chain fails us. :raises ContractReverted: they are not ours.
    """
    staking = Contract(rpc, deployment.staking, "Staking")
    faucet_limit_wei: int | None = None
    # A token without a faucet has no such function; how an RPC says so differs, what its code holds does not.
    if selector_of("DevelopmentCAI", "FAUCET_LIMIT") in await rpc.code(deployment.cai):
        faucet_limit_wei = await Contract(rpc, deployment.cai, "DevelopmentCAI").read("FAUCET_LIMIT")
    return Terms(
        unbonding_delay_s=await staking.read("UNBONDING_DELAY"),
        open_requests_max=await staking.read("MAX_OPEN_REQUESTS"),
        commission_notice_s=await staking.read("COMMISSION_NOTICE"),
        faucet_limit_wei=faucet_limit_wei,
    )
