"""Every fault in words and numbers."""

import pytest

from node.commands.evidence_words import describe
from protocol.audit import TraceTensor
from protocol.evidence import Fault, verify_evidence
from protocol.evidence.faults import WrongTensor
from protocol.evidence.makers import false_step, malformed_trace, not_finite
from protocol.hashing import sha256
from tests.protocol import builders
from tests.protocol.builders import DOMAIN, changed, sealed
from tests.protocol.traces import Lie, MadeTrace, Terms

EPOCHS = builders.view().epochs
IMAGES = [f"0x{sha256(image).hex()}" for image in (b"another image", builders.IMAGE)]
CHAIN = "announcement 11 of epoch 7 and announcement 12 of epoch 7 are not of one chain: the later follows "
WORDS = {
    Fault.EQUIVOCATION: [f"output_hash: {' and '.join(IMAGES)}"],
    Fault.BROKEN_SEQUENCE: [f"{CHAIN}0x{sha256(b'another task').hex()}"],
    Fault.WRONG_RANKING: ["announcement 11 of epoch 7: its ranking is not the draw's"],
    Fault.FALSE_PART: ["part 0 of the output is not the one that was committed to"],
}


def words_of(evidence) -> list[str]:
    return describe(evidence, verify_evidence(DOMAIN, evidence, EPOCHS))


@pytest.mark.parametrize("evidence", builders.all_evidence()[:4], ids=lambda piece: piece.FAULT.name)
def test_what_statements_say_is_said_in_words(evidence):
    assert words_of(evidence) == WORDS[evidence.FAULT]


def test_a_false_step_is_said_in_numbers():
    made = MadeTrace(Terms(), Lie(bits={(2, TraceTensor.LATENT, 70): 0x3800}))
    expected = verify_evidence(DOMAIN, false_step(made.held, 1, 70), {}).finding.expected
    assert words_of(false_step(made.held, 1, 70)) == [
        f"step 1, number 70: committed 0.5, the scheduler gives {expected:.5g}"
    ]


def test_a_start_a_number_a_count_and_a_tensor_are_said_in_numbers():
    said = {piece.FAULT: words_of(piece)[0] for piece in builders.all_evidence()}
    assert said[Fault.FALSE_START].startswith("first latent, number 3: committed ")
    assert ", the seed gives " in said[Fault.FALSE_START]
    assert said[Fault.NOT_FINITE] == "latent before step 4, number 70: committed inf, which is not finite"
    assert said[Fault.STEP_COUNT] == "committed to 3 steps of 4 that were announced"
    assert said[Fault.MALFORMED_TRACE] == (
        "output with the prompt, step 1: 71 numbers where there must be 72"
    )
    assert said[Fault.FALSE_VERDICT].startswith("step 1, number 70: committed ")
    assert said[Fault.FALSE_VERDICT].endswith(", and the verdict finds it false")


def test_numbers_beside_each_other_are_told_apart():
    """Five digits tell any two binary16 apart."""
    for bits in (0x0001, 0x03FF, 0x3BFF, 0x3C00, 0x7BFE):
        made = MadeTrace(Terms(), Lie(bits={(2, TraceTensor.LATENT, 0): bits}))
        (line,) = words_of(false_step(made.held, 1, 0))
        committed, expected = line.split("committed ")[1].split(", the scheduler gives ")
        assert committed != expected


def test_a_tensor_of_which_the_size_is_not_shown():
    made = MadeTrace(Terms(guidance_milli=0), Lie(swapped={(1, TraceTensor.UNCONDITIONAL): bytes(144)}))
    evidence = changed(malformed_trace(made.held, 1, TraceTensor.UNCONDITIONAL), hashed=())
    assert verify_evidence(DOMAIN, evidence, {}).finding == WrongTensor(1, 1, None, 0)
    assert words_of(evidence) == ["output without the prompt, step 1: some numbers where there must be 0"]


def test_a_source_latent_is_named():
    terms = Terms(kind=builders.WorkKind.IMAGE_TO_IMAGE)
    made = MadeTrace(terms, Lie(bits={(0, TraceTensor.SOURCE, 1): 0xFC00}))
    assert words_of(not_finite(made.held, 0, TraceTensor.SOURCE, 1)) == [
        "source latent, step 0, number 1: committed -inf, which is not finite"
    ]


def test_long_values_are_cut():
    one, other = (builders.announcement(multiaddrs=(bytes([byte]) * 100,)) for byte in (1, 2))
    pair = builders.TwoStatements.pair(*(sealed(builders.COORDINATOR, task) for task in (one, other)))
    (line,) = words_of(pair)
    assert line.startswith("multiaddrs: (b'")
    assert line.count("…") == 2
    assert len(line) < 250
