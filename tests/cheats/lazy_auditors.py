"""Auditors that sign HONEST without the work: ten ways to write a sketch that was not computed.

Each takes the true outputs only as far as it computes them by something cheaper, and the miner's opened ones.
"""

import numpy as np

from node.inference.audit.sketch import sketch
from node.inference.calibration_cheats import eight_bit_weights, half_in_half_precision
from protocol.audit import TraceTensor
from protocol.sketch import BINS, PLACES
from tests.cheats.bf16 import Bf16
from tests.cheats.noise import Noise
from tests.cheats.tf32 import Tf32


def sketch_of(number, opened, outputs, draw):
    """The sketch of an auditor that has these outputs."""
    tensors = (TraceTensor.UNCONDITIONAL, TraceTensor.CONDITIONAL)
    return sketch(
        number, dict(zip(tensors, zip(opened[1:], outputs, strict=True), strict=True)), draw, own=False
    )


def by(networks, numbers_of):
    """One that computes with other networks. :param numbers_of: networks to outputs by step."""
    outputs = numbers_of(networks)
    return lambda number, opened, draw: sketch_of(number, opened, outputs[number], draw)


def lazy_auditors(networks, numbers_of, another):
    """By name: step, opened tensors and draw to a sketch.

    :param numbers_of: networks to the outputs that they give for the opened latents, by step.
    :param another: the draw of another auditor, whose sketches are copied.
    """
    right = numbers_of(networks)
    generator = np.random.default_rng(1)

    def miners(number, opened, draw):
        return sketch_of(number, opened, [half.astype(np.float32) for half in opened[1:]], draw)

    def one_output(number, opened, draw):
        guessed = opened[1].astype(np.float32)
        return sketch_of(number, opened, [guessed, right[number][1]], draw)

    return {
        "copies the sketch of the other auditor": lambda number, opened, _: sketch_of(
            number, opened, right[number], another
        ),
        "copies the sketch of the step before": lambda number, opened, draw: sketch_of(
            abs(number - 1), opened, right[abs(number - 1)], draw
        ),
        "random bins": lambda *_: generator.integers(0, BINS, PLACES).tolist(),
        "the middle bin everywhere": lambda *_: [BINS // 2] * PLACES,
        "takes the miner's numbers for its own": miners,
        "computes one output of two": one_output,
        "int8 weights": by(networks.altered(eight_bit_weights), numbers_of),
        "half of the network in fp16": by(networks.altered(half_in_half_precision), numbers_of),
        "bf16": by(Bf16().networks(networks), numbers_of),
        "TF32": by(Tf32().networks(networks), numbers_of),
        "weights with noise 1e-3": by(Noise(1e-3).networks(networks), numbers_of),
    }
