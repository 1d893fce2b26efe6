"""Proofs of entries of the table of quantiles, for the Solidity tests, which cannot make the table.

``python -m tests.contracts.quantiles`` writes them.
"""

from __future__ import annotations

import json

import numpy as np

from contracts.toolchain import CONTRACTS_FOLDER
from node.inference.diffusion.prng import LEAF_ENTRIES, integers, normal_table, table_leaves
from protocol.merkle import merkle_proof, merkle_root

FIXTURE = CONTRACTS_FOLDER / "test" / "fixtures" / "quantiles.json"
PLACES = tuple((seed * 0x9E3779B97F4A7C15 % 2**64, seed * 37 % 256) for seed in range(16))
"""Seeds, and a number of each."""


def proved_quantile(leaves: list[bytes], seed: int, number: int) -> tuple[np.float32, bytes]:
    """What a seed has for a number, and its leaf with the siblings behind it."""
    entry = int(integers(seed, number + 1)[number])
    leaf = entry // LEAF_ENTRIES
    return normal_table()[entry], leaves[leaf] + b"".join(merkle_proof(leaves, leaf))


def fixture() -> str:
    """The text of the file."""
    leaves = table_leaves()
    proved = [proved_quantile(leaves, seed, number) for seed, number in PLACES]
    form = {
        "root": "0x" + merkle_root(leaves).hex(),
        "seeds": "0x" + b"".join(seed.to_bytes(8, "big") for seed, _ in PLACES).hex(),
        "numbers": "0x" + b"".join(number.to_bytes(8, "big") for _, number in PLACES).hex(),
        "quantiles": "0x" + np.array([value for value, _ in proved], ">f4").tobytes().hex(),
        "proofs": "0x" + b"".join(proof for _, proof in proved).hex(),
    }
    return json.dumps(form, indent=1) + "\n"


if __name__ == "__main__":
    FIXTURE.write_text(fixture(), "utf-8")
