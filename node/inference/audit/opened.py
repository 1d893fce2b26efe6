"""One miner's work as an auditor has it in hand, and its findings: values, nothing is judged."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from node.inference.jobs.job import ImageJob
from protocol.audit import TraceTensor
from protocol.trace import TraceLeaf


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedWork:
    """Some steps of a trace, and what stands at its ends.

    Leaves and hashes are proved to be under the committed root before (`protocol.trace.verify_opening`). The
    tensors are strangers' bytes of any length.

    :ivar job: the task as it was announced; its input is proved to be the committed one.
    :ivar leaves: proved leaves by step, from 0.
    :ivar final_hash: of the latent after the last step.
    :ivar source_hash: of what the source image was encoded to.
    :ivar tensors: of each opened step latent, output without the prompt (empty without guidance) and with it.
    :ivar final_latent: after the last step.
    :ivar source_latent: empty without a source image.
    :ivar picture: the PNG that was delivered; proved to be the committed one.
    """

    job: ImageJob
    leaves: Mapping[int, TraceLeaf]
    final_hash: bytes
    source_hash: bytes
    tensors: Mapping[int, tuple[bytes, bytes, bytes]]
    final_latent: bytes
    source_latent: bytes
    picture: bytes


class Check(enum.StrEnum):
    """Checks of an audit, cheapest first."""

    HASH = "hash"
    """An opened tensor is not the one of its leaf, or has another size."""
    FINITE = "finite"
    """A number of an opened tensor is infinite or none."""
    START = "S"
    """The first latent does not follow from the seed and the encoded source image."""
    STEP = "X"
    """The latent after a step does not follow from the opened values."""
    SOURCE = "E"
    """The encoding of the source image differs by more than its tolerance."""
    OUTPUT = "R"
    """An output of the denoiser differs by more than honest ones do."""
    PICTURE = "V"
    """The last latent does not decode to the picture."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit.

    :ivar check: which check failed.
    :ivar step: from 0; -1 where it is of no step.
    :ivar number: index of the first number that is wrong, in C order. -1 where none can be named: in S and X
        only the hash of the latent is known then. It has to be opened before anybody is accused: the contract
        needs the number, and zero has two signs, which are equal and hash differently.
    :ivar tensor: which one of the step is wrong; of no step, the last latent or the source latent.
    :ivar amount: by how much: in E a distance, in R an excess or, in class B, a multiple of the tolerance,
        in V levels of 255; 0 in all others.
    """

    check: Check
    step: int = -1
    number: int = -1
    tensor: TraceTensor = TraceTensor.LATENT
    amount: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Outcome of one audit.

    :ivar findings: cheapest check first, then by step; empty of honest work.
    :ivar scores: of each opened step the larger excess of its outputs, in class B multiples of the tolerance.
    :ivar mean: of the scores of all opened outputs.
    :ivar convicts: whether the outputs are off by so much that no careless machine explains it.
    :ivar sketches: of each opened step.
    """

    findings: tuple[Finding, ...]
    scores: Mapping[int, float]
    mean: float
    convicts: bool
    sketches: Mapping[int, tuple[int, ...]]

    @property
    def honest(self) -> bool:
        """Whether everything that was opened fits."""
        return not self.findings

    @property
    def to_open(self) -> tuple[int, ...]:
        """Steps to be opened too, whose latents are known by their hashes only and do not fit."""
        return tuple(
            finding.step + (finding.check is Check.STEP)
            for finding in self.findings
            if finding.check in {Check.START, Check.STEP} and finding.number < 0
        )

    @property
    def worst(self) -> float:
        """The largest score; 0 when no outputs were compared."""
        return max(self.scores.values(), default=0.0)
