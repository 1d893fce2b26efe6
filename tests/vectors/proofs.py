"""Vectors of what a miner commits to of its work, and of what a contract may be shown of it."""

from __future__ import annotations

import dataclasses
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from node.inference.diffusion.prng import initial_latent, integers, table_leaves
from node.inference.diffusion.replay import Step, advance, guide, noised
from protocol import model_table, tensor, trace
from protocol.errors import InvalidMessage
from protocol.hashing import keccak256, sha256
from protocol.merkle import merkle_proof, merkle_root
from protocol.model_card import CARD_FILE, file_leaf
from protocol.model_table import ModelHead, SchedulerRule
from tests.protocol import builders
from tests.protocol.builders import MINERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Half = NDArray[np.float16]
    Opened = tuple[Half, Half | None, Half]

SEEDS = (0, 1, 2026, 2**64 - 1)
GUIDANCES = (0, 1000, 1001, 3990, 4000, 7500, 30_000)
ROWS = (
    (999, 0, -1, 0, 0, 0, -1, 0, 1, 5e-4),
    (499, 0.4922997, -0.87042576, 0, 0, 0.4922997, -0.87042576, 0.4922997, 0.87042576, 5e-4),
    (249, 0.75, -0.3333333, 2.0**-24, -256, 0.9, -0.1, 2.0**-24, 256, 1e-3),
    (1, 1.25, -0.875, -0.25, 0.125, 1, 2.0**-24, -256, 0.1, 2e-2),
)
"""Rows of the vectors: without and with a step before, and at the bounds of a coefficient."""


def tensor_vectors() -> Any:
    """Tensors of one piece, of whole pieces and of a part of one; their first and last piece proved."""
    cases = []
    for numbers in (1, 64, 65, 256, 300):
        data = b"".join((number * 7).to_bytes(2, "little") for number in range(numbers))
        places = []
        for place in sorted({0, numbers - 1}):
            piece, proof = tensor.piece_proof(data, place)
            places.append(
                {"number": place, "piece": piece.hex(), "proof": [sibling.hex() for sibling in proof]}
            )
        cases.append({"data": data.hex(), "hash": tensor.tensor_hash(data).hex(), "places": places})
    return cases


