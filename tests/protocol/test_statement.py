from contextlib import suppress

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor
from protocol.errors import DecodeError, ProtocolError, SignatureError
from protocol.hashing import keccak256
from protocol.messages import KIND_OF, MESSAGE_OF, Kind, Offer, TaskAcceptance
from protocol.statement import Domain, Envelope, open_statement, read_envelope, seal, unsigned, verify
from tests.protocol import builders
from tests.protocol.builders import DOMAIN, MINERS, OTHER_DOMAIN, opened, sealed
from tests.protocol.strategies import lawful, mutations, structs, values

EVERY_MESSAGE = pytest.mark.parametrize(
    "message", builders.messages(), ids=lambda message: type(message).__name__
)
ANN = MINERS["ann"]
addresses = st.binary(min_size=20, max_size=20)
hashes = st.binary(min_size=32, max_size=32)
any_message = st.one_of(*(structs(struct) for struct in MESSAGE_OF.values()))


def typed_data(domain: Domain, kind: int, slot: bytes, body_hash: bytes) -> dict[str, object]:
    """The statement as any wallet would be asked to sign it."""
    return {
        "primaryType": "Statement",
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Statement": [
                {"name": "kind", "type": "uint8"},
                {"name": "slot", "type": "bytes32"},
                {"name": "body", "type": "bytes32"},
            ],
        },
        "domain": {
            "name": "Cuckoo",
            "version": "1",
            "chainId": domain.chain_id,
            "verifyingContract": "0x" + domain.verifying_contract.hex(),
        },
        "message": {"kind": kind, "slot": slot, "body": body_hash},
    }


@lawful
@given(st.integers(0, 2**256 - 1), addresses, st.integers(0, 255), hashes, hashes)
def test_the_digest_is_that_of_eip_712(chain_id, contract, kind, slot, body_hash):
    domain = Domain(chain_id, contract)
    signable = encode_typed_data(full_message=typed_data(domain, kind, slot, body_hash))
    assert signable.header == domain.separator
    assert domain.digest(kind, slot, body_hash) == keccak256(
        b"\x19" + signable.version + signable.header + signable.body
    )


@EVERY_MESSAGE
def test_a_wallets_signature_opens(message):
    """Signed by eth_account from the typed data, opened by us."""
    statement = unsigned(DOMAIN, message)
    data = typed_data(DOMAIN, int(statement.kind), statement.slot, keccak256(statement.body))
    signature = bytes(Account.sign_typed_data(ANN.secret, full_message=data).signature)
    envelope = Envelope(1, statement.kind, statement.body, signature).encode()
    assert envelope == sealed(ANN, message)
    assert open_statement(DOMAIN, envelope, type(message)).signer.address == ANN.address


@EVERY_MESSAGE
def test_what_is_sealed_opens(message):
    statement = opened(ANN, message)
    assert statement.message == message
    assert statement.signer.address == ANN.address
    assert statement.kind == KIND_OF[type(message)]
    assert statement.digest == unsigned(DOMAIN, message).digest
    assert statement.encoded == sealed(ANN, message)


@lawful
@given(any_message)
def test_every_message_survives_its_envelope(message):
    assert opened(ANN, message).message == message


def test_the_envelope_is_an_array_of_four():
    message = builders.acceptance()
    version, kind, body, signature = cbor.decode(sealed(ANN, message))
    assert (version, kind, body) == (1, Kind.TASK_ACCEPTANCE, message.encode())
    assert len(signature) == 65


@EVERY_MESSAGE
def test_a_statement_is_bound_to_its_network(message):
    statement = open_statement(OTHER_DOMAIN, sealed(ANN, message), type(message))
    assert statement.signer.address != ANN.address


@EVERY_MESSAGE
def test_no_signature_fits_another_kind_or_body(message):
    envelope, _ = read_envelope(sealed(ANN, message))
    for other in builders.messages():
        if other != message:
            moved = builders.changed(envelope, kind=KIND_OF[type(other)], body=other.encode())
            with suppress(SignatureError):
                assert verify(DOMAIN, moved, other, moved.encode()).signer.address != ANN.address


