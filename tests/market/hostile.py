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
from node.coordinator.actions import Action, Send
from node.coordinator.delivery import Deliveries, reply
from node.coordinator.orders import Order
from node.devnet import __main__ as devnet
from node.devnet.market import NodePlan
from node.pay.ledger import Ledger
from node.pay.payee import Payee
from node.pay.vouchers import EscrowDomain, HeldVoucher
from node.signing.keys import Key
from protocol.errors import Refusal
from protocol.messages import ReplyKind, TaskReply
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
honest_promise, honest_pay, honest_take = Ledger.promise, Deliveries.pay, Payee.take
FIRST_VOUCHERS: dict[bytes, SignedVoucher] = {}


def orders() -> str:
    """What the node in this process shall do now."""
    path = Path(sys.argv[sys.argv.index("--data-dir") + 1]) / ORDERS_FILE
    return path.read_text() if path.exists() else ""


def promise(ledger: Ledger, miner: bytes, total_wei: int) -> HeldVoucher:
    """Sign for another chain, if so ordered."""
    held = honest_promise(ledger, miner, total_wei)
    if orders() != "foreign chain":
        return held
    foreign = EscrowDomain(1, ledger._domain.escrow)
    return HeldVoucher(held.voucher, foreign.sign(ledger._key, held.voucher))


def _signed(voucher: SignedVoucher, ledger: Ledger, miner: bytes, amount_wei: int, key: Key) -> SignedVoucher:
    forged = Voucher(coordinator=ledger._key.address, miner=miner, cumulative_amount_wei=amount_wei)
    return SignedVoucher.of(voucher.task_wei, amount_wei, ledger._domain.sign(key, forged))


SPOILT = {
    "never pays": lambda _voucher, _ledger, _miner: None,
    "wrong signature": lambda voucher, ledger, miner: _signed(
        voucher, ledger, miner, voucher.cumulative_wei, Key.of(b"\x01" * 32)
    ),
    "wrong amount": lambda voucher, _ledger, _miner: dataclasses.replace(voucher, task_amount=b"\xff" * 12),
    "falling amount": lambda voucher, ledger, miner: _signed(
        voucher, ledger, miner, voucher.task_wei // 2, ledger._key
    ),
    "replayed voucher": lambda voucher, _ledger, miner: FIRST_VOUCHERS.setdefault(miner, voucher),
    "garbage": lambda _voucher, _ledger, _miner: SignedVoucher(bytes(12), b"\xff" * 12, bytes(65)),
}


def pay(deliveries: Deliveries, order: Order, rank: int, units: int) -> list[Action]:
    """Spoil the voucher that is due, if so ordered."""
    miner = order.live_task.turns[rank].miner
    actions = honest_pay(deliveries, order, rank, units)
    spoil = SPOILT.get(orders())
    if spoil is None:
        return actions
    spoilt: list[Action] = []
    for action in actions:
        if not isinstance(action, Send):
            continue
        voucher = SignedVoucher.decode(TaskReply.decode(action.replies[0]).payload)
        false = spoil(voucher, deliveries._core.purse._ledger, miner)
        if false is not None:
            spoilt.append(Send(action.stream_id, (reply(ReplyKind.VOUCHER, false.encode()),)))
    return spoilt


def take(payee: Payee, coordinator: bytes, task_id: bytes, voucher: SignedVoucher) -> None:
    """Take the money and run, if so ordered."""
    honest_take(payee, coordinator, task_id, voucher)
    if orders() == "take a slice and stop":
        raise Refusal("I have what I wanted")


if __name__ == "__main__":
    if "--role" in sys.argv:
        Ledger.promise, Deliveries.pay, Payee.take = promise, pay, take
        cli.main()
    else:
        devnet.DEFAULT_PLAN = PLAN
        devnet.main()