def trace_vectors() -> Any:
    """A guided trace of three steps with a source image, and one of a single step without guidance."""
    cases = []
    for steps, guided in ((3, True), (1, False)):
        tensors = [
            (bytes([number]) * 256, bytes([number + 16]) * 256 if guided else b"", bytes([number + 32]) * 256)
            for number in range(steps)
        ]
        final, source = bytes([steps]) * 256, bytes([99]) * 256 if guided else b""
        leaves = [trace.TraceLeaf.of(*row) for row in tensors]
        ends = tensor.tensor_hash(final), tensor.tensor_hash(source)
        task_id, miner, model_id = keccak256(b"task"), MINERS["ann"].address, keccak256(b"model")
        binding = trace.TraceBinding(task_id, miner, model_id, steps, sha256(builders.IMAGE))
        request = trace.OpeningRequest(task_id, (steps // 2,), 1, 1)
        opening = trace.open_leaves(task_id, leaves, ends[0], request.steps, ends[1])
        cases.append(
            {
                "task_id": task_id.hex(),
                "miner": miner.hex(),
                "model_id": model_id.hex(),
                "image_hash": binding.image_hash.hex(),
                "tensors": [[part.hex() for part in row] for row in tensors],
                "final_latent": final.hex(),
                "source_latent": source.hex(),
                "leaves": [leaf.joined.hex() for leaf in leaves],
                "steps_root": opening.steps_root.hex(),
                "trace_root": binding.root(opening.steps_root, *ends).hex(),
                "request": request.encode().hex(),
                "opening": opening.encode().hex(),
            }
        )
    return cases


def model_vectors() -> Any:
    """Ids over two files, a head and rows of schedules of one and two steps; and heads that are refused."""
    files = [file_leaf(CARD_FILE, sha256(b"card"), 4), file_leaf("unet/config.json", sha256(b"{}"), 2)]
    cases = []
    for rule, factor in ((SchedulerRule.ONE_STEP, 4), (SchedulerRule.TWO_STEPS, 8)):
        head = ModelHead(scheduler_rule=rule, channels=4, factor=factor, steps_max=2)
        chosen = ROWS[:2] if rule == SchedulerRule.ONE_STEP else ROWS[2:]
        rows = [_row_bytes(row) for row in (chosen[1], *chosen)]
        root = model_table.rows_root(b"".join(rows))
        steps = [(1, 1, 0), (2, 2, 0), (2, 2, 1), (2, 1, 0)]
        cases.append(
            {
                "files": [leaf.hex() for leaf in files],
                "files_root": merkle_root(files).hex(),
                "head": head.encode().hex(),
                "rows": [row.hex() for row in rows],
                "proofs": [[node.hex() for node in merkle_proof(rows, place)] for place in range(len(rows))],
                "rows_root": root.hex(),
                "model_id": model_table.model_id_of(merkle_root(files), head.encode(), root).hex(),
                "row_of": [
                    {"schedule_steps": s, "units": u, "step": k, "row": head.row_of(s, u, k)}
                    for s, u, k in steps
                ],
                "tensor_numbers": [
                    _size(head, *sides) for sides in ((32, 32), (1024, 768), (36, 32), (4, 0))
                ],
            }
        )
    head = ModelHead(scheduler_rule=SchedulerRule.ONE_STEP, channels=4, factor=4, steps_max=2)
    changes: tuple[dict[str, int], ...] = (
        *({"format": 2}, {"number_format": 2}, {"latent_layout": 2}, {"seed_rule": 2}, {"guidance_rule": 2}),
        *({"scheduler_rule": 3}, {"channels": 0}, {"factor": 0}, {"steps_max": 0}, {"steps_max": 201}),
    )
    refused = [dataclasses.replace(head, **change).encode().hex() for change in changes]
    return {"models": cases, "heads_refused": refused}


def step_vectors() -> Any:
    """First latents (S) and steps of the scheduler (X), bit for bit."""
    table = table_leaves()
    starts, steps = [], []
    for number, seed in enumerate(SEEDS):
        source = _halves(number, 40) if number % 2 else None
        noise = initial_latent(seed, (40,))
        latent = noise.astype(np.float16) if source is None else noised(_step(ROWS[number]), source, noise)
        starts.append(
            {
                "seed": str(seed),
                "row": _row_bytes(ROWS[number]).hex(),
                "source": "" if source is None else _hex(source),
                "integers": integers(seed, 40).tolist(),
                "noise": noise.astype(">f4").tobytes().hex(),
                "latent": _hex(latent),
            }
        )
    cases = [(guidance, row) for guidance in GUIDANCES for row in ROWS]
    for number, (guidance, row) in enumerate(cases):
        opened, before = (_opened(2 * number + place, guidance) for place in range(2))
        steps += [_step_vector(row, guidance, opened, known) for known in (None, before)]
    return {
        "quantiles_root": merkle_root(table).hex(),
        "quantiles": [
            {
                "leaf": leaf,
                "entries": table[leaf].hex(),
                "proof": [node.hex() for node in merkle_proof(table, leaf)],
            }
            for leaf in (0, 2047, 2048, 4095)
        ],
        "starts": starts,
        "steps": steps,
    }


def _step_vector(
    row: tuple[float, ...], guidance: int, opened: Opened, before: Opened | None
) -> dict[str, Any]:
    known = None if before is None else (before[0], guide(before[1], before[2], guidance))
    moved = advance(_step(row), opened[0], guide(opened[1], opened[2], guidance), known)
    return {
        "row": _row_bytes(row).hex(),
        "guidance_milli": guidance,
        "opened": [_hex(part) for part in opened],
        "before": None if before is None else [_hex(part) for part in before],
        "next": _hex(moved),
    }


def _row_bytes(row: tuple[float, ...]) -> bytes:
    return struct.pack(">10f", *row)


def _step(row: tuple[float, ...]) -> Step:
    return Step(*np.frombuffer(_row_bytes(row), dtype=">f4").astype(np.float32))


def _size(head: ModelHead, width: int, height: int) -> dict[str, int | None]:
    """:returns: no numbers for a size that the model has no tensors of."""
    try:
        numbers = head.tensor_numbers(width, height)
    except InvalidMessage:
        numbers = None
    return {"width": width, "height": height, "numbers": numbers}


def _halves(number: int, count: int = 24) -> Half:
    """Finite numbers of every size, zeros of both signs, subnormal ones and the largest."""
    bits = np.frombuffer(b"".join(sha256(bytes([number, part])) for part in range(4)), dtype="<u2")[:count]
    numbers: Half = (
        np.where(bits & 0x7C00 == 0x7C00, bits ^ 0x4000, bits).astype(np.uint16).view(np.float16).copy()
    )
    # Most of a latent is small; a few numbers stay as large as they come.
    numbers[4:] = (numbers[4:] / np.float16(2) ** (np.frexp(numbers[4:])[1].clip(2) - 2)).astype(np.float16)
    special = np.array([0x0000, 0x8000, 0x0001, 0x83FF, 0x7BFF, 0xFBFF], dtype=np.uint16).view(np.float16)
    numbers[number % 8 : number % 8 + 6] = special
    return numbers


def _opened(number: int, guidance: int) -> Opened:
    guided = guidance > model_table.GUIDANCE_MILLI_NONE
    parts = [_halves(3 * number + place) for place in range(3)]
    return parts[0], parts[1] if guided else None, parts[2]


def _hex(numbers: Half | None) -> str:
    return "" if numbers is None else numbers.astype("<f2").tobytes().hex()
