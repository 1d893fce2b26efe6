"""S and X of one number, equal to what miners compute with numpy, and to the vectors."""

import dataclasses
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.vectors
from node.inference.diffusion import prng
from node.inference.diffusion.replay import Step, advance, guide, noised
from protocol.errors import DecodeError
from protocol.half import half_of, same_half
from protocol.latent_rules import (
    QUANTILE_HASHES,
    QUANTILE_LEAF_BYTES,
    QUANTILE_LEAVES,
    QUANTILES_PER_LEAF,
    QUANTILES_ROOT,
    StepNumbers,
    first_number,
    guided_number,
    next_number,
    quantile_drawn,
    quantile_of,
    read_row,
)
from protocol.merkle import merkle_root

VECTORS = json.loads((Path(tests.vectors.__file__).parent / "step.json").read_text())
finite_halves = st.integers(0, 0xFFFF).filter(lambda bits: bits & 0x7C00 != 0x7C00)
coefficients = st.just(0.0) | st.floats(2.0**-24, 2.0**8, width=32).flatmap(
    lambda size: st.sampled_from([size, -size])
)
rows = st.tuples(*([coefficients] * 8))
guidances = st.integers(1001, 30_000)


def numbers_of(data: str) -> list[int]:
    return [number for (number,) in struct.iter_unpack("<H", bytes.fromhex(data))]


def step_numbers(opened, at: int) -> StepNumbers:
    latent, unconditional, conditional = ([half_of(bits) for bits in numbers_of(part)] for part in opened)
    return StepNumbers(latent[at], unconditional[at] if unconditional else None, conditional[at])


def test_the_steps_of_the_vectors():
    for case in VECTORS["steps"]:
        row = read_row(bytes.fromhex(case["row"]))
        before, step = case["before"], 0 if case["before"] is None else 1
        for at, expected in enumerate(numbers_of(case["next"])):
            known = step_numbers(before, at) if row.needs_before(step) else None
            found = next_number(row, step_numbers(case["opened"], at), known, case["guidance_milli"], step)
            assert same_half(found, expected) or half_of(expected) != half_of(expected)


def test_the_starts_of_the_vectors():
    for case in VECTORS["starts"]:
        row, source = read_row(bytes.fromhex(case["row"])), numbers_of(case["source"])
        noise = struct.unpack(f">{len(case['noise']) // 8}f", bytes.fromhex(case["noise"]))
        for at, expected in enumerate(numbers_of(case["latent"])):
            known = half_of(source[at]) if source else None
            assert same_half(first_number(row, noise[at], known), expected)
            assert quantile_drawn(int(case["seed"]), at) == case["integers"][at]


@settings(deadline=None, max_examples=200)
@given(rows, st.lists(finite_halves, min_size=6, max_size=6), guidances, st.booleans(), st.integers(0, 1))
def test_a_step_is_the_one_that_miners_compute(row, bits, guidance, guided, step):
    packed = struct.pack(">10f", 1.0, *row, 1e-3)
    theirs = Step(*np.frombuffer(packed, dtype=">f4").astype(np.float32))
    halves = np.array(bits, dtype=np.uint16).view(np.float16)
    here, known = ((part[:1], part[1:2] if guided else None, part[2:]) for part in (halves[:3], halves[3:]))
    before = (known[0], guide(known[1], known[2], guidance)) if step else None
    expected = advance(theirs, here[0], guide(here[1], here[2], guidance), before)
    ours = read_row(packed)
    latent, unconditional, conditional, *rest = map(half_of, bits)
    found = next_number(
        ours,
        StepNumbers(latent, unconditional if guided else None, conditional),
        StepNumbers(rest[0], rest[1] if guided else None, rest[2]) if ours.needs_before(step) else None,
        guidance,
        step,
    )
    assert same_half(found, int(expected.view(np.uint16)[0]))


@settings(deadline=None, max_examples=100)
@given(rows, finite_halves, st.integers(0, 2**64 - 1), st.integers(0, 300))
def test_a_start_is_the_one_that_miners_compute(row, source, seed, number):
    entry = quantile_drawn(seed, number)
    assert entry == prng.integers(seed, number + 1)[number]
    quantile = prng.normal_table()[entry : entry + 1]
    packed = struct.pack(">10f", 1.0, *row, 1e-3)
    theirs = Step(*np.frombuffer(packed, dtype=">f4").astype(np.float32))
    expected = noised(theirs, np.array([source], dtype=np.uint16).view(np.float16), quantile)
    found = first_number(read_row(packed), float(quantile[0]), half_of(source))
    assert same_half(found, int(expected.view(np.uint16)[0]))
    plain = quantile.astype(np.float16)
    assert first_number(read_row(packed), float(quantile[0]), None) == int(plain.view(np.uint16)[0])


def test_the_table_of_quantiles_is_the_one_under_the_root():
    leaves = prng.table_leaves()
    assert merkle_root(leaves) == QUANTILES_ROOT
    assert (len(leaves), len(leaves[0])) == (QUANTILE_LEAVES, QUANTILE_LEAF_BYTES)
    assert 1 << QUANTILE_HASHES == QUANTILE_LEAVES
    table = prng.normal_table()
    for entry in (0, 15, 16, 65_535):
        assert quantile_of(leaves[entry // QUANTILES_PER_LEAF], entry) == table[entry]


def test_without_a_u_the_output_is_c():
    assert guided_number(StepNumbers(1.0, None, 0.5), 30_000) == 0.5
    assert guided_number(StepNumbers(1.0, 0.25, 0.5), 4_000) == 1.25


def test_what_is_no_row():
    row = read_row(struct.pack(">10f", *range(10)))
    assert row == tuple(range(10))
    assert list(row._fields) == [field.name for field in dataclasses.fields(Step)]
    assert (row.needs_before(0), row.needs_before(1)) == (False, True)
    assert not read_row(struct.pack(">10f", 1, 2, 3, -0.0, 0, 6, 7, 8, 9, 10)).needs_before(1)
    with pytest.raises(DecodeError, match="a row has 40 bytes"):
        read_row(bytes(39))
