"""The checks of an audit over numbers: they hold for the rules they restate, and fail for anything else."""

import numpy as np
import pytest

from node.inference.diffusion.checks import distance, first_latent, half_tensor, next_latent
from node.inference.diffusion.prng import initial_latent
from node.inference.diffusion.replay import REPLAY_NAME, advance, guide, noised, read_replay
from tests.node.inference.builders import EMBEDDED_FOLDER

REPLAY = read_replay(EMBEDDED_FOLDER / REPLAY_NAME)
SHAPE = (4, 8, 8)
GUIDANCE = 4000


def tensor(seed):
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float16)


def test_first_latent_from_noise_and_from_an_image():
    step, source = REPLAY.steps(20, 12)[0], tensor(1)
    assert (first_latent(step, 7, SHAPE, None) == initial_latent(7, SHAPE).astype(np.float16)).all()
    from_image = first_latent(step, 7, SHAPE, source)
    assert (from_image == noised(step, source, initial_latent(7, SHAPE))).all()
    for other in (
        first_latent(step, 8, SHAPE, source),
        first_latent(step, 7, SHAPE, tensor(2)),
        first_latent(REPLAY.steps(20, 11)[0], 7, SHAPE, source),
        first_latent(step, 7, SHAPE, None),
    ):
        assert (from_image != other).any()


@pytest.mark.parametrize("guided", [True, False])
def test_next_latent(guided):
    step = REPLAY.steps(20)[5]
    opened = (tensor(1), tensor(2) if guided else None, tensor(3))
    before = (tensor(4), tensor(5) if guided else None, tensor(6))
    outputs = [guide(row[1], row[2], GUIDANCE) for row in (opened, before)]
    assert (next_latent(step, opened, None, GUIDANCE) == advance(step, opened[0], outputs[0], None)).all()
    expected = advance(step, opened[0], outputs[0], (before[0], outputs[1]))
    assert (next_latent(step, opened, before, GUIDANCE) == expected).all()
    if guided:
        assert (next_latent(step, opened, before, GUIDANCE - 50) != expected).any()


def test_a_tensor_is_its_bytes():
    one = tensor(1)
    assert (half_tensor(one.astype("<f2").tobytes(), SHAPE) == one).all()
    with pytest.raises(ValueError, match="reshape"):
        half_tensor(bytes(6), SHAPE)


def test_distance_is_relative_and_never_hides_what_is_not_finite():
    one = tensor(1)
    assert distance(one, one) == 0
    assert distance(one * np.float16(2), one) == pytest.approx(1)
    assert distance(one, one * np.float16(0)) == float("inf")
    assert distance(one * np.float16(0), one * np.float16(0)) == 0
    for wrong in (np.inf, np.nan):
        spoilt = one.copy()
        spoilt[0, 0, 0] = wrong
        assert distance(spoilt, one) == distance(one, spoilt) == float("inf")
