"""Any evidence: its encoding, and that any bytes give an offence or one error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DecodeError, ProtocolError
from protocol.evidence import FORM_OF, JUDGED_BY_CONTRACT, Fault, accused_by, decode_evidence, verify_evidence
from tests.protocol import builders
from tests.protocol.builders import DOMAIN
from tests.protocol.strategies import lawful, mutations, structs, values

EPOCHS = builders.view().epochs


@lawful
@given(
    st.binary(max_size=60)
    | values.map(repr).map(str.encode)
    | mutations(st.sampled_from([piece.encode() for piece in builders.all_evidence()]))
    | st.one_of(*(structs(form).map(form.encode) for form in FORM_OF.values()))
)
def test_any_bytes_are_evidence_or_a_protocol_error(data):
    try:
        evidence = decode_evidence(data)
    except DecodeError:
        return
    assert evidence.encode() == data
    try:
        offence = verify_evidence(DOMAIN, evidence, EPOCHS)
    except ProtocolError:
        return
    assert offence.slashable_by_contract == (evidence.FAULT in JUDGED_BY_CONTRACT)


@pytest.mark.parametrize("data", ["80", "00", "8100", "8105", "814101", "8101", "820141"])
def test_what_is_no_evidence(data):
    with pytest.raises(DecodeError):
        decode_evidence(bytes.fromhex(data))


def test_the_offences_key_tells_faults_apart():
    keys = {verify_evidence(DOMAIN, piece, EPOCHS).key for piece in builders.all_evidence()}
    assert len(keys) == len(Fault) == len(FORM_OF)


def test_who_is_accused_is_who_is_found_guilty():
    for piece in builders.all_evidence():
        assert accused_by(DOMAIN, piece) == verify_evidence(DOMAIN, piece, EPOCHS).signer
