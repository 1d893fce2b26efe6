"""Vectors of what a miner commits to of its work, and of what a contract may be shown of it."""

from __future__ import annotations

from typing import Any

from protocol import tensor, trace
from protocol.hashing import keccak256, sha256
from tests.protocol import builders
from tests.protocol.builders import MINERS


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
