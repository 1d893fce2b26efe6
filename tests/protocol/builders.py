"""A small network with fixed keys, and its messages: what tests and vectors are made of.

Is: the same values in every run, so that a vector made from them never changes by itself.
Is not: random; what is drawn at random is in `strategies`.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from coincurve import PrivateKey

from protocol.audit import SKETCH_BYTES, AuditReason, AuditVerdict, CheckedStep, Verdict
from protocol.audit_draw import AuditDraw, AuditedWork, BeaconBlock, draw_audit
from protocol.draw import EpochView, Snapshot, rank_for_task, task_seed
from protocol.evidence import BrokenSequence, Evidence, FalsePart, TwoStatements, WrongRanking
from protocol.hashing import keccak256, sha256
from protocol.merkle import merkle_root
from protocol.messages import (
    NO_TASK,
    ChunkKind,
    Message,
    ModelOffer,
    Offer,
    PassedOver,
    RankedMiner,
    ResultChunk,
    ResultCommitment,
    TaskAcceptance,
    TaskAnnouncement,
    TaskInput,
    WorkOffer,
    parts_of,
)
from protocol.model_card import CARD_FORMAT, ModelCard, RequestFile
from protocol.model_table import ModelHead, SchedulerRule
from protocol.receipt import Receipt
from protocol.registrations import Registrations
from protocol.rules.view import View
from protocol.signature import HALF_ORDER, address_of, sign_digest
from protocol.statement import (
    VERSION,
    Domain,
    Envelope,
    Statement,
    Unsigned,
    open_statement,
    seal,
    unsigned,
)
from protocol.task_input import image_input
from protocol.terms import AuditTerms, TaskTerms
from protocol.work import ImageNumbers, Work, WorkKind

NOW_MS = 1_800_000_000_000
WEI_PER_CAI = 10**18
ORDER = 2 * HALF_ORDER + 1
DOMAIN = Domain(31337, bytes.fromhex("c0ffee00000000000000000000000000000000aa"))
OTHER_DOMAIN = Domain(1, DOMAIN.verifying_contract)
MODEL_ID = sha256(b"a model package")
IMAGE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
IMAGE_PARTS = parts_of(IMAGE)
TRACE_LEAVES = tuple(sha256(bytes([step])) for step in range(5))
STEPS = len(TRACE_LEAVES) - 1
TERMS = TaskTerms(head_start_ms=3_000, life_ms_max=30 * 60 * 1000)


@dataclass(frozen=True, slots=True)
class Key:
    """A key made from a name. :ivar secret: 32 bytes, known to everybody who reads this."""

    name: str
    secret: bytes
    address: bytes

    def sign(self, statement: Unsigned) -> bytes:
        """Sign whatever comes: tests need liars, so no guard stands here."""
        return sign_digest(self.secret, statement.digest)


def key(name: str) -> Key:
    secret = keccak256(b"cuckoo test key " + name.encode())
    return Key(name, secret, address_of(PrivateKey(secret).public_key))


STAKES_CAI = {"ann": 20_001, "bob": 40_000, "cid": 60_000, "dan": 80_000, "eve": 300_000}
MINERS = {name: key(name) for name in STAKES_CAI}
KEY_OF = {miner.address: miner for miner in MINERS.values()}
COORDINATOR = key("coordinator")
STRANGER = key("stranger")


def snapshot() -> Snapshot:
    return Snapshot.of((MINERS[name].address, stake * WEI_PER_CAI) for name, stake in STAKES_CAI.items())


OLD_BLOCK, NEW_BLOCK, BEACON_BLOCK = 1_000, 700_000, 800_000
"""Blocks in which nodes were registered, and that of the dice."""


@functools.cache
def registrations() -> Registrations:
    """Everybody owns one node, but bob and eve, and cid and the coordinator, have one owner; ann is new."""
    owners = {"bob": "owner of eve", "cid": "owner of coordinator"}
    entries = [(node, NEW_BLOCK if name == "ann" else OLD_BLOCK) for name, node in MINERS.items()]
    return Registrations.of(
        (node.address, key(owners.get(node.name, f"owner of {node.name}")).address, block)
        for node, block in (*entries, (COORDINATOR, OLD_BLOCK))
    )


@functools.cache
def epoch_view(number: int = 7) -> EpochView:
    return EpochView(
        number=number,
        seed=keccak256(b"seed of epoch " + str(number).encode()),
        miners=snapshot(),
        coordinators=Snapshot.of([(COORDINATOR.address, 2_000_001 * WEI_PER_CAI)]),
        registrations=registrations(),
    )


EPOCH = epoch_view()


@functools.cache
def view() -> View:
    """A peer's knowledge after the deadline of `TASK`, whose work the dice have selected."""
    return View(DOMAIN, {6: epoch_view(6), 7: EPOCH}, TERMS, beacons={NOW_MS + 120_000: beacon()})


