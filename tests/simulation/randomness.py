"""All randomness of a run, from one seed.

Is: a generator for each purpose, named, so that one more draw here changes nothing there.
Is not: the randomness of the protocol, which comes from hashes.
"""

from __future__ import annotations

import random

Randomness = random.Random


def generator(seed: int, *purpose: object) -> Randomness:
    """The generator of one purpose; text seeds are hashed by SHA-512, the same in every process."""
    return Randomness("/".join(str(part) for part in (seed, *purpose)))
