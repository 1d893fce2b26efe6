"""The checks of an audit over numbers: they hold for the rules they restate, and fail for anything else."""

import json

import numpy as np
import pytest

from node.inference.diffusion.checks import distance, excess, first_latent, half_tensor, next_latent, units
from node.inference.diffusion.prng import initial_latent
from node.inference.diffusion.replay import REPLAY_NAME, Step, advance, guide, noised, read_replay
from tests.node.inference.builders import EMBEDDED_FOLDER, REPOSITORY

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


def numbers(text):
    return half_tensor(bytes.fromhex(text), (len(text) // 4,)) if text else None


def same(found, expected):
    assert ((found == expected) | (np.isnan(found) & np.isnan(expected))).all()


def test_the_vectors_hold():
    """As another implementation would replay them: from the file alone."""
    vectors = json.loads((REPOSITORY / "tests" / "vectors" / "step.json").read_text())
    for case in vectors["starts"]:
        expected = numbers(case["latent"])
        start = first_latent(row_of(case), int(case["seed"]), expected.shape, numbers(case["source"]))
        same(start, expected)
    for case in vectors["steps"]:
        opened = tuple(numbers(part) for part in case["opened"])
        before = case["before"] and tuple(numbers(part) for part in case["before"])
        same(next_latent(row_of(case), opened, before, case["guidance_milli"]), numbers(case["next"]))


def row_of(case):
    return Step(*np.frombuffer(bytes.fromhex(case["row"]), dtype=">f4").astype(np.float32))


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


def test_a_unit_is_the_step_to_the_next_number_of_the_exponent():
    numbers = np.array([1.0, 1.5, 1.999, 2.0, -4.0, 65504, 2.0**-14, 2.0**-15, 2.0**-24, 0.0], np.float16)
    expected = [2.0**-10] * 3 + [2.0**-9, 2.0**-8, 32.0] + [2.0**-24] * 4
    assert units(numbers).tolist() == expected


def test_rounding_to_nearest_has_no_excess():
    rng = np.random.default_rng(1)
    numbers = (rng.standard_normal(100_000) * np.exp2(rng.integers(-26, 15, 100_000))).astype(np.float32)
    assert excess(numbers.astype(np.float16), numbers) == 0
    # Half a unit each way is within it, the ties to even included.
    halves = np.array([1 + 2.0**-11, 1 + 3 * 2.0**-11, 2.0**-25, 3 * 2.0**-25], np.float32)
    assert excess(halves.astype(np.float16), halves) == 0


def test_excess_is_what_rounding_does_not_explain():
    found = np.array([1.0, 1.0], np.float16)
    unit = 2.0**-10
    assert excess(found, np.array([1 + 0.75 * unit, 1.0], np.float32)) == pytest.approx(
        0.25 * unit / np.hypot(1 + 0.75 * unit, 1)
    )
    assert excess(found, np.array([1 - 1.5 * unit, 1.0], np.float32)) == pytest.approx(
        unit / np.hypot(1 - 1.5 * unit, 1)
    )
    # Rounding towards zero is not rounding to nearest.
    numbers = np.random.default_rng(2).standard_normal(1000).astype(np.float32)
    cut = (numbers.view(np.uint32) & np.uint32(0xFFFF_E000)).view(np.float32).astype(np.float16)
    assert excess(cut, numbers) > 1e-4


def test_excess_never_hides_what_is_not_finite():
    one = tensor(1)
    for wrong in (np.inf, -np.inf, np.nan):
        spoilt = one.copy()
        spoilt[0, 0, 0] = wrong
        assert excess(spoilt, one.astype(np.float32)) == float("inf")
        assert excess(one, spoilt.astype(np.float32)) == float("inf")
        assert excess(spoilt, spoilt.astype(np.float32)) == float("inf")
    zeros = np.zeros(SHAPE, np.float32)
    assert excess(one, zeros) == float("inf")
    assert excess(one * np.float16(0), zeros) == 0


def test_a_distance_to_what_is_not_rounded_is_that_of_the_miner_alone():
    expected = np.random.default_rng(3).standard_normal(SHAPE).astype(np.float32)
    assert 1e-4 < distance(expected.astype(np.float16), expected) < 4e-4