def changed(message: Any, **changes: Any) -> Any:
    """`message` with some fields replaced."""
    return dataclasses.replace(message, **changes)


def model_offer(price_wei: int = 2_500_000, kinds: Iterable[int] = tuple(WorkKind)) -> ModelOffer:
    return ModelOffer(MODEL_ID, tuple(WorkOffer(int(kind), (price_wei,), 900) for kind in kinds))


def offer(**changes: Any) -> Offer:
    made = Offer(
        sequence=3,
        issued_at_ms=NOW_MS,
        valid_until_ms=NOW_MS + 20_000,
        capacity=1,
        models=(model_offer(),),
    )
    return changed(made, **changes)


def everybody(miner: bytes) -> PassedOver:
    """The judge of a coordinator that passes over nobody."""
    del miner
    return PassedOver.ASSIGNED


def ranking_for(number: int, epoch: EpochView = EPOCH) -> tuple[RankedMiner, ...]:
    """The draw of a task of the coordinator, with the miner in its second place passed over."""
    seed = task_seed(epoch.seed, COORDINATOR.address, number)
    second = rank_for_task(epoch.miners, seed, everybody, 2)[1].miner

    def judge(miner: bytes) -> PassedOver:
        return PassedOver.NO_OFFER if miner == second else PassedOver.ASSIGNED

    return rank_for_task(epoch.miners, seed, judge, 3)


def work(
    units: int = STEPS, kind: WorkKind = WorkKind.TEXT_TO_IMAGE, width: int = 64, height: int = 64
) -> Work:
    return Work.image(kind, width, height, units)


def task_input(
    *, seed: int = 42, schedule_steps: int = STEPS, salt: bytes = sha256(b"salt"), source: bytes = b""
) -> TaskInput:
    return image_input(
        ImageNumbers(seed, 7_500, schedule_steps),
        ("a cuckoo in a clock, watercolour", "text"),
        salt,
        2,
        source,
    )


def announcement(number: int = 11, **changes: Any) -> TaskAnnouncement:
    made = TaskAnnouncement(
        coordinator=COORDINATOR.address,
        epoch=EPOCH.number,
        number=number,
        previous=sha256(b"the task before") if number else NO_TASK,
        model_id=MODEL_ID,
        work=work(),
        input_commitment=task_input().commitment(),
        price_micro_cai=2_500_000,
        upfront_micro_cai=0,
        announced_at_ms=NOW_MS,
        deadline_ms=NOW_MS + 120_000,
        ranking=ranking_for(number),
        multiaddrs=(bytes.fromhex("04c0000201060fa1"),),
    )
    return changed(made, **changes)


def sealed(signer: Key, message: Message, domain: Domain = DOMAIN) -> bytes:
    return seal(domain, message, signer.sign)


def resigned(signer: Key, message: Message) -> bytes:
    """The envelope of `message` under a second valid signature, as ECDSA with another nonce gives."""
    statement = unsigned(DOMAIN, message)
    nonce = 2
    x, y = PrivateKey(nonce.to_bytes(32, "big")).public_key.point()
    z, d = (int.from_bytes(number, "big") for number in (statement.digest, signer.secret))
    s = pow(nonce, -1, ORDER) * (z + x * d) % ORDER
    is_high = s > HALF_ORDER
    v = bytes([27 + ((y & 1) ^ is_high)])
    signature = x.to_bytes(32, "big") + (ORDER - s if is_high else s).to_bytes(32, "big") + v
    return Envelope(VERSION, statement.kind, statement.body, signature).encode()


def opened(signer: Key, message: Message) -> Statement[Any]:
    return open_statement(DOMAIN, sealed(signer, message), type(message))


TASK = opened(COORDINATOR, announcement())
FIRST_RANKED = KEY_OF[TASK.message.assigned[0]]
SECOND_RANKED = KEY_OF[TASK.message.assigned[1]]
PASSED_OVER = next(KEY_OF[place.miner] for place in TASK.message.ranking if place.passed_over)
NOT_DRAWN = next(miner for address, miner in KEY_OF.items() if address not in TASK.message.assigned)


def acceptance(**changes: Any) -> TaskAcceptance:
    return changed(TaskAcceptance(TASK.digest, 0), **changes)


def commitment(**changes: Any) -> ResultCommitment:
    made = ResultCommitment(
        task_id=TASK.digest,
        output_root=merkle_root(IMAGE_PARTS),
        output_bytes=len(IMAGE),
        output_hash=sha256(IMAGE),
        trace_root=merkle_root(TRACE_LEAVES),
        units_done=STEPS,
    )
    return changed(made, **changes)


def chunk(**changes: Any) -> ResultChunk:
    return changed(ResultChunk(TASK.digest, 0, ChunkKind.OUTPUT_PART, 0, STEPS, IMAGE_PARTS[0]), **changes)


