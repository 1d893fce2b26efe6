"""A coordinator's engine on ports in memory, with miners that say what a test has them say."""

from __future__ import annotations

import itertools
import struct
import zlib
from dataclasses import replace

from node.coordinator.actions import CloseStream, Finish, Publish, Send, SendInput
from node.coordinator.core import EngineParameters
from node.coordinator.engine import CoordinatorEngine
from node.coordinator.ports import MemoryJournal, MemoryPurse, MemorySigner
from node.coordinator.records import OrderPlaced, OrderRequest
from node.signing.keys import Key
from protocol.draw import EpochView, Snapshot
from protocol.hashing import sha256
from protocol.merkle import merkle_root
from protocol.messages import (
    ChunkKind,
    ModelOffer,
    Offer,
    ReplyKind,
    ResultChunk,
    ResultCommitment,
    TaskAcceptance,
    TaskAnnouncement,
    TaskDecline,
    TaskReply,
    WorkOffer,
    parts_of,
)
from protocol.pay import SignedVoucher
from protocol.rules.view import View
from protocol.signature import sign_digest
from protocol.statement import Domain, open_statement, seal
from protocol.terms import TaskTerms
from protocol.work import ImageNumbers, Work, WorkKind

DOMAIN = Domain(31337, bytes(range(20)))
MODEL_ID = b"\x0a" * 32
SIDE, STEPS = 8, 16
COORDINATOR = Key.of(b"\x01" * 32)
MINERS = tuple(Key.of(bytes([number]) * 32) for number in (2, 3, 4, 5, 6))
TERMS = TaskTerms(head_start_ms=3_000, life_ms_max=120_000)
PARAMETERS = EngineParameters(assigned_miners=3, progress_timeout_ms=5_000, offer_interval_ms=30_000)
UNIT_PRICE_WEI = 10**15
WORK = Work.image(WorkKind.TEXT_TO_IMAGE, SIDE, SIDE, STEPS)
REQUEST = OrderRequest(
    model_id=MODEL_ID,
    work=WORK,
    numbers=ImageNumbers(7, 4_000, STEPS).encode(),
    prompts=("an apple", ""),
    preview_every_units=0,
    price_max_micro_cai=10**9,
    typical_permille=1_000,
)
CAI = 10**18


def png(width=SIDE, height=SIDE, colour=b"\x10\x20\x30", rows=None):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = colour * width * height if rows is None else rows
    rows = b"".join(b"\0" + rows[start : start + 3 * width] for start in range(0, len(rows), 3 * width))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def sealed(key, message):
    return seal(DOMAIN, message, lambda statement: sign_digest(key.secret, statement.digest))


def epoch_view(number=7, miners=MINERS):
    stakes = [(key.address, 10**18 * (1 + rank)) for rank, key in enumerate(miners)]
    return EpochView(
        number, bytes([number]) * 32, Snapshot.of(stakes), Snapshot.of([(COORDINATOR.address, 10**24)])
    )


class Market:
    """What the node knows of the market: a test changes it."""

    def __init__(self, miners=MINERS):
        self.view = View(DOMAIN, {7: epoch_view(miners=miners)}, TERMS)
        self.not_ready = None
        self.ahead = 0
        self.offered = {key.address: self.offer() for key in miners}

    @staticmethod
    def offer(price_wei=UNIT_PRICE_WEI, capacity=1, kind=WorkKind.TEXT_TO_IMAGE):
        work = WorkOffer(kind, (price_wei,), 400)
        return Offer(0, 0, 1 << 60, capacity, (ModelOffer(MODEL_ID, (work,)),))

    def ahead_ms(self):
        return self.ahead

    def offers(self):
        return self.offered.items()

    def multiaddrs(self):
        return ()

    def reason_not_ready(self):
        return self.not_ready


