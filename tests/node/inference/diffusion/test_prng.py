"""The seed rule: known answers, and that nothing of the machine shows in them."""

import hashlib
import os
import subprocess
import sys
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.inference.diffusion.prng import (
    LATENT_NUMBERS_MAX,
    SEED_MAX,
    TABLE_SHA256,
    initial_latent,
    integers,
    normal_table,
    table_leaves,
)
from protocol.latent_rules import LATENT_DOMAIN, QUANTILES, QUANTILES_ROOT
from protocol.merkle import merkle_root
from tests.limits import CHILD_TIMEOUT_S

seeds = st.integers(0, SEED_MAX)
normal_table()  # half a second, which would otherwise count against the first property


def test_table_is_the_published_one():
    assert hashlib.sha256(normal_table().astype("<f4").tobytes()).hexdigest() == TABLE_SHA256
    leaves = table_leaves()
    assert merkle_root(leaves) == QUANTILES_ROOT
    assert b"".join(leaves) == normal_table().astype(">f4").tobytes()


def test_table_agrees_with_an_independent_quantile_function():
    independent = NormalDist()
    for index in range(0, QUANTILES, 97):
        expected = independent.inv_cdf((index + 0.5) / QUANTILES)
        assert normal_table()[index] == pytest.approx(expected, rel=1e-7)


def test_table_rises_and_is_antisymmetric():
    table = normal_table()
    assert (np.diff(table) > 0).all()
    assert (table == -table[::-1]).all()


def test_table_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        normal_table()[0] = 0


def test_integers_known_answer():
    block = hashlib.sha256(LATENT_DOMAIN + (7).to_bytes(8, "big") + (0).to_bytes(8, "big")).digest()
    assert integers(7, 2).tolist() == [int.from_bytes(block[:2], "big"), int.from_bytes(block[2:4], "big")]
    assert integers(0, 4).tolist() == [15816, 50717, 53647, 27950]


def test_latent_known_answer():
    digest = hashlib.sha256(initial_latent(2026, (1, 4, 8, 8)).tobytes()).hexdigest()
    assert digest == "bc68e4a588c2f5451222d60e9beca9397979e946336d0ca5bac2248e67b3c2a1"


@given(seeds, st.integers(0, 200), st.integers(0, 200))
def test_more_numbers_begin_with_the_fewer(seed, first, second):
    shorter, longer = sorted((first, second))
    assert integers(seed, longer)[:shorter].tolist() == integers(seed, shorter).tolist()


@given(seeds, seeds)
def test_other_seeds_give_other_numbers(one, other):
    assert (integers(one, 64).tolist() == integers(other, 64).tolist()) == (one == other)


@given(seeds)
def test_latent_is_about_standard_normal(seed):
    latent = initial_latent(seed, (1, 4, 32, 32))
    assert latent.dtype == np.float32
    # Five standard errors of 4,096 draws.
    assert abs(float(latent.mean())) < 0.08
    assert abs(float(latent.std()) - 1) < 0.06


@pytest.mark.parametrize("seed", [-1, SEED_MAX + 1])
def test_seed_out_of_range(seed):
    with pytest.raises(ValueError, match="seed"):
        integers(seed, 1)


def test_latent_too_large():
    with pytest.raises(ValueError, match="count"):
        integers(0, LATENT_NUMBERS_MAX + 1)


_PRINT_HASH = """
import hashlib, sys, torch
from node.inference.diffusion.prng import initial_latent
torch.set_num_threads(int(sys.argv[1]))
latent = torch.from_numpy(initial_latent(2026, (1, 4, 8, 8)))
print(hashlib.sha256((latent * 1.0).numpy().tobytes()).hexdigest())
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("variables", "threads"),
    [
        ({"ATEN_CPU_CAPABILITY": "default"}, 2),
        ({"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}, 1),
    ],
)
def test_latent_is_the_same_on_every_instruction_set(variables, threads):
    printed = subprocess.run(
        [sys.executable, "-c", _PRINT_HASH, str(threads)],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=CHILD_TIMEOUT_S,
    ).stdout
    assert printed.strip() == hashlib.sha256(initial_latent(2026, (1, 4, 8, 8)).tobytes()).hexdigest()
