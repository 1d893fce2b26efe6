"""Nodes that can be told to cheat about money: `python -m tests.market.hostile up`, or a role's usual flags.

Is: honest nodes with one function replaced, which reads what to do from a file in the node's data directory.
Is not: part of a node.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from contracts.records import Role, Voucher
from node import cli
from node.devnet import __main__ as devnet
from node.devnet.market import NodePlan
from node.pay.ledger import Ledger
from node.pay.meter import TaskMeter
from node.pay.payer import TaskPay
from node.pay.vouchers import EscrowDomain, HeldVoucher
from node.signing.keys import Key
from protocol.errors import Refusal
from protocol.pay import SignedVoucher

MODULE = "tests.market.hostile"
ORDERS_FILE = "orders"
"""One phrase: the attack of the moment; no file means honest."""
THIEF = "miner-thief"
PLAN = (
    NodePlan("coordinator", Role.COORDINATOR, 2_500_000, module=MODULE),
    NodePlan("miner-1", Role.MINER, 100_000),
    NodePlan("miner-2", Role.MINER, 100_000),
    NodePlan(THIEF, Role.MINER, 150_000, module=MODULE),
)
honest_promise, honest_show, honest_take = Ledger.promise, TaskPay.show, TaskMeter.take


def orders() -> str:
    """What the node in this process shall do now."""
    path = Path(sys.argv[sys.argv.index("--data-dir") + 1]) / ORDERS_FILE
    return path.read_text() if path.exists() else ""


def promise(ledger: Ledger, miner: bytes, amount_wei: int) -> HeldVoucher:
    """Sign for another chain, if so ordered."""
    held = honest_promise(ledger, miner, amount_wei)
    if orders() != "foreign chain":
        return held
    foreign = EscrowDomain(1, ledger._domain.escrow)
    return HeldVoucher(held.voucher, foreign.sign(ledger._key, held.voucher))


def _signed(voucher: SignedVoucher, pay: TaskPay, miner: bytes, amount_wei: int, key: Key) -> SignedVoucher:
    domain, coordinator = pay._purse._ledger._domain, pay._purse._ledger._key.address
    forged = Voucher(coordinator=coordinator, miner=miner, cumulative_amount_wei=amount_wei)
    return SignedVoucher.of(voucher.task_wei, amount_wei, domain.sign(key, forged))


SPOILT = {
    "never pays": lambda _voucher, _pay, _miner: None,
    "wrong signature": lambda voucher, pay, miner: _signed(
        voucher, pay, miner, voucher.cumulative_wei, Key.of(b"\x01" * 32)
    ),
    "wrong amount": lambda voucher, _pay, _miner: dataclasses.replace(voucher, task_amount=b"\xff" * 12),
    "falling amount": lambda voucher, pay, miner: _signed(
        voucher, pay, miner, voucher.task_wei // 2, pay._purse._ledger._key
    ),
    "replayed voucher": lambda voucher, pay, miner: vars(pay).setdefault(f"first {miner.hex()}", voucher),
    "garbage": lambda _voucher, _pay, _miner: SignedVoucher(bytes(12), b"\xff" * 12, bytes(65)),
}


def show(pay: TaskPay, miner: bytes, step: int) -> SignedVoucher | None:
    """Spoil the voucher that is due, if so ordered."""
    voucher = honest_show(pay, miner, step)
    spoil = SPOILT.get(orders())
    return voucher if voucher is None or spoil is None else spoil(voucher, pay, miner)


def take(meter: TaskMeter, signed: SignedVoucher) -> None:
    """Take the money and run, if so ordered."""
    honest_take(meter, signed)
    if orders() == "take a slice and stop":
        raise Refusal("I have what I wanted")


if __name__ == "__main__":
    if "--role" in sys.argv:
        Ledger.promise, TaskPay.show, TaskMeter.take = promise, show, take
        cli.main()
    else:
        devnet.DEFAULT_PLAN = PLAN
        devnet.main()