COMMITTED = opened(FIRST_RANKED, commitment())
WORK = AuditedWork.of(TASK.message, COMMITTED)
BEACON_MS = NOW_MS + 140_000
AUDIT_TERMS = AuditTerms(origin_ms=BEACON_MS - 12_000 * BEACON_BLOCK)
"""Of a chain that has made a block every twelve seconds."""


def block(name: str, number: int = BEACON_BLOCK) -> BeaconBlock:
    """A block with a hash made from a name."""
    return BeaconBlock(number, keccak256(name.encode()), BEACON_MS)


def audit(beacon: BeaconBlock) -> AuditDraw:
    """What the dice say of the first ranked miner's work, if this is their block."""
    return draw_audit(EPOCH, WORK, beacon, AUDIT_TERMS)


@functools.cache
def beacon() -> BeaconBlock:
    """The first of many blocks that selects the work."""
    blocks = map(block, map(str, itertools.count()))
    return next(one for one in blocks if audit(one).is_selected)


AUDIT = audit(beacon())
AUDITORS = tuple(KEY_OF[address] for address, _ in AUDIT.auditors)
AUDITOR = AUDITORS[0]
AUDITED_STEP = AUDIT.auditors[0][1][0]


def checked(*steps: int) -> tuple[CheckedStep, ...]:
    return tuple(CheckedStep(step, sha256(bytes([step]))[:SKETCH_BYTES]) for step in steps)


def verdict(**changes: Any) -> AuditVerdict:
    made = AuditVerdict(
        task_id=TASK.digest,
        miner=FIRST_RANKED.address,
        commitment=COMMITTED.digest,
        verdict=Verdict.HONEST,
        reason=AuditReason.NONE,
        checked=checked(AUDITED_STEP),
        worst_excess_ppb=1_800,
        place=(),
        bundle=sha256(b"a bundle"),
    )
    return changed(made, **changes)


def next_announcement(**changes: Any) -> TaskAnnouncement:
    """The task after `TASK`, of the same chain."""
    made = announcement(TASK.message.number + 1, previous=TASK.digest)
    return changed(made, **changes)


MODEL_HEAD = ModelHead(scheduler_rule=SchedulerRule.ONE_STEP, channels=4, factor=8, steps_max=50)
"""The head beside `model_card`."""


def model_card(**changes: Any) -> ModelCard:
    """A card of a small model with a tokenizer."""
    card = ModelCard(
        format=CARD_FORMAT,
        name="small",
        family="StableDiffusionPipeline",
        licence="Apache-2.0",
        scheduler="DDIMScheduler",
        prng="sha256-counter-normal16/1",
        precision_class="A",
        work_kinds=(0, 1),
        sizes=((512, 512), (768, 512)),
        default_steps=20,
        steps_max=50,
        default_guidance_milli=7_500,
        guidance_milli_max=20_000,
        prompt_characters_max=1_000,
        prompt_bytes_max=4_000,
        prompt_tokens_max=77,
        request_files=(RequestFile("tokenizer/tokenizer.json", sha256(b"{}"), 2),),
    )
    return changed(card, **changes)  # type: ignore[no-any-return]


def messages() -> tuple[Message, ...]:
    """One valid message of each kind."""
    return (offer(), announcement(), acceptance(), commitment(), verdict(), chunk())


def broken_sequence() -> BrokenSequence:
    """Two announcements with consecutive numbers, the later of which follows another."""
    later = sealed(COORDINATOR, next_announcement(previous=sha256(b"another task")))
    return BrokenSequence(TASK.encoded, later)


def wrong_ranking() -> WrongRanking:
    """An announcement that puts the last of its ranking first."""
    return WrongRanking(sealed(COORDINATOR, announcement(ranking=ranking_for(11)[::-1])))


def false_part() -> FalsePart:
    """A part of an image with a byte changed, against the commitment to the image."""
    lie = chunk(payload=IMAGE_PARTS[0][:-1] + b"!")
    return FalsePart.of(sealed(FIRST_RANKED, lie), sealed(FIRST_RANKED, commitment()), IMAGE, 0)


def all_evidence() -> tuple[Evidence, ...]:
    """One piece of evidence of each fault."""
    from tests.protocol.traces import false_verdict, trace_evidence  # they are made of these builders

    return (evidence(), broken_sequence(), wrong_ranking(), false_part(), *trace_evidence(), false_verdict())


def evidence() -> TwoStatements:
    """Two commitments of one miner for one task."""
    lie = commitment(output_hash=sha256(b"another image"))
    return TwoStatements.pair(sealed(FIRST_RANKED, commitment()), sealed(FIRST_RANKED, lie))


def receipt(**statements: Statement[Any]) -> Receipt:
    made = Receipt(
        DOMAIN, EPOCH, TASK, opened(FIRST_RANKED, acceptance()), opened(FIRST_RANKED, commitment())
    )
    return changed(made, **statements)