class Desk:
    """The engine, its clock, and everything that it asked for."""

    def __init__(self, miners=MINERS, deposit_wei=10**24, journal=None, signer=None, purse=None, market=None):
        self.now_ms = 1_000_000
        self.market = market or Market(miners)
        self.signer = signer or MemorySigner(
            DOMAIN, COORDINATOR.address, lambda statement: sign_digest(COORDINATOR.secret, statement.digest)
        )
        self.purse = purse or MemoryPurse(COORDINATOR.address, deposit_wei)
        self.journal = journal or MemoryJournal()
        self.salts = itertools.count(1)
        self.streams = itertools.count(1)
        self.actions = []
        self.engine = self.new_engine()

    def new_engine(self):
        return CoordinatorEngine(
            PARAMETERS,
            self.market,
            self.signer,
            self.purse,
            self.journal,
            lambda: next(self.salts).to_bytes(32, "big"),
        )

    def did(self, actions):
        self.actions += actions
        return actions

    def place(self, number=1, request=REQUEST, key="a name"):
        order_id = number.to_bytes(32, "big")
        placed = OrderPlaced(order_id, key, b"", request, (), self.now_ms)
        self.did(self.engine.place(placed, {}, self.now_ms))
        return order_id

    def tick(self, milliseconds=100):
        self.now_ms += milliseconds
        return self.did(self.engine.tick(self.now_ms))

    def of(self, kind):
        return [action for action in self.actions if isinstance(action, kind)]

    def announced(self):
        """The last announcement that went out."""
        return open_statement(DOMAIN, self.of(Publish)[-1].data, TaskAnnouncement)

    def finished(self, order_id):
        found = [action.outcome for action in self.of(Finish) if action.order_id == order_id]
        assert len(found) <= 1
        return found[0] if found else None

    def miner(self, rank):
        """The miner that the last announcement put at a rank."""
        address = self.announced().message.assigned[rank]
        key = next(key for key in MINERS if key.address == address)
        return Miner(self, key, rank, self.announced())


class Miner:
    """One drawn miner on one task."""

    def __init__(self, desk, key, rank, task):
        self.desk, self.key, self.rank, self.task = desk, key, rank, task
        self.stream_id = next(desk.streams)
        self.index = 0

    def come(self):
        payload = sealed(self.key, TaskAcceptance(self.task.digest, self.rank))
        desk = self.desk
        return desk.did(desk.engine.stream_opened(self.stream_id, self.key.address, payload, desk.now_ms))

    def decline(self, kind, reason="the prompt is too long", *, first=True):
        payload = TaskDecline(self.task.digest, kind, reason).encode()
        return self.open(payload) if first else self.say(payload)

    def open(self, payload):
        desk = self.desk
        return desk.did(desk.engine.stream_opened(self.stream_id, self.key.address, payload, desk.now_ms))

    def say(self, payload):
        desk = self.desk
        return desk.did(desk.engine.stream_heard(self.stream_id, payload, desk.now_ms))

    def lose(self, reason="its stream ended"):
        desk = self.desk
        return desk.did(desk.engine.stream_lost(self.stream_id, reason, desk.now_ms))

    def chunk(self, kind, units, payload=b"", part=0, **changes):
        chunk = ResultChunk(self.task.digest, self.index, kind, part, units, payload)
        self.index += 1
        return self.say(sealed(self.key, replace(chunk, **changes)))

    def commitment(self, output, units=STEPS, **changes):
        parts = parts_of(output)
        commitment = ResultCommitment(
            self.task.digest, merkle_root(parts), len(output), sha256(output), sha256(b"trace"), units
        )
        return sealed(self.key, replace(commitment, **changes))

    def show(self, units):
        """Show units one by one, as far as they are paid for."""
        for unit in range(1, units + 1):
            self.chunk(ChunkKind.PROGRESS, unit)

    def deliver(self, output=None):
        output = png() if output is None else output
        self.show(STEPS)
        for number, part in enumerate(parts_of(output)):
            self.chunk(ChunkKind.OUTPUT_PART, STEPS, part, number)
        return self.say(self.commitment(output))

    @property
    def replies(self):
        """What it was sent, in words."""
        said = []
        for action in self.desk.actions:
            match action:
                case SendInput(stream_id=self.stream_id):
                    said.append("INPUT")
                case Send(stream_id=self.stream_id, replies=replies):
                    said += [ReplyKind(TaskReply.decode(item).reply_kind).name for item in replies]
                case CloseStream(stream_id=self.stream_id, reason=reason):
                    said.append(f"CLOSE {reason}".strip())
        return said

    @property
    def vouchers(self):
        found = []
        for action in self.desk.of(Send):
            if action.stream_id == self.stream_id:
                replies = [TaskReply.decode(item) for item in action.replies]
                found += [
                    SignedVoucher.decode(item.payload)
                    for item in replies
                    if item.reply_kind == ReplyKind.VOUCHER
                ]
        return found
