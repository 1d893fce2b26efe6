"""What contracts say no with, as people read it; the table is held against the contracts' own errors."""

import pytest

from contracts.records import JAIL_FOREVER_S
from contracts.reverts import _known_errors
from node.commands.contract_refusals import REFUSALS, fields_of, in_words

NODE, ANN = b"\x11" * 20, b"\x22" * 20
CAI = 10**18


def test_every_sentence_is_of_an_error_that_the_contracts_have_and_shows_its_arguments():
    errors = {}
    for entry in _known_errors().values():
        errors.setdefault(entry["name"], []).append({part["name"] for part in entry["inputs"]})
    for name, sentence in REFUSALS:
        if name != "unknown":
            assert any(fields_of(sentence) <= inputs for inputs in errors[name]), name


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        (
            "ERC20InsufficientBalance",
            {"sender": ANN, "balance": 0, "needed": 25_000 * CAI},
            (
                f"0x{ANN.hex()} has 0 CAI in tokens and needs 25,000 CAI; on a development network, get more "
                "with: cuckoo-peer chain faucet AMOUNT; where CAI is the coin, with: "
                "cuckoo-peer chain wrap AMOUNT"
            ),
        ),
        (
            "StillUnbonding",
            {"requestId": 3, "releaseTime": 1_765_744_380},
            "request 3 is released at 2025-12-14 20:33:00 UTC",
        ),
        (
            "NodeJailed",
            {"node": NODE, "jailedUntil": 1_765_744_380},
            f"0x{NODE.hex()} is jailed until 2025-12-14 20:33:00 UTC",
        ),
        ("NodeJailed", {"node": NODE, "jailedUntil": JAIL_FOREVER_S}, f"0x{NODE.hex()} is jailed for good"),
        (
            "CommissionTooHigh",
            {"commission": 6_050, "limit": 5_000},
            "a commission of 60.5 % is too high; the most is 50 %",
        ),
        ("WrongRole", {"node": NODE, "expected": 2}, f"0x{NODE.hex()} is not registered as a coordinator"),
        (
            "NothingToClaim",
            {"node": NODE, "account": ANN},
            f"0x{ANN.hex()} has nothing to claim behind 0x{NODE.hex()}",
        ),
        (
            "NothingToClaim",
            {"evidenceKey": bytes(32)},
            "no such evidence was reported, or its reward is paid already",
        ),
        (
            "unknown",
            {},
            "the contract refused for a reason that this version does not know; is it the right network?",
        ),
        ("SeedMissed", {"epoch": 7}, "the contract refused: SeedMissed(epoch=7)"),
        ("NotADevelopmentChain", {}, "the contract refused: NotADevelopmentChain()"),
    ],
)
def test_in_words(name, arguments, words):
    assert in_words(name, arguments) == words
