"""Numbers of faults are for ever; the offence says who judges."""

from protocol.evidence import FORM_OF, Fault, Offence
from protocol.evidence.faults import JUDGED_BY_CONTRACT
from protocol.messages import Kind
from tests.protocol.builders import FIRST_RANKED


def test_the_numbers_of_faults():
    assert {fault.name: int(fault) for fault in Fault} == {
        "EQUIVOCATION": 1,
        "BROKEN_SEQUENCE": 2,
        "WRONG_RANKING": 3,
        "FALSE_PART": 4,
        "FALSE_STEP": 5,
        "FALSE_START": 6,
        "NOT_FINITE": 7,
        "STEP_COUNT": 8,
        "MALFORMED_TRACE": 9,
        "FALSE_VERDICT": 10,
    }
    assert FORM_OF.keys() == set(Fault)


def test_the_faults_that_the_contract_does_not_judge():
    assert set(Fault) - JUDGED_BY_CONTRACT == {Fault.WRONG_RANKING, Fault.FALSE_PART}


def test_an_offence_says_whether_the_contract_judges_it():
    for fault in Fault:
        offence = Offence(fault, FIRST_RANKED.address, Kind.RESULT_COMMITMENT, bytes(32))
        assert offence.slashable_by_contract == (fault in JUDGED_BY_CONTRACT)
        assert offence.key == (int(fault), FIRST_RANKED.address)
