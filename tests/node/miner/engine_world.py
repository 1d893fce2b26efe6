"""What the tests of the miner's engine share: a coordinator's words, and a shell that only notes."""

from node.miner.actions import (
    Finished,
    KeepTrace,
    Send,
    TaskOver,
)
from node.miner.engine import MinerEngine
from node.miner.ports import AnyTask, MemoryPay, MemorySeal
from node.signing.keys import Key
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.hashing import sha256
from protocol.messages import (
    NO_TASK,
    ChunkKind,
    PublicInput,
    RankedMiner,
    ReplyKind,
    ResultChunk,
    ResultCommitment,
    SealedInput,
    Source,
    TaskAnnouncement,
    TaskDecline,
    TaskInput,
    TaskReply,
)
from protocol.pay import PaySchedule, SignedVoucher
from protocol.signature import sign_digest
from protocol.statement import Domain, open_statement, read_envelope, seal
from protocol.terms import TaskTerms
from protocol.work import ImageNumbers, SourceRole, Work, WorkKind

MINER = Key.of(b"\x02" * 32)
OTHERS = tuple(Key.of(bytes([number]) * 32) for number in (11, 12))
COORDINATORS = tuple(Key.of(bytes([number]) * 32) for number in range(1, 2)) + tuple(
    Key.of(bytes([number]) * 32) for number in range(21, 40)
)
COORDINATOR = COORDINATORS[0]
DOMAIN = Domain(31337, bytes(20))
TERMS = TaskTerms(head_start_ms=3_000, life_ms_max=120_000)
PATIENCE_MS = 2_500
START_MS = 1_000_000
LIFE_MS = 60_000
UNITS = 20
SLICE = UNITS // 8
PRICE_MICRO_CAI = 10_000
PRICE_WEI = PRICE_MICRO_CAI * WEI_PER_MICRO_CAI
OUTPUT = b"o" * (256 * 1024) + b"the last part"
NUMBERS = ImageNumbers(seed=7, guidance_milli=4_000, schedule_steps=UNITS)
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" + (32).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
"""The head of one of 32 x 32 pixels."""
SALT = b"\x05" * 32


def input_of(kind=WorkKind.TEXT_TO_IMAGE, source=b"", previews=0):
    numbers = NUMBERS if kind in {0, 1} else ImageNumbers(1, 1, 1)
    sources = (Source(SourceRole.IMAGE, len(source), sha256(source)),) if source else ()
    return TaskInput(PublicInput(numbers.encode(), sources), SealedInput(SALT, ("a red apple", ""), previews))


def announce(
    number=0,
    *,
    coordinator=COORDINATOR,
    rank=0,
    work=None,
    task_input=None,
    price=PRICE_MICRO_CAI,
    at_ms=START_MS,
    life_ms=LIFE_MS,
):
    """A task in which the miner has this rank."""
    others = [RankedMiner(key.address, 0) for key in OTHERS]
    message = TaskAnnouncement(
        coordinator=coordinator.address,
        epoch=1,
        number=number,
        previous=NO_TASK if not number else bytes(31) + b"\x01",
        model_id=b"\x07" * 32,
        work=work or Work.image(WorkKind.TEXT_TO_IMAGE, 32, 32, UNITS),
        input_commitment=(task_input or input_of()).commitment(),
        price_micro_cai=price,
        upfront_micro_cai=0,
        announced_at_ms=at_ms,
        deadline_ms=at_ms + life_ms,
        ranking=(*others[:rank], RankedMiner(MINER.address, 0), *others[rank:]),
        multiaddrs=(),
    )
    encoded = seal(DOMAIN, message, lambda unsigned: sign_digest(coordinator.secret, unsigned.digest))
    return open_statement(DOMAIN, encoded, TaskAnnouncement)


def reply(kind, payload=b"", reason=""):
    return TaskReply(kind, payload, reason).encode()


def voucher(task_wei):
    return reply(ReplyKind.VOUCHER, SignedVoucher.of(task_wei, task_wei, bytes(65)).encode())


