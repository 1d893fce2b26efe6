"""A wish from the page, field by field; what is not of its form is refused by a code that says which."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.records import Consent, Role
from node.portal.errors import STATUS, PortalRefusal
from node.portal.wishes import CONSENT_BYTES_MAX, Wish, parse_wish
from protocol.amounts import WEI_PER_CAI
from tests.node.portal.builders import ACCOUNT, NODE

VOTE = {"action": "vote", "account": "0x" + ACCOUNT.hex(), "node": "0x" + NODE.hex(), "amount": "1.5"}
CONSENT = {
    "owner": "0x" + ACCOUNT.hex(),
    "node": "0x" + NODE.hex(),
    "role": "miner",
    "deadline_s": 99,
    "signature": "0x" + "ab" * 65,
}
REGISTER = {
    "action": "register",
    "account": "0x" + ACCOUNT.hex(),
    "amount": "20001",
    "consent": json.dumps(CONSENT),
    "introduction": "मेरा माइनर",
}


def parse(document):
    return parse_wish(json.dumps(document).encode())


def refusal(document):
    with pytest.raises(PortalRefusal) as refused:
        parse(document)
    return refused.value.code


def test_a_vote():
    assert parse(VOTE) == Wish(action="vote", account=ACCOUNT, node=NODE, amount_wei=3 * WEI_PER_CAI // 2)


def test_a_registration():
    assert parse(REGISTER) == Wish(
        action="register",
        account=ACCOUNT,
        node=NODE,
        amount_wei=20_001 * WEI_PER_CAI,
        consent=Consent(owner=ACCOUNT, node=NODE, role=Role.MINER, deadline_s=99),
        signature=b"\xab" * 65,
        introduction="मेरा माइनर",
    )


def test_an_introduction_and_a_commission_of_ones_own_node():
    mine = {"account": "0x" + ACCOUNT.hex(), "node": "0x" + NODE.hex()}
    introduce = parse(mine | {"action": "introduce", "introduction": "मेरा"})
    assert introduce == Wish(action="introduce", account=ACCOUNT, node=NODE, introduction="मेरा")
    for text, basis_points in (("12.5", 1_250), ("0", 0), ("50", 5_000), ("7.05", 705), (" 3 ", 300)):
        commission = parse(mine | {"action": "commission", "percent": text})
        assert commission == Wish(action="commission", account=ACCOUNT, node=NODE, basis_points=basis_points)
    for text in ("", "-1", "100", "1,5", "1.234", "५", ".5", 5, "1e1"):
        assert refusal(mine | {"action": "commission", "percent": text}) == "bad_percent"


def test_all_is_an_amount_to_unbond_and_nothing_else():
    assert parse(VOTE | {"action": "unvote", "amount": "all"}).amount_wei is None
    assert refusal(VOTE | {"amount": "all"}) == "bad_amount"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"action": "transfer"}, "bad_action"),
        ({"action": None}, "bad_json"),
        ({"account": "0x12"}, "bad_account"),
        ({"account": 5}, "bad_account"),
        ({"node": "0x" + "g" * 40}, "bad_node"),
        ({"amount": "1,5"}, "bad_amount"),
        ({"amount": "0"}, "bad_amount"),
        ({"amount": "-1"}, "bad_amount"),
        ({"amount": 5}, "bad_amount"),
        ({"amount": "9" * 200}, "bad_amount"),
        ({"action": "withdraw", "request_id": "65536"}, "bad_request_id"),
        ({"action": "withdraw", "request_id": "-1"}, "bad_request_id"),
        ({"action": "withdraw"}, "bad_request_id"),
        ({f"field {number}": 1 for number in range(20)}, "bad_json"),
        ({"more": {"nested": 1}}, "bad_json"),
    ],
)
def test_a_field_that_is_not_of_its_form(changed, code):
    assert refusal(VOTE | changed) == code


@pytest.mark.parametrize(
    "consent",
    [
        "",
        "[]",
        "{}",
        "x" * (CONSENT_BYTES_MAX + 1),
        json.dumps(CONSENT | {"role": "king"}),
        json.dumps(CONSENT | {"signature": "0xab"}),
        json.dumps(CONSENT | {"deadline_s": 0}),
        json.dumps(CONSENT | {"deadline_s": "99"}),
        json.dumps(CONSENT | {"deadline_s": 2**64}),
        json.dumps(CONSENT | {"owner": "0x" + NODE.hex()}),
    ],
)
def test_a_consent_that_is_none__or_for_another_owner(consent):
    assert refusal(REGISTER | {"consent": consent}) == "bad_consent"


@pytest.mark.parametrize("introduction", ["x" * 513, "अ" * 171, "\ud800"])
def test_an_introduction_that_the_contract_would_not_take(introduction):
    assert refusal(REGISTER | {"introduction": introduction}) == "bad_introduction"


@given(
    st.binary(max_size=300)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps).map(str.encode)
)
def test_any_bytes_are_a_wish_or_refused_by_a_known_code(body):
    try:
        parse_wish(body)
    except PortalRefusal as refused:
        assert refused.code in STATUS


def test_deep_nesting_is_no_way_to_break_the_parser():
    with pytest.raises(PortalRefusal, match="bad_json"):
        parse_wish(b"[" * 8_000)
