"""Every text is in both languages, says the same values, and is there for whatever the node may say."""

import ast
import inspect
import re

import pytest

from node.commands.contract_refusals import REFUSALS, fields_of
from node.portal import plan, planning, pulse
from node.portal.errors import STATUS
from node.portal.files import load_files
from protocol.evidence import Fault
from protocol.messages import PassedOver
from tests.node.portal.words import STRINGS, fits, places

FORMS = {
    "about", "address", "cai", "coin", "contract", "duration", "fault", "hash", "number", "percent", "role",
    "task", "text", "time", "untrusted", "weight",
}  # fmt: skip
DEVANAGARI = re.compile("[\u0900-\u097f]")
SCRIPTS = {path: file.body.decode() for path, file in load_files().items() if path.endswith(".js")}
CONTRACTS_OWN = {
    "AlreadyRegistered", "CommissionTooHigh", "ConsentExpired", "ConsentNotByNode", "FaucetCoolingDown",
    "FaucetLimitExceeded", "NodeHasLeft", "NodeInactive", "NodeJailed", "NoSuchRequest", "NotOwner",
    "NotRegistered", "NothingToClaim", "OwnerCannotVote", "OwnStakeTooSmall", "PoolFull", "StillUnbonding",
    "TooManyRequests",
}  # fmt: skip
"""Refusals that an honest page can meet, which therefore have words of their own."""


@pytest.mark.parametrize("key", STRINGS)
def test_a_text_is_in_both_languages_with_the_same_values(key):
    assert set(STRINGS[key]) == {"en", "hi"}
    assert all(text.strip() for text in STRINGS[key].values())
    assert places(key, "en") == places(key, "hi")
    assert {form for _, form in places(key)} <= FORMS
    # No other brace: it would be shown as it is.
    rest = re.sub(r"\{\w+:\w+\}", "", STRINGS[key]["en"] + STRINGS[key]["hi"])
    assert "{" not in rest
    assert "}" not in rest
    assert DEVANAGARI.search(STRINGS[key]["hi"])


def test_each_text_that_a_script_names_is_there():
    named = set()
    for script in SCRIPTS.values():
        named |= set(re.findall(r"""\b(?:t|pieces|cell)\(\s*"([a-z_.]+)\"""", script))
        named |= set(re.findall(r"""\bsay\(work, "([a-z_.]+)\"""", script))
    assert len(named) > 60
    assert named <= set(STRINGS)


def test_each_text_is_used():
    told = "".join(SCRIPTS.values())
    made = re.compile(
        r"^(bad|check|error|refused|passed|pay|plan|fault|feed|banner|nav|do|role|draw|nodes|positions)\."
    )
    unused = [key for key in STRINGS if f'"{key}"' not in told and not made.match(key)]
    assert unused == []


def test_each_form_is_known_to_the_page():
    script = SCRIPTS["/i18n.js"]
    assert all(f"  {form}: " in script or f'case "{form}"' in script or form == "text" for form in FORMS)


def test_each_error_code_has_words():
    values = {"retry_after_s", "node", "name", "arguments", "reason"}
    assert [code for code in STATUS if code != "refused" and not fits(f"error.{code}", values)] == []


def texts_in(module, *calls):
    """Constant arguments of calls of these names in a module's source."""
    found = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in calls:
            found |= {
                arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            }
    return found


def test_each_line_of_a_plan_has_words():
    named = texts_in(plan, "Line", "_step") - {"does", "risk", "until", "note"}
    assert len(named) > 15
    assert [key for key in named if f"plan.{key}" not in STRINGS] == []


def test_each_happening_has_words():
    named = texts_in(pulse, "_tell") | set(re.findall(r'"(audit_\w+)"', inspect.getsource(pulse)))
    assert len(named) == 8
    assert [name for name in named if f"feed.{name}" not in STRINGS] == []


def test_each_reason_to_pass_over_has_words():
    assert [reason for reason in PassedOver if f"passed.{int(reason)}" not in STRINGS] == []


def test_each_fault_of_a_receipt_has_words():
    script = SCRIPTS["/checks/receipt.js"]
    named = set(re.findall(r"""(?:hold\(.*, |new BadReceipt\()"(\w+)\"""", script))
    assert len(named) == 9
    assert [code for code in named if f"bad.{code}" not in STRINGS] == []


def test_each_fault_has_words():
    assert [fault for fault in Fault if f"fault.{int(fault)}" not in STRINGS] == []


def test_each_obstacle_has_words():
    source = inspect.getsource(plan) + inspect.getsource(planning)
    named = set(re.findall(r'"([A-Z][A-Za-z]+)"', source)) - {"Plan", "Facts"}
    assert {"NotEnoughCai", "NotEnoughCoin", "NodeInactive"} <= named
    assert [name for name in named if f"refused.{name}" not in STRINGS] == []


@pytest.mark.parametrize("name", sorted(CONTRACTS_OWN))
def test_a_refusal_shows_what_the_contract_says(name):
    known = [fields_of(sentence) for refusal, sentence in REFUSALS if refusal == name]
    assert known
    shown = {value for value, _ in places(f"refused.{name}")}
    # Names of values are the contract's; those that a plan knows before are in `test_plan`.
    assert any(shown <= fields for fields in known) or shown <= {"node", "limit"}