class World:
    """One engine, and whoever is around it; what it asks for is noted, nothing is done by itself.

    :ivar log: all actions since the start, oldest first.
    """

    def __init__(self, *, capacity=1, terms=None, pay=None, sealing=None):
        self.now_ms = START_MS
        self.ahead_ms = 0
        self.pay = pay or MemoryPay()
        self.sealing = sealing or MemorySeal(DOMAIN, MINER.secret)
        self.capacity = capacity
        self.terms = terms or AnyTask(capacity)
        self.streams = 0
        self.log = []
        self.restart()

    def restart(self):
        """The process ends, and another begins with what is on disk: the guard and the vouchers."""
        self.engine = MinerEngine(
            MINER.address,
            seal=self.sealing,
            pay=self.pay,
            terms=self.terms,
            task_terms=TERMS,
            patience_ms=PATIENCE_MS,
            ahead_ms=lambda: self.ahead_ms,
        )

    def note(self, actions):
        self.log += actions
        return actions

    def heard(self, task):
        return self.note(self.engine.heard(task, self.now_ms))

    def credit(self, task, reason=None):
        return self.note(self.engine.credit(task.digest, reason, self.now_ms))

    def call(self, task, caller=None):
        return self.note(self.engine.called(task.digest, caller or task.message.coordinator, self.now_ms))

    def open(self, task):
        """The stream is open; returns its number and what was said on it first."""
        self.streams += 1
        return self.streams, self.note(self.engine.stream_opened(task.digest, self.streams, self.now_ms))

    def say(self, stream, payload):
        return self.note(self.engine.stream_payload(stream, payload, self.now_ms))

    def lose(self, stream, *, refused=False):
        return self.note(self.engine.stream_lost(stream, "gone", self.now_ms, refused=refused))

    def progress(self, task, units):
        return self.note(self.engine.job_progress(task.digest, units, self.now_ms))

    def finish(self, task, output=OUTPUT, units=UNITS):
        actions = self.note(self.engine.job_finished(task.digest, Finished(output, units, b"\x09" * 32)))
        if any(isinstance(action, KeepTrace) for action in actions):
            actions += self.note(self.engine.trace_kept(task.digest, self.now_ms))
        return actions

    def wait(self, ms):
        """Time passes, and the engine is woken when it asks to be."""
        until_ms, actions = self.now_ms + ms, []
        while (wake_ms := self.engine.wake_at_ms()) is not None and wake_ms <= until_ms:
            self.now_ms = max(self.now_ms, wake_ms)
            actions += self.note(self.engine.tick(self.now_ms))
            if self.engine.wake_at_ms() == wake_ms:
                raise AssertionError("it asks to be woken for nothing")
        self.now_ms = until_ms
        return actions

    # Whole stretches of a task's way

    def accepted(self, task):
        """Heard, trusted, dialled and accepted; returns the stream."""
        self.heard(task)
        self.credit(task)
        self.wait(task.message.announced_at_ms + 3_000 * 2 - self.now_ms if self.rank(task) else 0)
        return self.open(task)[0]

    def working(self, task, task_input=None):
        """The above, and the input; returns the stream."""
        stream = self.accepted(task)
        self.say(stream, reply(ReplyKind.INPUT, (task_input or input_of()).encode()))
        return stream

    def pay_all(self, task, stream):
        """The coordinator pays for all that falls due, until nothing more comes."""
        schedule = PaySchedule.of_task(task.message)
        paid_wei, actions = -1, []
        while (due_wei := schedule.due_wei(self.shown(stream))) > paid_wei:
            paid_wei = due_wei
            actions += self.say(stream, voucher(due_wei))
        return actions

    @staticmethod
    def rank(task):
        return task.message.assigned.index(MINER.address)

    def sent(self, stream):
        """What was sent on a stream, decoded."""
        return [
            decoded(action.payload)
            for action in self.log
            if isinstance(action, Send) and action.stream_id == stream
        ]

    def chunks(self, stream):
        return [
            (ChunkKind(one.chunk_kind).name, one.units)
            for one in self.sent(stream)
            if isinstance(one, ResultChunk)
        ]

    def shown(self, stream):
        return max((one.units for one in self.sent(stream) if isinstance(one, ResultChunk)), default=0)

    def output(self, stream):
        parts = [one for one in self.sent(stream) if isinstance(one, ResultChunk) and one.chunk_kind == 2]
        return b"".join(part.payload for part in parts)

    def commitment(self, stream):
        return next((one for one in self.sent(stream) if isinstance(one, ResultCommitment)), None)

    def decline(self, stream):
        """Kind and reason of the "no" on a stream."""
        (no,) = [one for one in self.sent(stream) if isinstance(one, TaskDecline)]
        return no.decline_kind, no.reason

    def over(self, task):
        """State and reason with which a task ended."""
        ends = [one for one in self.log if isinstance(one, TaskOver) and one.task_id == task.digest]
        return (ends[-1].state, ends[-1].reason) if ends else None


def decoded(payload):
    try:
        return read_envelope(payload)[1]
    except Exception:  # noqa: BLE001 - a decline is no statement
        return TaskDecline.decode(payload)


def kinds(actions):
    """Names of actions, for comparison."""
    return [type(action).__name__ for action in actions]
