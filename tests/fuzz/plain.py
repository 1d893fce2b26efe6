"""The fuzzer of our own: seeded mutations of valid inputs, without knowledge of coverage.

It is here for what a guided fuzzer is bad at: a number of cases that is known, and memory that is only ours.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

LENGTH_MAX = 4_096
POPULATION_MAX = 256
"""Inputs that further ones are made of; old mutants give way to new ones."""
_INTERESTING = (0, 1, 23, 24, 25, 26, 27, 64, 88, 95, 96, 127, 128, 131, 152, 159, 160, 192, 224, 246, 255)


def mutated(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """`data` after some edits: flips, interesting bytes, cuts, insertions, repetitions, splices."""
    edited = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(edited) + 1)
        span = rng.choice((1, 1, 2, 4, 8, 32))
        match rng.randrange(7):
            case 0 if at < len(edited):
                edited[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(edited):
                edited[at] = rng.choice(_INTERESTING)
            case 2:
                del edited[at : at + span]
            case 3:
                edited[at:at] = rng.randbytes(span)
            case 4:
                edited[at:at] = edited[at : at + span]
            case 5:
                start = rng.randrange(len(other) + 1)
                edited[at : at + span] = other[start : start + span]
            case _:
                del edited[at:]
    return bytes(edited[:LENGTH_MAX])


def run(target: Target, cases: int, seed: int) -> None:
    """Try `cases` mutants; raises what the target raises, with the input as a note."""
    rng = random.Random(seed)
    population = list(target.seeds)
    seeds_count = len(population)
    for number in range(cases):
        mutant = mutated(rng, rng.choice(population), rng.choice(population))
        try:
            target(mutant)
        except BaseException as error:
            error.add_note(f"{target.name}, seed {seed}, case {number}: {mutant.hex()}")
            raise
        if number % 64 == 0:
            if len(population) < POPULATION_MAX:
                population.append(mutant)
            else:
                population[rng.randrange(seeds_count, POPULATION_MAX)] = mutant


def resident_bytes() -> int:
    """Memory of this process that is in RAM, now (Linux)."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096
