"""Refusals of our contracts, in words that tell what to do: amounts in CAI, dates, commands.

Is: a table from the name of a contract's error to a sentence over its arguments.
Is not: the decoding of errors (`contracts.reverts`). A name that is missing here is shown as it is.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from typing import Any, Final

from contracts.records import JAIL_FOREVER_S, Role
from node.system.clock import format_time
from protocol.amounts import format_cai

BASIS_POINTS_PER_PERCENT: Final = 100

REFUSALS: Final = (
    # Money
    (
        "ERC20InsufficientBalance",
        (
            "{sender} has {balance:cai} in tokens and needs {needed:cai}; on a development network, get "
            "more with: cuckoo-peer chain faucet AMOUNT; where CAI is the coin, with: "
            "cuckoo-peer chain wrap AMOUNT"
        ),
    ),
    (
        "ERC20InsufficientAllowance",
        "{spender} may take {allowance:cai} and needs {needed:cai}, which has changed; run the command again",
    ),
    ("FaucetLimitExceeded", "you asked for {amount:cai}; the faucet gives at most {limit:cai} at a time"),
    ("FaucetCoolingDown", "the faucet gives to this account again from {readyAt:time} on"),
    ("NotADevelopmentChain", "a token with a faucet is for development chains, and {chainId} is not one"),
    ("NothingToMove", "there is nothing to move: the amount is zero, or worth less than a wei"),
    # Nodes
    ("AlreadyRegistered", "{node} is registered already; a node's key registers once"),
    ("NotRegistered", "{node} is not registered"),
    ("NodeHasLeft", "{node} has left for good; another node needs another key"),
    ("NotOwner", "{node} is not a node of {account}; send with the key of its owner"),
    ("NotTheOwner", "{coordinator} is not a coordinator of {account}; send with the key of its owner"),
    ("WrongRole", "{node} is not registered as a {expected:role}"),
    (
        "ConsentExpired",
        "the node key's consent lapsed at {deadline:time}; look at this machine's clock, and run it again",
    ),
    ("ConsentNotByNode", "the consent for {node} was signed by {signer}"),
    ("MetadataTooLong", "the metadata has {length} bytes; the most is {limit}"),
    (
        "OwnStakeTooSmall",
        (
            "the own stake is {amount:cai} and has to be more than {minimum:cai}; add to it with: "
            "cuckoo-peer chain stake NODE AMOUNT"
        ),
    ),
    ("NodeJailed", "{node} is jailed {jailedUntil:jail}"),
    ("NodeNotJailed", "{node} is not jailed"),
    ("NodeInactive", "{node} takes part in no draws now; see why with: cuckoo-peer chain node {node}"),
    # Stake
    ("OwnerCannotVote", "{node} is your own; add to its stake with: cuckoo-peer chain stake {node} AMOUNT"),
    ("PoolFull", "{node} takes no more stake"),
    ("NotEnoughShares", "you have {available} shares behind the node, and asked for {shares}"),
    ("TooManyRequests", "{limit} withdrawals are on their way already; take one first"),
    ("NoSuchRequest", "{account} has no request {requestId} behind {node}; it may be withdrawn already"),
    ("StillUnbonding", "request {requestId} is released at {releaseTime:time}"),
    ("WeightsAreLocked", "stakes are held still until block {untilBlock}, for a draw; try again after it"),
    # Rewards
    ("NothingToClaim", "{account} has nothing to claim behind {node}"),
    ("CommissionTooHigh", "a commission of {commission:percent} is too high; the most is {limit:percent}"),
    (
        "RateOutOfBounds",
        (
            "{rate:cai} would flow in a second; it has to be as much as now, {currentRate:cai}, or more, and "
            "at most {maximum:cai}"
        ),
    ),
    # Pay
    (
        "NotWithdrawable",
        "it can be withdrawn from {from:time} to {until:time}; if that is over, announce it again",
    ),
    ("NoDebt", "{coordinator} has no debt to {miner} that can be reported"),
    ("InGrace", "the debt can still be paid, until {graceEnd:time}"),
    ("VoucherNotByCoordinator", "the voucher was signed by {signer}, not by {coordinator}"),
    # Evidence
    ("EvidenceSpent", "this offence of {signer} was reported already"),
    ("OffenceSpent", "this offence of {signer} was reported already"),
    ("NothingToClaim", "no such evidence was reported, or its reward is paid already"),
    ("KindNotSlashable", "statements of kind {kind} may honestly be made twice"),
    ("SameStatement", "the two statements are the same, which proves nothing"),
    ("DifferentSigners", "the statements were signed by {signerA} and {signerB}"),
    ("PriorityOpen", "the reward waits for the end of block {lastBlock}"),
    # Another contract, or another version of ours
    (
        "unknown",
        "the contract refused for a reason that this version does not know; is it the right network?",
    ),
)
"""Sentences by the error's name. The first whose arguments are all there is said; a name may have two forms.
Amounts are wei and times Unix seconds, as the ABI has them."""

_FORMS: Final[dict[str, Callable[[int], str]]] = {
    "": str,
    "cai": format_cai,
    "time": format_time,
    "percent": lambda basis_points: f"{basis_points / BASIS_POINTS_PER_PERCENT:g} %",
    "jail": lambda time_s: "for good" if time_s == JAIL_FOREVER_S else f"until {format_time(time_s)}",
    "role": lambda number: Role(number).name.lower(),
}


class _Words(string.Formatter):
    """Values of the ABI as people read them."""

    def format_field(self, value: Any, format_spec: str) -> str:
        return f"0x{value.hex()}" if isinstance(value, bytes) else _FORMS[format_spec](value)


def fields_of(sentence: str) -> frozenset[str]:
    """Names of the arguments that a sentence shows."""
    return frozenset(field for _, field, _, _ in string.Formatter().parse(sentence) if field)


def in_words(name: str, arguments: Mapping[str, Any]) -> str:
    """A contract's error as a sentence.

    :param name: of the error, as `contracts.errors.ContractReverted` has it, as well as its `arguments`.
    """
    for known, sentence in REFUSALS:
        if known == name and fields_of(sentence) <= arguments.keys():
            return _Words().vformat(sentence, (), arguments)
    shown = ", ".join(f"{key}={_Words().format_field(value, '')}" for key, value in arguments.items())
    return f"the contract refused: {name}({shown})"
