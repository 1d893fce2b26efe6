from __future__ import annotations

import subprocess
import sys

import pytest

from contracts.account import Account, BadSecret
from contracts.libraries import EthAccount, Web3
from tests.limits import CHILD_TIMEOUT_S

# The first account of the mnemonic that every development chain uses.
SECRET = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
ADDRESS = bytes.fromhex("f39fd6e51aad88f6f4ce6ab8827279cfffb92266")
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def test_an_account_has_its_key_s_address():
    assert Account(SECRET).address == ADDRESS


@pytest.mark.parametrize("secret", [b"", bytes(32), SECRET[1:], SECRET + b"\0", ORDER.to_bytes(32, "big")])
def test_what_is_no_key_is_refused_without_showing_it(secret):
    with pytest.raises(BadSecret) as caught:
        Account(secret)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_account_does_not_show_its_key():
    assert repr(Account(SECRET)) == f"Account(0x{ADDRESS.hex()})"


@pytest.mark.parametrize("to", [None, "0x5FbDB2315678afecb367f032d93F642f64180aa3"])
def test_a_signed_transaction_is_the_account_s(to):
    transaction = {
        "type": 2,
        "chainId": 1337,
        "nonce": 5,
        "maxPriorityFeePerGas": 1,
        "maxFeePerGas": 2,
        "gas": 21_000,
        "value": 7,
        "data": b"data",
    }
    if to is not None:
        transaction["to"] = to
    account = Account(SECRET)
    signed = account.sign_transaction({**transaction, "from": Web3.to_checksum_address(ADDRESS)})
    assert signed.raw_transaction[:1] == b"\x02"
    assert signed.hash == Web3.keccak(signed.raw_transaction)
    assert EthAccount.recover_transaction(signed.raw_transaction) == Web3.to_checksum_address(ADDRESS)


def test_a_transaction_without_its_nonce_is_not_signed():
    with pytest.raises(TypeError, match="nonce"):
        Account(SECRET).sign_transaction({"type": 2, "chainId": 1, "gas": 21_000, "value": 0})


@pytest.mark.process
def test_the_client_leaves_the_recursion_limit_alone():
    """At 100,000, 70 kB of brackets from outside end the process in Python's own JSON parser."""
    script = (
        "import sys; before = sys.getrecursionlimit()\n"
        "import contracts.staking, contracts.deploy, contracts.events, contracts.anvil, contracts.build\n"
        "assert sys.getrecursionlimit() == before\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=CHILD_TIMEOUT_S)


@pytest.mark.process
def test_the_package_itself_is_light():
    script = (
        "import sys, contracts, contracts.errors, contracts.records, contracts.artifacts\n"
        "assert not {'eth_abi', 'eth_account', 'web3', 'trio', 'httpx2'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=CHILD_TIMEOUT_S)
