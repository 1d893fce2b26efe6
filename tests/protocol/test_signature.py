from contextlib import suppress

import pytest
from coincurve import PrivateKey
from eth_account import Account
from eth_keys import keys
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import SignatureError
from protocol.signature import HALF_ORDER, SIGNATURE_BYTES, Signer, address_of, recover, sign_digest
from tests.protocol.builders import MINERS
from tests.protocol.strategies import lawful

ORDER = 2 * HALF_ORDER + 1
DIGEST = bytes(range(32))
ANN = MINERS["ann"]
SIGNATURE = sign_digest(ANN.secret, DIGEST)

secrets = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32, "big"))
digests = st.binary(min_size=32, max_size=32)


def with_parts(r: int | None = None, s: int | None = None, v: int | None = None) -> bytes:
    r = int.from_bytes(SIGNATURE[:32], "big") if r is None else r
    s = int.from_bytes(SIGNATURE[32:64], "big") if s is None else s
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([SIGNATURE[64] if v is None else v])


@lawful
@given(secrets, digests)
def test_what_is_signed_is_recovered_as_others_recover_it(secret, digest):
    signature = sign_digest(secret, digest)
    signer = recover(digest, signature)
    assert len(signature) == SIGNATURE_BYTES
    assert "0x" + signer.address.hex() == Account.from_key(secret).address.lower()
    assert signer.public_key == PrivateKey(secret).public_key.format()
    as_v01 = keys.Signature(signature[:64] + bytes([signature[64] - 27]))
    assert as_v01.recover_public_key_from_msg_hash(digest).to_canonical_address() == signer.address


@lawful
@given(secrets, digests)
def test_signatures_are_deterministic_and_the_same_as_eth_accounts(secret, digest):
    signature = sign_digest(secret, digest)
    assert signature == sign_digest(secret, digest)
    assert signature == bytes(Account.unsafe_sign_hash(digest, secret).signature)


@lawful
@given(digests, st.binary(max_size=70) | st.binary(min_size=65, max_size=65))
def test_any_signature_gives_a_signer_or_a_signature_error(digest, signature):
    try:
        signer = recover(digest, signature)
    except SignatureError:
        return
    assert isinstance(signer, Signer)


@lawful
@given(st.integers(0, 64), st.integers(1, 255))
def test_no_changed_signature_is_by_the_same_signer(place, difference):
    changed = bytearray(SIGNATURE)
    changed[place] ^= difference
    with suppress(SignatureError):
        assert recover(DIGEST, bytes(changed)).address != ANN.address


def test_the_second_signature_of_the_same_statement_is_refused():
    """(r, n - s) with the other v recovers the same key; ecrecover would take it."""
    twin = with_parts(s=ORDER - int.from_bytes(SIGNATURE[32:64], "big"), v=27 + 28 - SIGNATURE[64])
    as_v01 = keys.Signature(twin[:64] + bytes([twin[64] - 27]))
    assert as_v01.recover_public_key_from_msg_hash(DIGEST).to_canonical_address() == ANN.address
    with pytest.raises(SignatureError, match="s is in the upper half of the order"):
        recover(DIGEST, twin)


def test_the_half_order_itself_is_not_too_high():
    with pytest.raises(SignatureError, match="upper half"):
        recover(DIGEST, with_parts(s=HALF_ORDER + 1))
    assert recover(DIGEST, with_parts(s=HALF_ORDER)).address != ANN.address


@pytest.mark.parametrize("v", [0, 1, 26, 29, 30, 255])
def test_v_is_27_or_28(v):
    with pytest.raises(SignatureError, match=f"v is {v}, not 27 or 28"):
        recover(DIGEST, with_parts(v=v))


@pytest.mark.parametrize("length", [0, 64, 66])
def test_length(length):
    with pytest.raises(SignatureError, match=f"a signature has 65 bytes, not {length}"):
        recover(DIGEST, (SIGNATURE + b"\x00")[:length])


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(with_parts(r=0), id="r is zero"),
        pytest.param(with_parts(s=0), id="s is zero"),
        pytest.param(with_parts(r=ORDER), id="r is the order"),
        pytest.param(with_parts(r=2**256 - 1), id="r is beyond the field"),
        pytest.param(with_parts(r=5), id="r is no point's coordinate"),
    ],
)
def test_no_such_key(signature):
    with pytest.raises(SignatureError, match="no public key fits this signature"):
        recover(DIGEST, signature)


def test_an_example_from_elsewhere():
    """Private key 1: its address is in every Ethereum text."""
    public_key = PrivateKey((1).to_bytes(32, "big")).public_key
    assert address_of(public_key).hex() == "7e5f4552091a69125d5dfcb7b8c2659029395bdf"
