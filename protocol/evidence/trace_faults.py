"""Faults of a trace: what evidence about a miner's committed work proves, without any model.

Is: a check for each of the five forms in `trace_forms`, equal to that of the Slashing contract.
Is not: what takes a network to judge; that is for auditors.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from protocol.audit import TraceTensor
from protocol.errors import InvalidMessage
from protocol.evidence.committed_trace import (
    CommittedTrace,
    CommittedWork,
    KnownRules,
    read_number,
    read_quantile,
    read_rules_of,
    read_trace,
    read_work,
)
from protocol.evidence.faults import Finding, Offence, WrongCount, WrongNumber, WrongTensor
from protocol.evidence.trace_forms import (
    FalseStart,
    FalseStep,
    MalformedTrace,
    NotFinite,
    StepCount,
)
from protocol.half import half_of, is_finite_half
from protocol.hashing import sha256
from protocol.latent_rules import StepNumbers, first_number, next_number
from protocol.messages import Kind
from protocol.statement import Domain
from protocol.tensor import NO_TENSOR
from protocol.trace import TraceLeaf

TraceEvidence: TypeAlias = FalseStep | FalseStart | NotFinite | StepCount | MalformedTrace
TRACE_FORMS: Final = (FalseStep, FalseStart, NotFinite, StepCount, MalformedTrace)


def verify_trace_fault(domain: Domain, evidence: TraceEvidence) -> Offence:
    """The offence that evidence about a trace proves on the network `domain`.

    :raises DecodeError: announcement, commitment or public half does not decode.
    :raises SignatureError: the signature is malformed.
    :raises InvalidMessage: it proves nothing; its reason says why.
    """
    work = read_work(domain, evidence.announcement, evidence.commitment)
    finding = _step_count(work) if isinstance(evidence, StepCount) else _find(work, evidence)
    statement = work.commitment
    return Offence(
        evidence.FAULT,
        statement.signer.address,
        Kind.RESULT_COMMITMENT,
        statement.message.slot(),
        finding=finding,
    )


def judge_number(domain: Domain, evidence: FalseStep | FalseStart) -> tuple[CommittedWork, WrongNumber]:
    """The number that evidence is about, whether it is false or right, and whose work it is of.

    :raises DecodeError: announcement, commitment or public half does not decode.
    :raises SignatureError: the signature is malformed.
    :raises InvalidMessage: a link does not hold.
    """
    work = read_work(domain, evidence.announcement, evidence.commitment)
    trace, rules = read_trace(work, evidence.trace), read_rules_of(work, evidence)
    if isinstance(evidence, FalseStep):
        return work, _step_number(trace, rules, evidence)
    return work, _start_number(trace, rules, evidence)


def is_right(found: WrongNumber) -> bool:
    """Whether the committed number is the expected one; zeros of either sign are."""
    return found.committed == found.expected


def _find(work: CommittedWork, evidence: FalseStep | FalseStart | NotFinite | MalformedTrace) -> Finding:
    trace = read_trace(work, evidence.trace)
    match evidence:
        case NotFinite():
            return _not_finite(trace, evidence)
        case FalseStep():
            found = _step_number(trace, read_rules_of(work, evidence), evidence)
            if is_right(found):
                raise InvalidMessage("the step is right")
            return found
        case FalseStart():
            found = _start_number(trace, read_rules_of(work, evidence), evidence)
            if is_right(found):
                raise InvalidMessage("the start is right")
            return found
        case MalformedTrace():
            return _malformed(trace, read_rules_of(work, evidence), evidence)


def _step_count(work: CommittedWork) -> WrongCount:
    made = work.commitment.message.units_done
    if made == work.units:
        raise InvalidMessage("the count is right")
    return WrongCount(made, work.units)


class _Pieces:
    """The pieces of evidence, taken one by one; all are of one number."""

    def __init__(self, pieces: tuple[bytes, ...], size: int, number: int) -> None:
        self._left, self._size, self._number = iter(pieces), size, number

    def take(self, tensor: bytes) -> int:
        """The number's bits in a tensor, by its hash. :raises InvalidMessage: not shown, or not finite."""
        piece = next(self._left, None)
        if piece is None:
            raise InvalidMessage("a piece is missing, or one too many")
        bits = read_number(tensor, self._size, self._number, piece)
        if not is_finite_half(bits):
            raise InvalidMessage("a number is not finite, which is another fault")
        return bits

    def take_step(self, leaf: TraceLeaf, *, guided: bool) -> StepNumbers:
        """The numbers of a step's tensors."""
        latent = half_of(self.take(leaf.latent))
        unconditional = half_of(self.take(leaf.unconditional)) if guided else None
        return StepNumbers(latent, unconditional, half_of(self.take(leaf.conditional)))

    def close(self) -> None:
        """:raises InvalidMessage: there are more."""
        if next(self._left, None) is not None:
            raise InvalidMessage("a piece is missing, or one too many")


