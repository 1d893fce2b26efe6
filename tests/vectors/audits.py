"""Vectors of audits: what the dice say of some works, and where sketches look.

Is: a part of `generate`.
Is not: the rules about verdicts; those are made from their tests.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

from protocol.audit import TraceTensor
from protocol.audit_draw import AuditedWork, draw_audit
from protocol.hashing import sha256
from protocol.sketch import BINS, PLACES, drawn_places, pack_bins
from tests.protocol import builders
from tests.protocol.builders import AUDIT_TERMS, COORDINATOR, EPOCH, MINERS
from tests.vectors.situations import block_document, registrations_document, snapshot_document


def audit_vectors() -> Any:
    """What the dice say of works of an old and a new miner, of 1 to 50 steps; and places of sketches."""
    draws = []
    for miner, steps in itertools.product((MINERS["dan"], MINERS["ann"]), (1, 11, 12, 20, 50)):
        work = AuditedWork(COORDINATOR.address, miner.address, sha256(bytes([steps])), steps)
        blocks = [builders.block(str(number)) for number in range(500)]
        found = {draw_audit(EPOCH, work, one, AUDIT_TERMS).is_selected: one for one in reversed(blocks)}
        for one in found.values():
            draw = draw_audit(EPOCH, work, one, AUDIT_TERMS)
            draws.append(
                {
                    "coordinator": work.coordinator.hex(),
                    "miner": work.miner.hex(),
                    "commitment": work.commitment.hex(),
                    "steps": steps,
                    "block": block_document(one),
                    "dice": draw.dice.hex(),
                    "selected_ppm": draw.selected_ppm,
                    "is_selected": draw.is_selected,
                    "auditors": [
                        {"auditor": auditor.hex(), "steps": list(drawn)} for auditor, drawn in draw.auditors
                    ],
                }
            )
    return {
        "miners": snapshot_document(EPOCH.miners),
        "registrations": registrations_document(EPOCH.registrations),
        "audit_terms": dataclasses.asdict(AUDIT_TERMS),
        "draws": draws,
        "sketches": sketch_vectors(),
    }


def sketch_vectors() -> Any:
    """The first places of some tensors, and bins with the sketch that they make."""
    dice, auditor = builders.AUDIT.dice, builders.AUDITOR.address
    cases = []
    for step, tensor, numbers in (
        (0, TraceTensor.CONDITIONAL, 256),
        (1, TraceTensor.CONDITIONAL, 5),
        (49, TraceTensor.UNCONDITIONAL, 65_536),
    ):
        bins = [(step + 5 * place) % BINS for place in range(PLACES)]
        cases.append(
            {
                "dice": dice.hex(),
                "auditor": auditor.hex(),
                "step": step,
                "tensor": int(tensor),
                "numbers": numbers,
                "places": list(drawn_places(dice, auditor, step, tensor, numbers, 16)),
                "bins": bins,
                "sketch": pack_bins(bins).hex(),
            }
        )
    return cases