near_statements = st.one_of(
    st.binary(max_size=80),
    values.map(cbor.encode),
    mutations(st.sampled_from([sealed(ANN, message) for message in builders.messages()])),
    st.builds(
        lambda version, kind, body, signature: cbor.encode((version, kind, body, signature)),
        st.integers(0, 2),
        st.sampled_from(Kind) | st.integers(0, 300),
        values.map(cbor.encode) | any_message.map(lambda message: message.encode()),
        st.binary(max_size=66) | st.binary(min_size=65, max_size=65),
    ),
)


@lawful
@given(near_statements)
def test_any_bytes_open_or_are_a_protocol_error(data):
    try:
        envelope, message = read_envelope(data)
    except DecodeError:
        return
    assert Envelope(1, envelope.kind, message.encode(), envelope.signature).encode() == data
    try:
        statement = open_statement(DOMAIN, data, type(message))
    except SignatureError:
        return
    assert statement.message == message


def envelope_of(**changes):
    return builders.changed(Envelope(1, Kind.OFFER, builders.offer().encode(), bytes(65)), **changes).encode()


def test_refusals():
    for data, why in [
        (envelope_of(version=0), "version 0 where 1 is spoken"),
        (cbor.encode((2, 1, b"\x80", bytes(65))), "version is not Uint"),
        (envelope_of(kind=6), "unknown kind 6"),
        (envelope_of(kind=Kind.TASK_ACCEPTANCE), "TaskAcceptance is an array of 2"),
        (cbor.encode((1, 1, b"", bytes(65))), "body is not Bytes"),
        (cbor.encode((1, 1, b"\x80", bytes(64))), "signature is not Bytes"),
        (envelope_of() + b"\x00", "1 bytes after the value"),
        (envelope_of(body=builders.offer().encode() + b"\x00"), "1 bytes after the value"),
    ]:
        with pytest.raises(DecodeError, match=why):
            read_envelope(data)


def test_another_kind_than_expected_is_refused():
    with pytest.raises(DecodeError, match="Offer where TaskAcceptance was expected"):
        open_statement(DOMAIN, sealed(ANN, builders.offer()), TaskAcceptance)
    assert issubclass(DecodeError, ProtocolError)


def test_whoever_signs_may_refuse_and_then_nothing_is_made():
    def refuse(statement):
        assert statement.slot == builders.offer().slot()
        raise PermissionError

    with pytest.raises(PermissionError):
        seal(DOMAIN, builders.offer(), refuse)


def test_a_message_outside_its_bounds_is_not_offered_for_signing():
    with pytest.raises(ValueError, match="Offer cannot be encoded"):
        seal(DOMAIN, builders.offer(capacity=256), lambda _: pytest.fail("asked to sign"))
    assert Offer.decode(builders.offer(capacity=255).encode()).capacity == 255


def test_a_domain_is_a_value():
    assert Domain(31337, DOMAIN.verifying_contract) == DOMAIN
    assert hash(Domain(31337, DOMAIN.verifying_contract)) == hash(DOMAIN)
    assert DOMAIN != OTHER_DOMAIN
    assert Domain(31337, bytes(20)) != DOMAIN


@pytest.mark.parametrize(
    ("chain_id", "contract"), [(1, bytes(19)), (1, bytes(21)), (-1, bytes(20)), (2**256, bytes(20))]
)
def test_a_domain_has_a_chains_number_and_an_address(chain_id, contract):
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own words
        Domain(chain_id, contract)


def test_the_digest_of_a_body_is_the_same_whoever_signs_it():
    """So an announcement names its coordinator, and the rules refuse it under another signature."""
    first, second = (opened(signer, builders.announcement()) for signer in (builders.COORDINATOR, ANN))
    assert first.digest == second.digest
    assert first.signer != second.signer