def _step_number(trace: CommittedTrace, rules: KnownRules, evidence: FalseStep) -> WrongNumber:
    step, units = evidence.step, trace.work.units
    row = rules.row(step, evidence.row)
    steps = [step]
    if step + 1 < units:
        steps.append(step + 1)
    if row.needs_before(step):
        steps.append(step - 1)
    if len(steps) != len(evidence.leaves):
        raise InvalidMessage("a leaf is missing, or one too many")
    leaves = {at: trace.leaf(at, data) for at, data in zip(steps, evidence.leaves, strict=True)}
    pieces = _Pieces(evidence.pieces, rules.size, evidence.number)
    committed = pieces.take(leaves[step + 1].latent if step + 1 < units else trace.final)
    here = pieces.take_step(leaves[step], guided=rules.guided)
    before = pieces.take_step(leaves[step - 1], guided=rules.guided) if row.needs_before(step) else None
    pieces.close()
    expected = next_number(row, here, before, rules.numbers.guidance_milli, step)
    return WrongNumber(step, TraceTensor.LATENT, evidence.number, half_of(committed), half_of(expected))


def _start_number(trace: CommittedTrace, rules: KnownRules, evidence: FalseStart) -> WrongNumber:
    row = rules.row(0, evidence.row)
    first = trace.leaf(0, evidence.leaf).latent
    quantile = read_quantile(rules.numbers.seed, evidence.number, evidence.quantiles)
    pieces = _Pieces(evidence.pieces, rules.size, evidence.number)
    committed = pieces.take(first)
    source = half_of(pieces.take(trace.source)) if trace.work.has_source else None
    pieces.close()
    expected = first_number(row, quantile, source)
    return WrongNumber(0, TraceTensor.LATENT, evidence.number, half_of(committed), half_of(expected))


def _not_finite(trace: CommittedTrace, evidence: NotFinite) -> WrongNumber:
    # The size need not be the task's: what counts is under the tensor's hash.
    tensor = _tensor_of(trace, evidence)
    bits = read_number(tensor, evidence.size, evidence.number, evidence.piece)
    if is_finite_half(bits):
        raise InvalidMessage("the number is finite")
    return WrongNumber(evidence.step, evidence.tensor, evidence.number, half_of(bits), None)


def _malformed(trace: CommittedTrace, rules: KnownRules, evidence: MalformedTrace) -> WrongTensor:
    tensor = _tensor_of(trace, evidence)
    wanted = True
    if evidence.tensor == TraceTensor.UNCONDITIONAL:
        wanted = rules.guided
    elif evidence.tensor == TraceTensor.SOURCE:
        wanted = trace.work.has_source
    is_there = tensor != NO_TENSOR
    numbers = None if is_there else 0
    for hashed in evidence.hashed:
        if sha256(hashed) != tensor:
            raise InvalidMessage("the hash is not of this tensor")
        numbers = int.from_bytes(hashed[:4], "big")
    if is_there == wanted and (numbers == rules.size or not evidence.hashed):
        raise InvalidMessage("the tensor may be the task's")
    return WrongTensor(evidence.step, evidence.tensor, numbers, rules.size if wanted else 0)


def _tensor_of(trace: CommittedTrace, evidence: NotFinite | MalformedTrace) -> bytes:
    """The hash of the tensor that evidence is about. :raises InvalidMessage: there is no such tensor."""
    step, tensor = evidence.step, evidence.tensor
    is_final = tensor == TraceTensor.LATENT and step == trace.work.units
    if is_final or tensor == TraceTensor.SOURCE:
        if evidence.leaves or (not is_final and step):
            raise InvalidMessage("there is no such tensor")
        return trace.final if is_final else trace.source
    if not evidence.leaves:
        raise InvalidMessage("a leaf is missing, or one too many")
    leaf = trace.leaf(step, evidence.leaves[0])
    return (leaf.latent, leaf.unconditional, leaf.conditional)[tensor]
