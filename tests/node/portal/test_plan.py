"""What a plan says before a wallet opens, against the bytes that the wallet gets."""

from dataclasses import replace

import pytest

from contracts.libraries import decode_abi
from contracts.records import Commission, Consent, RewardStream, Role, UnbondingRequest
from node.portal.errors import PortalRefusal
from node.portal.plan import TYPICAL_GAS, document_of, fee_max_wei, make_plan
from node.portal.wishes import Wish
from protocol.amounts import WEI_PER_CAI
from tests.node.portal.builders import ACCOUNT, CALLS, DEPLOYMENT, NODE, NOW_S, OWNER, TERMS, facts, info
from tests.node.portal.words import fits

CAI, STAKING = "0x" + DEPLOYMENT.cai.hex(), "0x" + DEPLOYMENT.staking.hex()
TEN = 10 * WEI_PER_CAI
CONSENT = Consent(owner=ACCOUNT, node=NODE, role=Role.MINER, deadline_s=NOW_S + 60)


def planned(action, known=None, **named):
    """The document of a plan, all of whose lines have words with their values."""
    known = known or facts()
    wish = Wish(action=action, account=ACCOUNT, **{"node": NODE, "amount_wei": TEN, **named})
    document = document_of(make_plan(wish, known, CALLS), known, DEPLOYMENT.chain_id)
    lines = document["lines"] + [step["line"] for step in document["steps"]]
    assert all(fits(f"plan.{line['key']}", line["values"]) for line in lines)
    obstacle = document["obstacle"]
    assert obstacle is None or fits(f"refused.{obstacle['name']}", obstacle["arguments"])
    return document


def arguments(step, *types):
    return decode_abi(types, bytes.fromhex(step["data"][10:]))


def keys(document):
    return [line["key"] for line in document["lines"]]


def values(document, key):
    return next(line["values"] for line in document["lines"] if line["key"] == key)


def test_a_vote__allows_exactly_what_it_takes__and_says_what_can_be_lost_and_until_when():
    document = planned(
        "vote", facts(info=info(), commission=Commission(now=1_250, next=2_000, next_from_s=77))
    )
    approve, vote = document["steps"]
    assert (approve["function"], approve["to"]) == ("approve", CAI)
    assert arguments(approve, "address", "uint256") == (STAKING, TEN)
    assert approve["line"]["values"] == {"amount_wei": str(TEN), "spender": STAKING}
    assert (vote["function"], vote["to"]) == ("vote", STAKING)
    assert arguments(vote, "address", "uint256") == ("0x" + NODE.hex(), TEN)
    assert vote["line"]["values"] == {"amount_wei": str(TEN), "node": "0x" + NODE.hex()}
    assert values(document, "all_at_risk") == {"amount_wei": str(TEN)}
    assert values(document, "can_leave") == {
        "delay_duration_s": str(TERMS.unbonding_delay_s),
        "earliest_s": str(NOW_S + TERMS.unbonding_delay_s),
    }
    assert values(document, "commission") == {"now_percent": "12.5"}
    assert values(document, "commission_rises") == {"next_percent": "20", "from_s": "77"}
    assert document["obstacle"] is None


