"""Writes the vectors: what another implementation must agree with, made by this one.

    python -m tests.vectors.generate

Is: deterministic; `tests/protocol/test_vectors.py` fails when a committed file differs from what this makes.
Is not: the check that they are right. That is what the unit tests are, and the independent libraries in them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from protocol import cbor, receipt
from protocol.audit_pay import AuditPay, audit_fee_wei
from protocol.draw import rank_for_task, ranking, task_seed
from protocol.evidence import verify_evidence
from protocol.evidence.faults import Finding, WrongNumber
from protocol.evidence_document import to_document
from protocol.half import half_bits
from protocol.merkle import merkle_proof, merkle_root
from protocol.messages import PassedOver
from protocol.pay import WEI_MAX, PaySchedule, SignedVoucher, price_of
from protocol.signature import sign_digest
from protocol.statement import unsigned
from tests.protocol import builders
from tests.protocol.builders import COORDINATOR, DOMAIN, EPOCH, MINERS, sealed
from tests.protocol.rules import test_evidence, test_offers, test_results, test_tasks, test_verdicts
from tests.vectors.audits import audit_vectors
from tests.vectors.proofs import model_vectors, step_vectors, tensor_vectors, trace_vectors
from tests.vectors.session import noise_vectors, yamux_vectors
from tests.vectors.situations import (
    Gossip,
    Situation,
    judge,
    snapshot_document,
    view_document,
)

FOLDER = Path(__file__).parent
TOPIC_TESTS: dict[str, ModuleType] = {
    "offers": test_offers,
    "tasks": test_tasks,
    "results": test_results,
    "verdicts": test_verdicts,
    "evidence": test_evidence,
}
CBOR_VALID: tuple[cbor.Value, ...] = (
    *(0, 1, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**53, 2**64 - 1),
    *(b"", b"\x00", b"a" * 23, b"a" * 24, bytes(256)),
    *("", "cuckoo", "ü", "水", "\U0001f426", "\x00", "a" * 24),
    *((), (0,), ((((((),),),),),), (1, b"\x02", "3", (4,)), tuple(range(24)), (0,) * 256),
)
CBOR_INVALID = {
    "nothing": "",
    "truncated head": "19ff",
    "truncated string": "4261",
    "truncated array": "8200",
    "array longer than its bytes": "9a7fffffff",
    "string of 2^64 - 1 bytes": "5bffffffffffffffff",
    "byte after the value": "0000",
    "23 in two bytes": "1817",
    "255 in three bytes": "1900ff",
    "65535 in five bytes": "1a0000ffff",
    "2^32 - 1 in nine bytes": "1b00000000ffffffff",
    "empty string with a wide length": "5800",
    "empty text with a wide length": "7800",
    "empty array with a wide length": "9800",
    "reserved length 28": "1c",
    "reserved length 30": "5e",
    "indefinite bytes": "5f4100ff",
    "indefinite text": "7f6161ff",
    "indefinite array": "9f00ff",
    "break alone": "ff",
    "negative integer": "20",
    "map": "a0",
    "map with a duplicate key": "a201000100",
    "tag": "c100",
    "bignum": "c249010000000000000000",
    "false": "f4",
    "null": "f6",
    "half float": "f93c00",
    "double": "fb3ff0000000000000",
    "text that is not UTF-8": "61ff",
    "text with an overlong form": "62c080",
    "text with a surrogate": "63eda080",
    "text beyond Unicode": "64f4908080",
    "array of depth 7": "81818181818180",
}


def as_json(value: Any) -> Any:
    """A CBOR value in JSON: integers as decimal strings, bytes in hexadecimal, each under its type."""
    match value:
        case int():
            return {"uint": str(value)}
        case bytes():
            return {"bytes": value.hex()}
        case str():
            return {"text": value}
        case _:
            return [as_json(item) for item in value]


def cbor_vectors() -> Any:
    return {
        "valid": [{"encoded": cbor.encode(value).hex(), "value": as_json(value)} for value in CBOR_VALID],
        "invalid": [{"encoded": encoded, "why": why} for why, encoded in CBOR_INVALID.items()],
    }


def statement_vectors() -> Any:
    """One statement of each kind by a known key."""
    signer = MINERS["ann"]
    statements = []
    for message in builders.messages():
        statement = unsigned(DOMAIN, message)
        statements.append(
            {
                "kind": int(statement.kind),
                "slot": statement.slot.hex(),
                "body": statement.body.hex(),
                "digest": statement.digest.hex(),
                "signature": signer.sign(statement).hex(),
                "envelope": sealed(signer, message).hex(),
            }
        )
    return {
        "chain_id": DOMAIN.chain_id,
        "slashing_contract": DOMAIN.verifying_contract.hex(),
        "domain_separator": DOMAIN.separator.hex(),
        "secret": signer.secret.hex(),
        "address": signer.address.hex(),
        "statements": statements,
        "task_input": {
            "encoded": builders.task_input().encode().hex(),
            "public": builders.task_input().public.encode().hex(),
            "sealed": builders.task_input().sealed.encode().hex(),
            "commitment": builders.task_input().commitment().hex(),
        },
    }


def draw_vectors() -> Any:
    """Whole rankings of some tasks, and one for an announcement with miners passed over."""
    tasks = []
    for number in (0, 1, 2, 11, 2**64 - 1):
        seed = task_seed(EPOCH.seed, COORDINATOR.address, number)
        tasks.append(
            {
                "number": str(number),
                "seed": seed.hex(),
                "ranking": [miner.hex() for miner in ranking(EPOCH.miners, seed)],
            }
        )
    seed = task_seed(EPOCH.seed, COORDINATOR.address, 0)
    first, _, third, *_ = ranking(EPOCH.miners, seed)
    away = {first: PassedOver.NO_OFFER, third: PassedOver.BUSY}
    places = rank_for_task(EPOCH.miners, seed, lambda miner: away.get(miner, PassedOver.ASSIGNED), 2)
    return {
        "epoch_seed": EPOCH.seed.hex(),
        "coordinator": COORDINATOR.address.hex(),
        "miners": snapshot_document(EPOCH.miners),
        "tasks": tasks,
        "passed_over": {
            "number": "0",
            "reasons": {miner.hex(): int(reason) for miner, reason in sorted(away.items())},
            "wanted": 2,
            "ranking": [{"miner": place.miner.hex(), "passed_over": place.passed_over} for place in places],
        },
    }


def merkle_vectors() -> Any:
    trees = []
    for count in (0, 1, 2, 3, 4, 5, 7, 8, 21):
        leaves = [bytes([number]) * number for number in range(count)]
        trees.append(
            {
                "leaves": [leaf.hex() for leaf in leaves],
                "root": merkle_root(leaves).hex(),
                "proofs": [[node.hex() for node in merkle_proof(leaves, index)] for index in range(count)],
            }
        )
    return trees


def price_vectors() -> Any:
    """Least prices of images by the price of a pixel times a step."""
    prices = []
    for price_wei, units, width, height in (
        *((0, 1, 1, 1), (1, 1, 1, 1), (10**12, 1, 1, 1), (488_281_250_000, 20, 32, 32)),
        *((488_281_250_001, 20, 32, 32), (2**64 - 1, 1, 100, 100), (7, 65_535, 65_535, 65_535)),
    ):
        work = builders.work(units, width=width, height=height)
        price = price_of(work, (price_wei,))
        prices.append(
            {
                "work": work.encode().hex(),
                "price_wei": str(price_wei),
                "whole_micro_cai": str(price.whole_micro_cai),
                "upfront_micro_cai": str(price.upfront_micro_cai),
            }
        )
    return prices


def fee_vectors() -> list[Any]:
    """Pay of auditors' verdicts."""
    return [
        {
            "price_wei": str(price_wei),
            "steps": steps,
            "checked": checked,
            "fee_wei": str(audit_fee_wei(price_wei, steps, checked)),
        }
        for price_wei, steps, checked in (
            *((10**16, 20, 3), (10**16, 50, 3), (10**16, 1, 1), (10**16, 3, 1), (10**16, 4, 1)),
            *((0, 20, 3), (7, 30, 3), (7, 7, 1), ((2**64 - 1) * 10**12, 65_535, 3)),
        )
    ]


