"""Cases of binary16 and binary32 arithmetic, with what numpy gives: the contract has to give the same.

``python -m tests.contracts.soft_floats`` writes the small form that the Solidity tests read.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from contracts.toolchain import CONTRACTS_FOLDER

FIXTURE = CONTRACTS_FOLDER / "test" / "fixtures" / "soft_float.json"
FIXTURE_CASES = 400
"""Of each operation."""
OPERATIONS = ("fromHalf", "toHalf", "thousandths", "multiply", "add", "subtract")
SIGN, INFINITY, NAN = 0x8000_0000, 0x7F80_0000, 0x7FC0_0000
HALF_INFINITY, HALF_NAN = 0x7C00, 0x7E00
EDGES = np.array(
    [
        *(0, 1, 2, 3, 0x007F_FFFE, 0x007F_FFFF),  # subnormal
        *(0x0080_0000, 0x0080_0001, 0x00FF_FFFF, 0x0100_0000),  # the least that are not
        *(0x3380_0000, 0x3300_0000, 0x3300_0001, 0x387F_E000, 0x387F_F000, 0x3880_0000),  # where halves begin
        *(0x3F7F_FFFF, 0x3F80_0000, 0x3F80_0001, 0x4B7F_FFFF, 0x4B80_0000),
        *(0x477F_E000, 0x477F_EFFF, 0x477F_F000, 0x4780_0000),  # where they end
        *(0x7F00_0000, 0x7F7F_FFFF, INFINITY, INFINITY + 1, NAN),
    ],
    dtype=np.uint32,
)

HALF_EDGES = (0, 0x8000, 1, 0x3FF, 0x400, 0x7BFF, 0x7C00, 0xFC00, 0x7C01, 0x7E00)


def _signs(random: np.random.Generator, magnitudes: np.ndarray) -> np.ndarray:
    return magnitudes | np.where(random.random(len(magnitudes)) < 0.5, SIGN, 0).astype(np.uint32)


def _any_bits(random: np.random.Generator, count: int) -> np.ndarray:
    return random.integers(0, 1 << 32, count, dtype=np.uint32)


def _numbers(random: np.random.Generator, exponents: np.ndarray) -> np.ndarray:
    """Numbers with these biased exponents; half of them with so few bits that products and sums are ties."""
    count = len(exponents)
    fractions = random.integers(0, 1 << 23, count, dtype=np.uint32)
    few = (np.uint32(0x7F_FFFF) << random.integers(8, 23, count, dtype=np.uint32)) & np.uint32(0x7F_FFFF)
    fractions = np.where(random.random(count) < 0.5, fractions & few, fractions)
    bits = np.clip(exponents, 0, 254).astype(np.uint32) << np.uint32(23) | fractions
    return _signs(random, bits.astype(np.uint32))


def _pairs(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """A quarter of each: any bits; exponents near each other; products where formats end; edges."""
    part = count // 4
    near = random.integers(0, 255, part)
    far = random.integers(0, 255, part)
    where = random.choice(np.array([127 - 149, 127 - 126, 127 + 127]), part) + random.integers(-3, 4, part)
    first = np.concatenate(
        [
            _any_bits(random, part),
            _numbers(random, near),
            _numbers(random, far),
            _signs(random, random.choice(EDGES, count - 3 * part)),
        ]
    )
    second = np.concatenate(
        [
            _any_bits(random, part),
            _numbers(random, near + random.integers(-30, 31, part)),
            _numbers(random, where + 127 - far),
            _signs(random, random.choice(EDGES, count - 3 * part)),
        ]
    )
    # Neighbours with the other sign, of which a sum leaves hardly anything.
    close = random.random(count) < 0.05
    neighbours = (first ^ np.uint32(SIGN)) + random.integers(0, 3, count, dtype=np.uint32)
    return first, np.where(close, neighbours, second).astype(np.uint32)


def _to_half(random: np.random.Generator, count: int) -> np.ndarray:
    """Numbers about the middle between two halves, of all exponents, and any other."""
    part = count // 2
    halves = random.integers(0, 1 << 16, part, dtype=np.uint16).view(np.float16).astype(np.float64)
    with np.errstate(all="ignore"):
        above = np.nextafter(halves.astype(np.float16), np.float16(np.inf)).astype(np.float64)
        middles = ((halves + above) / 2).astype(np.float32).view(np.uint32)
    middles = middles + random.integers(0, 3, part, dtype=np.uint32) - np.uint32(1)
    rest = count - part
    spread = _numbers(random, random.integers(127 - 27, 127 + 18, rest - rest // 4))
    return np.concatenate([middles, spread, _any_bits(random, rest // 4)])


def cases(operation: str, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Operands, uint32 each; those of an operation with one have zeros for the other."""
    random = np.random.default_rng([seed, OPERATIONS.index(operation)])
    none = np.zeros(count, dtype=np.uint32)
    if operation == "fromHalf":
        if count >= 1 << 16:
            return np.resize(np.arange(1 << 16, dtype=np.uint32), count), none
        halves = random.integers(0, 1 << 16, count, dtype=np.uint32)
        halves[: len(HALF_EDGES)] = HALF_EDGES
        return halves, none
    if operation == "toHalf":
        return _to_half(random, count), none
    if operation == "thousandths":
        small = random.integers(0, 30_001, count - count // 4, dtype=np.uint32)
        small[:3] = (0, 1, 1000)
        return np.concatenate([small, _any_bits(random, count // 4)]), none
    return _pairs(random, count)


def results(operation: str, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """What numpy gives, uint32; a NaN as the one that the contract gives."""
    a, b = first.view(np.float32), second.view(np.float32)
    with np.errstate(all="ignore"):
        match operation:
            case "fromHalf":
                found = first.astype(np.uint16).view(np.float16).astype(np.float32)
            case "toHalf":
                half = a.astype(np.float16)
                bits = half.view(np.uint16).astype(np.uint32)
                return np.where(np.isnan(half), np.uint32(HALF_NAN), bits)
            case "thousandths":
                found = first.astype(np.float32) / np.float32(1000)
            case "multiply":
                found = a * b
            case "add":
                found = a + b
            case _:
                found = a - b
    return np.where(np.isnan(found), np.uint32(NAN), found.view(np.uint32))


def packed(first: np.ndarray, second: np.ndarray) -> bytes:
    """Eight bytes a case, big-endian, as the harness takes them."""
    return np.stack([first, second], axis=1).astype(">u4").tobytes()


def fixture() -> str:
    """The text of the small form."""
    forms = {}
    for operation in OPERATIONS:
        first, second = cases(operation, FIXTURE_CASES, 0)
        forms[operation] = {
            "cases": "0x" + packed(first, second).hex(),
            "results": "0x" + results(operation, first, second).astype(">u4").tobytes().hex(),
        }
    return json.dumps(forms, indent=1) + "\n"


def main() -> None:
    """Write it."""
    Path(FIXTURE).parent.mkdir(exist_ok=True)
    FIXTURE.write_text(fixture(), "utf-8")


if __name__ == "__main__":
    main()
