"""The table of steps: the file's strict reading, and that a step is what the words say, to the last bit."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.inference.diffusion.prng import normal_table
from node.inference.diffusion.replay import (
    COLUMNS,
    FP32_TOLERANCE,
    HEADER_BYTES_MAX,
    REPLAY_NAME,
    TOLERANCE_MAX,
    Replay,
    Step,
    advance,
    first_difference,
    first_not_finite,
    guide,
    noised,
    read_replay,
    steps_of_rows,
    table_bytes,
    write_replay,
)
from node.inference.packages.diffusers_folder import SCHEDULERS
from node.inference.packages.errors import PackageError
from tests.node.inference.builders import EMBEDDED_FOLDER

TABLE = np.arange(6 * COLUMNS, dtype=np.float32).reshape(6, COLUMNS)
TABLE[:, -1] = 5e-4
REPLAY = Replay("a-prng/1", "DDIMScheduler", "fp32", 500, TABLE)
halves = st.floats(width=16, allow_nan=False, allow_infinity=False)
singles = st.floats(-4, 4, width=32)


def changed(**changes):
    fields = {name: getattr(REPLAY, name) for name in REPLAY.__dataclass_fields__}
    return Replay(**fields | changes)


def with_tolerance(tolerance):
    table = TABLE.copy()
    table[3, -1] = tolerance
    return table


def with_number(column, value):
    table = TABLE.copy()
    table[3, column] = value
    return table


def test_round_trip(tmp_path):
    write_replay(tmp_path / REPLAY_NAME, REPLAY)
    read = read_replay(tmp_path / REPLAY_NAME)
    assert (read.prng, read.scheduler, read.precision, read.source_tolerance_ppm) == (
        "a-prng/1",
        "DDIMScheduler",
        "fp32",
        500,
    )
    assert read.table.tobytes() == TABLE.tobytes()
    assert read.steps_max == 3


def test_it_is_a_safetensors_file(tmp_path):
    from safetensors.numpy import load_file

    write_replay(tmp_path / REPLAY_NAME, REPLAY)
    assert (load_file(tmp_path / REPLAY_NAME)["steps"] == TABLE).all()


def test_rows_of_each_number_of_steps():
    assert [row.timestep for row in REPLAY.steps(1)] == [0]
    assert [row.timestep for row in REPLAY.steps(2)] == [10, 20]
    assert [row.timestep for row in REPLAY.steps(3)] == [30, 40, 50]
    assert [row.timestep for row in REPLAY.steps(3, 2)] == [40, 50]
    assert REPLAY.steps(3, 3) == REPLAY.steps(3)
    for counts in ((0,), (4,), (3, 4), (3, -1)):
        with pytest.raises(ValueError, match="no rows"):
            REPLAY.steps(*counts)


@pytest.mark.parametrize("rows", [0, 2, 4, 5, 7, 200 * 201 // 2 + 201])
def test_no_table_has_so_many_rows(rows):
    with pytest.raises(PackageError, match="length"):
        steps_of_rows(rows)


@pytest.mark.parametrize(
    "changes",
    [
        {"scheduler": "UniPCMultistepScheduler"},
        {"scheduler": "PNDMScheduler"},
        {"scheduler": "EulerAncestralDiscreteScheduler"},
        {"precision": "bf16"},
        {"source_tolerance_ppm": 0},
        {"source_tolerance_ppm": 10_001},
        {"table": with_tolerance(0)},
        {"table": with_tolerance(-1e-4)},
        {"table": with_tolerance(TOLERANCE_MAX * 1.01)},
        {"table": TABLE[:, :5]},
        {"table": TABLE[:5]},
        {"table": np.full((1, COLUMNS), np.nan, dtype=np.float32)},
        {"table": with_number(0, -1.0)},
    ],
)
def test_what_cannot_be_replayed_is_refused(tmp_path, changes):
    with pytest.raises(PackageError):
        write_replay(tmp_path / REPLAY_NAME, changed(**changes))


@pytest.mark.parametrize("column", range(1, 9))
def test_coefficients_are_zero_or_within_their_bounds(tmp_path, column):
    for good in (0.0, -0.0, 2.0**-24, -(2.0**-24), 256.0, -256.0):
        write_replay(tmp_path / REPLAY_NAME, changed(table=with_number(column, good)))
    for bad in (np.nextafter(np.float32(2**-24), np.float32(0)), -(2.0**-25), 256.001, -257, 1e-45, np.inf):
        with pytest.raises(PackageError, match=r"too large or too small|malformed"):
            write_replay(tmp_path / REPLAY_NAME, changed(table=with_number(column, bad)))


def test_the_table_under_an_id_is_big_endian_row_by_row():
    data = table_bytes(REPLAY)
    assert len(data) == 6 * 40
    assert data[40:80] == b"".join(struct.pack(">f", value) for value in TABLE[1])
    assert changed(table=with_number(0, 7)).looks_back
    assert not changed(table=np.float32([[1, 1, 1, 0, -0.0, 1, 1, 1, 1, 5e-4]])).looks_back


def test_the_list_of_replayable_schedulers():
    assert {
        "DDIMScheduler",
        "DPMSolverMultistepScheduler",
        "FlowMatchEulerDiscreteScheduler",
    } == SCHEDULERS


def edits():
    yield b""
    yield bytes(8)
    yield (HEADER_BYTES_MAX + 1).to_bytes(8, "little") + b" " * (HEADER_BYTES_MAX + 1)
    for header in (b"[]", b"{}", b"\xff", b"{", b'{"__metadata__": 5, "steps": 5}'):
        yield len(header).to_bytes(8, "little") + header


@pytest.mark.parametrize("data", list(edits()))
def test_malformed_file(tmp_path, data):
    (tmp_path / REPLAY_NAME).write_bytes(data)
    with pytest.raises(PackageError, match="malformed"):
        read_replay(tmp_path / REPLAY_NAME)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"cuckoo-replay/2", b"cuckoo-replay/1"),
        (b'"F32"', b'"F16"'),
        (b'"prng"', b'"gnrp"'),
        (b'"500"', b'"5e2"'),
        (b"[6, 10]", b"[10, 6]"),
        (b"[6, 10]", b"[6, 11]"),
        (b"DDIMScheduler", b"PNDMScheduler"),
    ],
)
def test_altered_file(tmp_path, old, new):
    path = tmp_path / REPLAY_NAME
    write_replay(path, REPLAY)
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(PackageError):
        read_replay(path)


def test_absent_or_cut(tmp_path):
    path = tmp_path / REPLAY_NAME
    with pytest.raises(PackageError, match="no table"):
        read_replay(path)
    write_replay(path, REPLAY)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PackageError, match="malformed"):
        read_replay(path)


def rounded(value):
    """The binary32 number nearest to a binary64 one, by the C library and not by numpy."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def as_half(value):
    try:
        return struct.unpack("<e", struct.pack("<e", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


@given(singles, singles, singles, singles, halves, halves, halves, halves, st.integers(1001, 30_000))
def test_a_step_is_products_and_sums_each_rounded_by_itself(a, b, c, d, x, u, v, before, guidance):
    """Products of two binary32 are exact in binary64, so one rounding of each makes the same numbers."""
    arrays = [np.array([value], dtype=np.float16) for value in (x, u, v, before)]
    output = guide(arrays[1], arrays[2], guidance)
    scale = rounded(guidance / 1000)
    guided = rounded(u + rounded(scale * rounded(v - u)))
    assert output[0] == guided
    step = Step(*(np.float32(value) for value in (0, a, b, c, d, d, c, b, a, 1)))
    first = rounded(rounded(d * x) + rounded(c * guided))
    assert advance(step, arrays[0], output, None)[0] == as_half(first)
    then = rounded(rounded(rounded(a * x) + rounded(b * guided)) + rounded(c * before))
    then = rounded(then + rounded(d * guided))
    assert advance(step, arrays[0], output, (arrays[3], output))[0] == as_half(then)
    noise = np.array([u], dtype=np.float32)
    assert noised(step, arrays[0], noise)[0] == as_half(rounded(rounded(b * x) + rounded(a * u)))


EXTREME_HALVES = st.sampled_from([0, 2.0**-24, -(2.0**-24), 2.0**-14, 1.0009765625, 65504, -65504]) | halves
EXTREME_COEFFICIENTS = st.sampled_from([0, 2.0**-24, -(2.0**-24), 1 + 2.0**-23, 256, -256]) | st.builds(
    lambda mantissa, exponent: float(np.float32(mantissa * 2.0**exponent)),
    st.floats(1, 2, exclude_max=True, width=32),
    st.integers(-24, 7),
)


@given(
    st.lists(EXTREME_COEFFICIENTS, min_size=4, max_size=4),
    st.lists(EXTREME_HALVES, min_size=6, max_size=6),
    st.integers(1001, 30_000),
)
def test_within_the_bounds_nothing_is_subnormal_or_infinite(row, numbers, guidance):
    """Else a processor that flushes subnormals to zero would make an honest miner guilty."""
    scale, seen = rounded(guidance / 1000), []

    def keep(value):
        seen.append(abs(rounded(value)))
        return rounded(value)

    (a, b, c, d), (x, u, v, *before) = row, numbers
    outputs = []
    for base, wanted in ((u, v), before[1:]):
        outputs.append(keep(base + keep(scale * keep(wanted - base))))
    moved = keep(keep(a * x) + keep(b * outputs[0]))
    keep(keep(moved + keep(c * before[0])) + keep(d * outputs[1]))
    noise = float(normal_table()[int(abs(x)) % 65_536])
    keep(keep(a * u) + keep(b * noise))
    assert all(value == 0 or 2.0**-104 <= value < 2.0**34 for value in seen)


@given(halves)
def test_outputs_are_rounded_to_the_nearest_and_ties_to_even(value):
    """`astype` is what the miner does with its networks' outputs; held against the C library here."""
    after = float(np.nextafter(np.float16(value), np.float16(np.inf)))
    if np.isfinite(after):
        for between in (value, (value + after) / 2, rounded(value + (after - value) / 3)):
            assert float(np.float32(between).astype(np.float16)) == as_half(between)


def test_zeros_of_either_sign_are_equal_and_what_is_not_finite_is_found():
    one = np.float16([[0.0, 1], [2, 3]])
    assert first_difference(one, np.float16([[-0.0, 1], [2, 3]])) is None
    assert first_difference(one, np.float16([[0, 1], [2, 4]])) == 3
    assert first_difference(np.float16([1, np.nan]), np.float16([1, np.nan])) == 1
    assert first_not_finite(one) is None
    for wrong in (np.inf, -np.inf, np.nan):
        assert first_not_finite(np.float16([[1, 2], [wrong, wrong]])) == 2


def test_without_guidance_the_output_is_that_with_the_prompt():
    conditional = np.array([1.5, -2], dtype=np.float16)
    assert guide(None, conditional, 0).tolist() == [1.5, -2]


def test_the_embedded_table():
    replay = read_replay(EMBEDDED_FOLDER / REPLAY_NAME)
    assert (replay.scheduler, replay.precision, replay.steps_max) == ("DDIMScheduler", "fp32", 100)
    assert [row.timestep for row in replay.steps(4)] == [999, 749, 499, 249]
    # DDIM looks back at nothing, and its last step from little noise leaves most of the latent.
    assert all(row.latent_before == row.output_before == 0 for row in replay.steps(100))
    # So it does not matter to it where the work begins; and at the very start an image is all noise.
    assert all((row.first_latent, row.first_output) == (row.latent, row.output) for row in replay.steps(100))
    assert (replay.steps(20)[0].source, replay.steps(20)[0].noise) == (0, 1)
    assert {row.tolerance for row in replay.steps(100)} == {np.float32(FP32_TOLERANCE)}
