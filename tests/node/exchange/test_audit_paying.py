"""Pay of auditors on its way: who may bring a voucher for what, and both ends on one stream."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from node.exchange.audit_paying import AuditPayee, NothingOwed, bring_pay
from node.exchange.protocols import AUDIT_PAY_PROTOCOL
from p2p.identity import peer_id_from_public_key
from protocol.audit import verdict_slot
from protocol.audit_pay import AuditPay
from protocol.errors import DecodeError, InvalidMessage
from protocol.pay import SignedVoucher
from protocol.rules.view import Seen, remember
from tests.protocol import builders
from tests.protocol.builders import AUDITOR, COORDINATOR, FIRST_RANKED, TASK

MINER = FIRST_RANKED.address
VOUCHER = SignedVoucher.of(5, 7, bytes(65))
PAY = AuditPay(TASK.digest, MINER, VOUCHER)


def id_of(key):
    return peer_id_from_public_key(builders.opened(key, builders.offer()).signer.public_key)


class Stream:
    """Gives one payload, or what it was told to answer, and keeps what was sent."""

    def __init__(self, payload=None):
        self.payload, self.sent = payload, []

    async def receive(self, *, timeout_ms):
        assert timeout_ms > 0
        return self.payload

    async def send(self, payload, *, timeout_ms):
        self.sent.append(payload)

    async def finish(self, *, timeout_ms):
        self.sent.append(None)


class Auditor:
    """That has given a verdict on the task, unless it has not."""

    def __init__(self, *, judged=True):
        self.seen, self.taken = Seen(), []
        self.seen.tasks[TASK.digest] = TASK
        if judged:
            remember(self.seen, builders.opened(AUDITOR, builders.verdict()))
        self.payee = AuditPayee(AUDITOR.address, self.seen, lambda *what: self.taken.append(what))

    async def gets(self, payload=None, payer=COORDINATOR):
        await self.payee.handle(Stream(PAY.encode() if payload is None else payload), id_of(payer))


async def test_a_voucher_for_ones_own_verdict_is_taken_under_its_slot():
    auditor = Auditor()
    await auditor.gets()
    assert auditor.taken == [(COORDINATOR.address, verdict_slot(TASK.digest, MINER), VOUCHER)]
    assert (auditor.payee.counts.taken, auditor.payee.counts.refused) == (1, 0)


@pytest.mark.parametrize(
    ("judged", "pay", "payer"),
    [
        (False, PAY, COORDINATOR),
        (True, PAY, FIRST_RANKED),
        (True, AuditPay(bytes(32), MINER, VOUCHER), COORDINATOR),
        (True, AuditPay(TASK.digest, bytes(20), VOUCHER), COORDINATOR),
    ],
)
async def test_attack_a_stranger_fills_an_auditors_books_with_vouchers_for_nothing(judged, pay, payer):
    auditor = Auditor(judged=judged)
    with pytest.raises(NothingOwed):
        await auditor.gets(pay.encode(), payer)
    assert (auditor.taken, auditor.payee.counts.refused) == ([], 1)


@pytest.mark.parametrize("payload", [b"", b"\xff", PAY.encode() + b"\0"])
async def test_bytes_that_are_not_pay(payload):
    auditor = Auditor()
    with pytest.raises(DecodeError):
        await auditor.gets(payload)
    assert (auditor.taken, auditor.payee.counts.refused) == ([], 1)


class Host:
    """Opens one stream. :ivar connected: whether the auditor is."""

    def __init__(self, stream, *, connected):
        self.stream, self.connected, self.looked_up = stream, connected, []

    def is_connected(self, peer_id):
        assert peer_id == id_of(AUDITOR)
        return self.connected

    async def connect(self, address):
        self.looked_up.append(address)
        return id_of(AUDITOR)

    @asynccontextmanager
    async def open_direct_stream(self, peer_id, protocol, *, timeout_ms):
        assert (peer_id, protocol) == (id_of(AUDITOR), AUDIT_PAY_PROTOCOL)
        yield self.stream


@pytest.mark.parametrize("connected", [True, False])
async def test_an_auditor_is_brought_its_pay_and_dialled_for_it(connected):
    host = Host(Stream(), connected=connected)
    lookup = SimpleNamespace(connect=host.connect)
    signer = builders.opened(AUDITOR, builders.verdict()).signer
    await bring_pay(host, lookup, signer, PAY)
    assert host.stream.sent == [PAY.encode(), None]
    assert host.looked_up == ([] if connected else [AUDITOR.address])


async def test_an_answer_to_pay_is_a_fault():
    host = Host(Stream(b"thanks"), connected=True)
    signer = builders.opened(AUDITOR, builders.verdict()).signer
    with pytest.raises(InvalidMessage, match="pay has no answer but the stream's end"):
        await bring_pay(host, None, signer, PAY)
