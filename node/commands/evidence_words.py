"""Evidence in words and numbers, for people; pure.

Is: one or a few lines for each fault. Is not: a check; the offence comes from `protocol.evidence`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from protocol.amounts import format_cai
from protocol.audit import TraceTensor
from protocol.evidence import (
    BrokenSequence,
    Evidence,
    FalsePart,
    FalseVerdict,
    Fault,
    Offence,
    TwoStatements,
    WrongRanking,
)
from protocol.evidence.faults import WrongCount, WrongNumber, WrongTensor
from protocol.messages import Message, ResultChunk, TaskAnnouncement
from protocol.statement import read_envelope

if TYPE_CHECKING:
    from contracts.records import SlashOutcome

TENSOR_WORDS = {
    TraceTensor.LATENT: "latent before step",
    TraceTensor.UNCONDITIONAL: "output without the prompt, step",
    TraceTensor.CONDITIONAL: "output with the prompt, step",
    TraceTensor.SOURCE: "source latent, step",
}
TEXT_CHARACTERS_MAX = 100
"""Longest value of a field that is shown whole."""


def fault_words(fault: Fault) -> str:
    """A fault for people: ``false step``."""
    return fault.name.lower().replace("_", " ")


def describe(evidence: Evidence, offence: Offence) -> list[str]:
    """Lines that say what is wrong, without their ends.

    :param evidence: that verifies.
    :param offence: what it proves.
    """
    match evidence:
        case TwoStatements(first, second):
            return _differences(read_envelope(first)[1], read_envelope(second)[1])
        case BrokenSequence(earlier, later):
            pair = f"{_announced(earlier)} and {_announced(later)}"
            return [f"{pair} are not of one chain: the later follows 0x{_task(later).previous.hex()}"]
        case WrongRanking(announcement):
            return [f"{_announced(announcement)}: its ranking is not the draw's"]
        case FalsePart(chunk, _):
            _, message = read_envelope(chunk)
            part = message.part if isinstance(message, ResultChunk) else 0
            return [f"part {part} of the output is not the one that was committed to"]
        case FalseVerdict():
            return [f"{_finding(offence)}, and the verdict finds it false"]
        case _:
            return [_finding(offence)]


def outcome_words(done: SlashOutcome) -> list[str]:
    """The outcome of a report of ours, a line and more."""
    return [
        f"slashed: 0x{done.signer.hex()} lost {format_cai(done.taken_wei)}",
        f"  of which unbonding {format_cai(done.unbonding_taken_wei)}",
        f"  yours              {format_cai(done.reward_wei)}",
        f"  burned             {format_cai(done.burned_wei)}",
        f"  transaction        0x{done.transaction_hash.hex()}",
    ]


def _finding(offence: Offence) -> str:
    match offence.finding:
        case WrongNumber() as found:
            return _number(offence.fault, found)
        case WrongTensor() as found:
            return _tensor(found)
        case WrongCount(committed, expected):
            return f"committed to {committed} steps of {expected} that were announced"
        case None:
            return ""


def _number(fault: Fault, found: WrongNumber) -> str:
    committed = f"committed {found.committed:.5g}"
    if found.expected is None:
        tensor = TENSOR_WORDS[TraceTensor(found.tensor)]
        return f"{tensor} {found.step}, number {found.number}: {committed}, which is not finite"
    if fault is Fault.FALSE_START:
        return f"first latent, number {found.number}: {committed}, the seed gives {found.expected:.5g}"
    rule = "the rule" if fault is Fault.FALSE_VERDICT else "the scheduler"
    return f"step {found.step}, number {found.number}: {committed}, {rule} gives {found.expected:.5g}"


def _tensor(found: WrongTensor) -> str:
    numbers = "some" if found.numbers is None else str(found.numbers)
    return (
        f"{TENSOR_WORDS[TraceTensor(found.tensor)]} {found.step}: "
        f"{numbers} numbers where there must be {found.expected}"
    )


def _differences(one: Message, other: Message) -> list[str]:
    """Each field that two statements of a kind say otherwise."""
    lines = []
    for field in dataclasses.fields(one):
        values = getattr(one, field.name), getattr(other, field.name)
        if values[0] != values[1]:
            lines.append(f"{field.name}: {_value(values[0])} and {_value(values[1])}")
    return lines


def _value(value: object) -> str:
    text = "0x" + value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= TEXT_CHARACTERS_MAX else text[:TEXT_CHARACTERS_MAX] + "…"


def _task(announcement: bytes) -> TaskAnnouncement:
    _, message = read_envelope(announcement)
    assert isinstance(message, TaskAnnouncement)
    return message


def _announced(announcement: bytes) -> str:
    task = _task(announcement)
    return f"announcement {task.number} of epoch {task.epoch}"
