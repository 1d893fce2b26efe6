"""Values of the portal's tests."""

from contracts.calls import Calls
from contracts.deployment import Deployment
from contracts.libraries import AsyncWeb3
from contracts.records import NodeInfo, Role
from contracts.terms import Terms
from node.portal.plan import Facts
from protocol.amounts import WEI_PER_CAI

ACCOUNT, OWNER, NODE = bytes([1]) * 20, bytes([2]) * 20, bytes([3]) * 20
DEPLOYMENT = Deployment(
    chain_id=1,
    cai=bytes([10]) * 20,
    staking=bytes([11]) * 20,
    epoch_seeds=bytes([12]) * 20,
    slashing=bytes([13]) * 20,
    escrow=bytes([14]) * 20,
    disputes=None,
    deployed_at_block=5,
    deployed_at_ms=1_000,
)
TERMS = Terms(
    unbonding_delay_s=3_600, open_requests_max=32, commission_notice_s=600, faucet_limit_wei=100 * WEI_PER_CAI
)
NOW_S = 1_000_000


class NoRpc:
    """Knows the ABI and no chain."""

    web3 = AsyncWeb3()


CALLS = Calls(NoRpc(), DEPLOYMENT)


def info(**changed):
    return NodeInfo(
        **{
            "owner": OWNER,
            "role": Role.MINER,
            "active": True,
            "left": False,
            "jailed_until_s": 0,
            "leaf": 1,
            "own_stake_wei": 30_000 * WEI_PER_CAI,
            "total_stake_wei": 30_000 * WEI_PER_CAI,
            "unbonding_stake_wei": 0,
            **changed,
        }
    )


def facts(**changed):
    return Facts(
        **{
            "terms": TERMS,
            "head_time_s": NOW_S,
            "base_fee_wei": 10**9,
            "coin_wei": 10**18,
            "cai_wei": 1_000_000 * WEI_PER_CAI,
            **changed,
        }
    )
