"""The checks of opened work that must hold to the last bit: hashes, finiteness, S and X. No torch.

Is: what an auditor asks first, and a miner of itself before it signs. Is not: anything that a network says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from node.inference.audit.opened import Check, Finding, OpenedWork
from node.inference.diffusion.checks import first_latent, half_tensor, next_latent
from node.inference.diffusion.replay import first_difference, first_not_finite
from protocol.audit import TraceTensor
from protocol.tensor import NO_TENSOR, is_tensor, tensor_hash

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from node.inference.diffusion.replay import Step
    from protocol.trace import TraceLeaf

    Half = NDArray[np.float16]
    Opened: TypeAlias = "tuple[Half, Half | None, Half]"

_OF_A_STEP: Final = (TraceTensor.LATENT, TraceTensor.UNCONDITIONAL, TraceTensor.CONDITIONAL)


class ReadWork:
    """Opened work whose tensors are numbers of the right size and hash, as far as they are.

    :ivar findings: of hashes and finiteness.
    :ivar steps: what was opened and read, by step.
    :ivar not_finite: those of them with a number that is infinite or none.
    :ivar final: latent after the last step; None where it is not what its hash says, or not finite.
    :ivar source: source latent; None without one, and likewise.
    """

    def __init__(self, work: OpenedWork, shape: tuple[int, ...]) -> None:
        """:param shape: of a latent of this work."""
        self.findings: list[Finding] = []
        self.steps: dict[int, Opened] = {}
        self.not_finite: set[int] = set()
        self._shape = shape
        for number in sorted(work.tensors):
            self._read_step(number, work.leaves.get(number), work.tensors[number], guided=work.job.guided)
        self.final = self._read(work.final_latent, work.final_hash, TraceTensor.LATENT)
        self.source = None
        if work.job.source_png:
            self.source = self._read(work.source_latent, work.source_hash, TraceTensor.SOURCE)
        elif work.source_hash != NO_TENSOR:
            self.findings.append(Finding(Check.HASH, tensor=TraceTensor.SOURCE))

    def _read_step(
        self, number: int, leaf: TraceLeaf | None, tensors: tuple[bytes, bytes, bytes], *, guided: bool
    ) -> None:
        hashes = (leaf.latent, leaf.unconditional, leaf.conditional) if leaf else (b"", b"", b"")
        parts: list[Half | None] = []
        for tensor, data, digest in zip(_OF_A_STEP, tensors, hashes, strict=True):
            is_wanted = guided or tensor is not TraceTensor.UNCONDITIONAL
            part = self._tensor(data, digest) if is_wanted else None
            if part is None and (is_wanted or data or digest != NO_TENSOR):
                self.findings.append(Finding(Check.HASH, number, tensor=tensor))
                return
            parts.append(part)
        finite = [
            part is None or self._finite(part, number, tensor)
            for tensor, part in zip(_OF_A_STEP, parts, strict=True)
        ]
        if not all(finite):
            self.not_finite.add(number)
        latent, unconditional, conditional = parts
        assert latent is not None
        assert conditional is not None
        self.steps[number] = (latent, unconditional, conditional)

    def _read(self, data: bytes, digest: bytes, tensor: TraceTensor) -> Half | None:
        numbers = self._tensor(data, digest)
        if numbers is None:
            self.findings.append(Finding(Check.HASH, tensor=tensor))
            return None
        return numbers if self._finite(numbers, -1, tensor) else None

    def _tensor(self, data: bytes, digest: bytes) -> Half | None:
        """The numbers; None where they are of another hash or size."""
        if not is_tensor(data, digest):
            return None
        try:
            return half_tensor(data, self._shape)
        except ValueError:
            return None

    def _finite(self, numbers: Half, step: int, tensor: TraceTensor) -> bool:
        wrong = first_not_finite(numbers)
        if wrong is not None:
            self.findings.append(Finding(Check.FINITE, step, wrong, tensor))
        return wrong is None


def check_start(work: OpenedWork, read: ReadWork, first: Step, shape: tuple[int, ...]) -> list[Finding]:
    """Check S, wherever the leaf of the first step is proved."""
    if 0 not in work.leaves or (work.job.source_png and read.source is None):
        return []
    expected = first_latent(first, work.job.seed, shape, read.source)
    return _same(Check.START, 0, expected, work.leaves[0].latent, read.steps.get(0))


def check_steps(work: OpenedWork, read: ReadWork, steps: tuple[Step, ...]) -> list[Finding]:
    """Check X of every opened step whose inputs are opened: with a look back, the step before is one.

    Where a number of them is not finite, that is the fault, and nothing follows from it.
    """
    findings = []
    last = len(steps) - 1
    for number, opened in read.steps.items():
        if number in read.not_finite or number - 1 in read.not_finite:
            continue
        step, before = steps[number], read.steps.get(number - 1)
        looks_back = bool(step.latent_before or step.output_before)
        if number and before is None:
            if looks_back:
                continue
            # Its numbers are not used; zeros keep the sum what it is.
            before = (np.zeros_like(opened[0]), None, np.zeros_like(opened[0]))
        expected = next_latent(step, opened, before if number else None, work.job.guidance_milli)
        digest = work.final_hash if number == last else work.leaves[number + 1].latent
        after = (read.final, None, None) if number == last else read.steps.get(number + 1)
        findings += _same(Check.STEP, number, expected, digest, after)
    return findings


def _same(
    check: Check, step: int, expected: Half, digest: bytes, found: tuple[Half | None, ...] | None
) -> list[Finding]:
    """Nothing when the hash is that of what is expected; else the place, where what was found is opened."""
    if tensor_hash(expected.astype("<f2", copy=False).tobytes()) == digest:
        return []
    tensor = found[0] if found else None
    if tensor is None:
        return [Finding(check, step)]
    wrong = first_difference(tensor, expected)
    return [] if wrong is None else [Finding(check, step, wrong)]