def test_a_forecast_is_the_stakes_part_of_the_funded_stream__after_the_owners():
    stream = RewardStream(wei_per_s=1_000, end_time_s=NOW_S + 100, remaining_wei=1, carried_wei=0)
    known = facts(
        info=info(),
        stream=stream,
        active_wei=3 * TEN,
        commission=Commission(now=2_500, next=0, next_from_s=0),
    )
    assert values(planned("vote", known), "forecast") == {
        "earned_wei": str(100_000 // 4 * 3 // 4),
        "end_s": str(stream.end_time_s),
    }
    # An owner pays itself no commission.
    own = replace(known, info=info(owner=ACCOUNT))
    assert values(planned("stake", own), "forecast")["earned_wei"] == str(100_000 // 4)
    assert "forecast" not in keys(planned("vote", replace(known, head_time_s=stream.end_time_s)))


def test_what_is_allowed_already_is_not_asked_for_again():
    document = planned("vote", facts(info=info(), allowance_wei=TEN))
    assert [step["function"] for step in document["steps"]] == ["vote"]


def test_the_cost_is_for_all_steps_at_a_fee_that_holds_for_some_blocks():
    known = facts(info=info())
    document = planned("vote", known)
    gas = TYPICAL_GAS["approve"] + TYPICAL_GAS["vote"]
    assert document["cost"] == {"gas": gas, "fee_max_wei": str(gas * 3 * 10**9), "coin_wei": str(10**18)}
    assert fee_max_wei(1, known) == 3 * 10**9


@pytest.mark.parametrize(
    ("action", "changed", "name"),
    [
        ("vote", {"info": info(), "cai_wei": TEN - 1}, "NotEnoughCai"),
        ("vote", {"info": info(), "coin_wei": 0}, "NotEnoughCoin"),
        ("vote", {}, "NotRegistered"),
        ("vote", {"info": info(active=False)}, "NodeInactive"),
        ("vote", {"info": info(owner=ACCOUNT)}, "OwnerCannotVote"),
        ("stake", {"info": info()}, "NotOwner"),
        ("stake", {"info": info(owner=ACCOUNT, left=True)}, "NodeHasLeft"),
        ("unvote", {"info": info()}, "NotEnoughStake"),
        ("unvote", {"info": info(), "shares": 5, "staked_wei": TEN - 1}, "NotEnoughStake"),
        ("claim", {"info": info()}, "NothingToClaim"),
        ("withdraw", {"info": info()}, "NoSuchRequest"),
        ("faucet", {}, None),
    ],
)
def test_what_is_in_the_way_is_said_before_a_wallet_opens(action, changed, name):
    obstacle = planned(action, facts(**changed))["obstacle"]
    assert (obstacle and obstacle["name"]) == name


def test_stake_behind_a_key_that_nobody_registered_is_warned_of():
    document = planned("stake")
    assert "key_without_node" in keys(document)
    assert document["obstacle"] is None


def test_the_faucet_gives_no_more_than_its_limit__and_is_not_everywhere():
    obstacle = planned("faucet", amount_wei=TERMS.faucet_limit_wei + 1)["obstacle"]
    assert obstacle["name"] == "FaucetLimitExceeded"
    with pytest.raises(PortalRefusal) as refused:
        planned("faucet", facts(terms=replace(TERMS, faucet_limit_wei=None)))
    assert refused.value.values["name"] == "NoFaucet"


def test_part_of_the_stake_leaves__rounded_in_the_stakers_favour():
    document = planned("unvote", facts(info=info(), shares=30, staked_wei=9), amount_wei=4)
    (step,) = document["steps"]
    assert arguments(step, "address", "uint256") == ("0x" + NODE.hex(), 14)
    assert step["line"]["values"] == {"amount_wei": "4", "node": "0x" + NODE.hex(), "staked_wei": "9"}
    assert values(document, "still_at_risk") == {"amount_wei": "4"}
    assert values(document, "release")["release_s"] == str(NOW_S + TERMS.unbonding_delay_s)
    assert "node_stops" not in keys(document)


def test_all_of_the_stake_is_all_shares():
    (step,) = planned("unvote", facts(info=info(), shares=30, staked_wei=9), amount_wei=None)["steps"]
    assert arguments(step, "address", "uint256")[1] == 30


@pytest.mark.parametrize(("voted_wei", "delays"), [(0, 1), (TEN, 2)])
def test_an_owner_who_goes_below_the_minimum_is_told__and_waits_for_voters(voted_wei, delays):
    own_wei = 20_005 * WEI_PER_CAI
    known = facts(
        info=info(owner=ACCOUNT, own_stake_wei=own_wei, total_stake_wei=own_wei + voted_wei),
        shares=own_wei,
        staked_wei=own_wei,
    )
    document = planned("unvote", known)
    assert values(document, "node_stops") == {"minimum_wei": str(20_000 * WEI_PER_CAI)}
    assert values(document, "release")["release_s"] == str(NOW_S + delays * TERMS.unbonding_delay_s)


def test_a_withdrawal_is_open_from_its_time_on_by_the_chains_clock():
    def obstacle(release_time_s):
        request = UnbondingRequest(
            node=NODE, account=ACCOUNT, request_id=3, amount_wei=TEN, release_time_s=release_time_s
        )
        return planned("withdraw", facts(info=info(), request=request), request_id=3)["obstacle"]

    assert obstacle(NOW_S) is None
    assert obstacle(NOW_S + 1) == {"name": "StillUnbonding", "arguments": {"releaseTime": str(NOW_S + 1)}}


def registration(known, **named):
    named = {"consent": CONSENT, "signature": b"s" * 65, "introduction": "hello", **named}
    return planned("register", known, **named)


def test_a_registration__stakes_what_is_missing_and_registers():
    document = registration(facts(staked_wei=5_000 * WEI_PER_CAI), amount_wei=25_000 * WEI_PER_CAI)
    assert [step["function"] for step in document["steps"]] == ["approve", "stake", "register"]
    _, stake, register = document["steps"]
    assert arguments(stake, "address", "uint256")[1] == 20_000 * WEI_PER_CAI
    assert arguments(register, "uint8", "address", "string", "uint256", "bytes") == (
        1,
        "0x" + NODE.hex(),
        "hello",
        CONSENT.deadline_s,
        b"s" * 65,
    )
    assert values(document, "consent_lapses") == {"deadline_s": str(CONSENT.deadline_s)}
    assert document["obstacle"] is None


def test_a_registration_goes_on_where_it_was_left():
    document = registration(facts(staked_wei=25_000 * WEI_PER_CAI), amount_wei=25_000 * WEI_PER_CAI)
    assert [step["function"] for step in document["steps"]] == ["register"]


@pytest.mark.parametrize(
    ("changed", "amount_cai", "name"),
    [
        ({"info": info(owner=OWNER)}, 25_000, "AlreadyRegistered"),
        ({"head_time_s": CONSENT.deadline_s + 1}, 25_000, "ConsentExpired"),
        ({}, 20_000, "OwnStakeTooSmall"),
        ({"cai_wei": 0}, 25_000, "NotEnoughCai"),
    ],
)
def test_what_is_in_the_way_of_a_registration(changed, amount_cai, name):
    document = registration(facts(**changed), amount_wei=amount_cai * WEI_PER_CAI)
    assert document["obstacle"]["name"] == name


MINE = info(owner=ACCOUNT)


def test_an_introduction_replaces_the_old_one_of_ones_own_node():
    document = planned("introduce", facts(info=MINE), introduction='{"name":"n"}')
    (step,) = document["steps"]
    assert (step["function"], step["to"]) == ("setMetadata", STAKING)
    assert arguments(step, "address", "string") == ("0x" + NODE.hex(), '{"name":"n"}')
    assert step["line"]["values"] == {"node": "0x" + NODE.hex(), "introduction": '{"name":"n"}'}
    assert document["obstacle"] is None


@pytest.mark.parametrize(
    ("basis_points", "key", "expected"),
    [
        (1_251, "commission_from", {"from_s": str(NOW_S + TERMS.commission_notice_s)}),
        (1_250, "commission_at_once", {}),
        (0, "commission_at_once", {}),
    ],
)
def test_a_commission_rises_after_its_notice_and_falls_at_once(basis_points, key, expected):
    known = facts(info=MINE, commission=Commission(now=1_250, next=0, next_from_s=0))
    document = planned("commission", known, basis_points=basis_points)
    (step,) = document["steps"]
    assert (step["function"], step["to"]) == ("announceCommission", STAKING)
    assert arguments(step, "address", "uint256") == ("0x" + NODE.hex(), basis_points)
    assert values(document, "commission_now") == {"now_percent": "12.5"}
    assert values(document, key) == expected
    assert keys(document) == ["commission_now", "voters_may_leave", key]


@pytest.mark.parametrize(
    ("action", "changed", "name"),
    [
        ("introduce", {}, "NotRegistered"),
        ("introduce", {"info": info()}, "NotOwner"),
        ("introduce", {"info": info(owner=ACCOUNT, active=False)}, "NodeInactive"),
        ("commission", {}, "NotRegistered"),
        ("commission", {"info": info()}, "NotOwner"),
        ("commission", {"info": info(owner=ACCOUNT, active=False)}, None),
        ("commission", {"info": MINE}, None),
    ],
)
def test_what_is_in_an_owners_way(action, changed, name):
    obstacle = planned(action, facts(**changed), basis_points=5_000)["obstacle"]
    assert (obstacle and obstacle["name"]) == name


def test_a_commission_beyond_the_contracts_most_is_refused_before_a_wallet_opens():
    obstacle = planned("commission", facts(info=MINE), basis_points=5_001)["obstacle"]
    assert obstacle == {"name": "CommissionTooHigh", "arguments": {"commission": "5001", "limit": "5000"}}