def pay_vectors() -> Any:
    """Schedules of pay with what they say of some pay, and vouchers of one coordinator for one miner."""
    from contracts.escrow import voucher_data
    from contracts.records import Voucher

    schedules = []
    for price_wei, upfront_wei, units in (
        *((10**16, 0, 20), (10**16, 0, 7), (10**16, 0, 3), (10**13, 0, 100), (5, 0, 30), (0, 0, 4)),
        *((10**16, 10**15, 20), (10**16, 10**16, 20), (7, 3, 30), (10**16, 10**16 - 1, 9)),
    ):
        schedule = PaySchedule(price_wei, upfront_wei, units)
        paid = sorted(
            {
                *(0, upfront_wei, price_wei // 3, price_wei // 2, price_wei),
                *(max(0, upfront_wei - 1), schedule.due_wei(schedule.slice_units)),
            }
        )
        schedules.append(
            {
                "price_wei": str(price_wei),
                "upfront_wei": str(upfront_wei),
                "units": units,
                "slice_units": schedule.slice_units,
                "due_wei": [str(schedule.due_wei(shown)) for shown in range(units + 1)],
                "paid": [
                    {
                        "paid_wei": str(wei),
                        "units_paid": schedule.units_paid(wei),
                        "unit_limit": schedule.unit_limit(wei),
                    }
                    for wei in paid
                ],
            }
        )
    escrow, miner = builders.key("escrow").address, MINERS["ann"].address
    vouchers = []
    for task_wei, cumulative_wei in ((0, 0), (5, 5), (10**16, 10**18 + 1), (10**16, WEI_MAX)):
        voucher = Voucher(coordinator=COORDINATOR.address, miner=miner, cumulative_amount_wei=cumulative_wei)
        digest = voucher_data(voucher, DOMAIN.chain_id, escrow).digest()
        signature = sign_digest(COORDINATOR.secret, digest)
        vouchers.append(
            {
                "task_wei": str(task_wei),
                "cumulative_wei": str(cumulative_wei),
                "digest": digest.hex(),
                "signature": signature.hex(),
                "encoded": SignedVoucher.of(task_wei, cumulative_wei, signature).encode().hex(),
            }
        )
    paid = SignedVoucher.decode(bytes.fromhex(vouchers[-1]["encoded"]))
    return {
        "chain_id": DOMAIN.chain_id,
        "escrow_contract": escrow.hex(),
        "secret": COORDINATOR.secret.hex(),
        "coordinator": COORDINATOR.address.hex(),
        "miner": miner.hex(),
        "prices": price_vectors(),
        "schedules": schedules,
        "audits": fee_vectors(),
        "vouchers": vouchers,
        "audit_pay": {
            "task_id": builders.TASK.digest.hex(),
            "encoded": AuditPay(builders.TASK.digest, miner, paid).encode().hex(),
        },
    }


def evidence_vectors() -> Any:
    """One piece of each fault; the epoch that judging a wrong ranking needs stands beside them."""
    epochs, pieces = builders.view().epochs, []
    for evidence in builders.all_evidence():
        offence = verify_evidence(DOMAIN, evidence, epochs)
        pair = dataclasses.asdict(offence.pair) if offence.pair else {}
        arguments = {"kind": int(offence.kind), "slot": offence.slot.hex()}
        pieces.append(
            {
                "encoded": evidence.encode().hex(),
                "document": to_document(DOMAIN, evidence, epochs),
                "contract_arguments": arguments | {name: data.hex() for name, data in pair.items()}
                if pair
                else None,
                "finding": finding_vector(offence.finding) if offence.finding else None,
            }
        )
    return {"view": view_document(builders.view()), "pieces": pieces}


def finding_vector(finding: Finding) -> dict[str, int | None]:
    """What is wrong in a trace; numbers of tensors as the 16 bits that they are."""
    members = dataclasses.asdict(finding)
    if isinstance(finding, WrongNumber):
        for name in ("committed", "expected"):
            members[name] = None if members[name] is None else half_bits(members[name])
    return members


def receipt_vectors() -> Any:
    return {"document": receipt.to_document(builders.receipt()), "image": builders.IMAGE.hex()}


def situations_of(topic: str) -> dict[str, Situation]:
    """The situations behind the tests of a topic's rules, by name."""
    return {
        name.removeprefix("test_"): test.situation()
        for name, test in vars(TOPIC_TESTS[topic]).items()
        if hasattr(test, "situation")
    }


def gossip_document(gossip: Gossip) -> dict[str, Any]:
    padding = {"padded_to": gossip.padded_to} if gossip.padded_to else {}
    return {"topic": gossip.topic, "data": gossip.data.hex(), **padding, "now_ms": gossip.now_ms}


def rule_vectors(topic: str) -> Any:
    cases, audits = [], topic in {"results", "verdicts"}
    for name, situation in situations_of(topic).items():
        outcome = judge(situation)
        case = {
            "name": name,
            "view": view_document(situation.known, audits=audits),
            **(
                {"later_view": view_document(situation.later_view, audits=audits)}
                if situation.later_view is not None
                else {}
            ),
            "before": [gossip_document(gossip) for gossip in situation.before],
            "message": gossip_document(situation.message),
            "expected": outcome.expected,
        }
        if outcome.reason:
            case["reason"] = outcome.reason
        if outcome.evidence:
            case["evidence"] = outcome.evidence.hex()
        cases.append(case)
    return cases


FILES: dict[str, Callable[[], Any]] = {
    "cbor.json": cbor_vectors,
    "statement.json": statement_vectors,
    "draw.json": draw_vectors,
    "audit.json": audit_vectors,
    "merkle.json": merkle_vectors,
    "tensor.json": tensor_vectors,
    "trace.json": trace_vectors,
    "model.json": model_vectors,
    "step.json": step_vectors,
    "pay.json": pay_vectors,
    "evidence.json": evidence_vectors,
    "receipt.json": receipt_vectors,
    "noise.json": noise_vectors,
    "yamux.json": yamux_vectors,
    "rules/offers.json": lambda: rule_vectors("offers"),
    "rules/tasks.json": lambda: rule_vectors("tasks"),
    "rules/results.json": lambda: rule_vectors("results"),
    "rules/verdicts.json": lambda: rule_vectors("verdicts"),
    "rules/evidence.json": lambda: rule_vectors("evidence"),
}


def text_of(name: str) -> str:
    """What the file `name` must contain."""
    return json.dumps(FILES[name](), indent=1, ensure_ascii=True) + "\n"


def main() -> None:
    for name in FILES:
        (FOLDER / name).write_text(text_of(name), encoding="ascii")


if __name__ == "__main__":
    main()
