from __future__ import annotations

import subprocess
import sys

import pytest
from eth_account import Account as EthAccount
from hypothesis import given
from hypothesis import strategies as st

from contracts.account import Account, BadSecret, Transaction
from tests.contracts.world import lawful

# The first account of the mnemonic that every development chain uses.
SECRET = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
ADDRESS = bytes.fromhex("f39fd6e51aad88f6f4ce6ab8827279cfffb92266")
WORDS = st.integers(0, 2**256 - 1)
TRANSACTIONS = st.builds(
    Transaction,
    chain_id=st.integers(1, 2**32),
    nonce=st.integers(0, 2**64 - 1),
    priority_fee_per_gas_wei=WORDS,
    fee_per_gas_max_wei=WORDS,
    gas=st.integers(0, 2**64 - 1),
    to=st.one_of(st.just(b""), st.binary(min_size=20, max_size=20)),
    value_wei=WORDS,
    data=st.binary(max_size=300),
)
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


@lawful
@given(TRANSACTIONS)
def test_a_signed_transaction_is_byte_for_byte_eth_account_s(transaction):
    theirs = EthAccount.sign_transaction(
        {
            "type": 2,
            "chainId": transaction.chain_id,
            "nonce": transaction.nonce,
            "maxPriorityFeePerGas": transaction.priority_fee_per_gas_wei,
            "maxFeePerGas": transaction.fee_per_gas_max_wei,
            "gas": transaction.gas,
            "value": transaction.value_wei,
            "data": transaction.data,
            **({"to": transaction.to} if transaction.to else {}),
        },
        SECRET,
    )
    ours = Account(SECRET).sign_transaction(transaction)
    assert ours.raw == bytes(theirs.raw_transaction)
    assert ours.hash == bytes(theirs.hash)


def test_the_client_leaves_the_recursion_limit_alone():
    """At 100,000, 70 kB of brackets from outside end the process in Python's own JSON parser."""
    script = (
        "import sys; before = sys.getrecursionlimit()\n"
        "import contracts.client, contracts.deploy, contracts.events, contracts.anvil, contracts.build\n"
        "assert sys.getrecursionlimit() == before\n"
        "assert not {'eth_account', 'py_ecc', 'web3'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
