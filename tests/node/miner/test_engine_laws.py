"""The laws of the miner's engine, under any sequence of events: good, late, out of order, or garbage."""

from hypothesis import given, settings
from hypothesis import strategies as st

from node.miner.actions import CancelJob, CheckCredit, CloseStream, Dial, Finished, KeepTrace, Send, StartJob
from node.miner.followed import FOLLOWED_MAX, FOLLOWED_PER_SLOT
from protocol.messages import DeclineKind, ReplyKind, ResultChunk
from protocol.pay import PaySchedule
from protocol.work import Work, WorkKind
from tests.node.miner.engine_world import (
    COORDINATORS,
    MINER,
    OTHERS,
    PNG,
    TERMS,
    UNITS,
    World,
    announce,
    decoded,
    input_of,
    reply,
    voucher,
)

CAPACITY = 2
SOURCE = PNG.ljust(99)
EDIT = input_of(WorkKind.IMAGE_TO_IMAGE, SOURCE)
TASKS = [
    *(announce(number, rank=number % 3, price=1_000 * (number % 2)) for number in range(8)),
    *(announce(number, coordinator=COORDINATORS[1]) for number in range(2)),
    announce(8, work=Work.image(WorkKind.IMAGE_TO_IMAGE, 32, 32, UNITS), task_input=EDIT),
]
PAYLOADS = st.one_of(
    st.sampled_from(
        [
            reply(ReplyKind.INPUT, input_of().encode()),
            reply(ReplyKind.INPUT, EDIT.encode()),
            reply(ReplyKind.SOURCE_PART, SOURCE),
            reply(ReplyKind.NOT_NEEDED, reason="the task is delivered"),
            reply(ReplyKind.RECEIVED),
        ]
    ),
    st.integers(0, 8).map(lambda eighths: voucher(eighths * 10**15 // 8)),
    st.binary(max_size=40),
)
CHOICE = st.one_of(st.integers(0, 2), st.integers(0, len(TASKS) - 1))
ANY = st.one_of(
    st.tuples(st.just("heard"), CHOICE),
    st.tuples(st.just("heard_result"), CHOICE, st.booleans()),
    st.tuples(st.just("called"), CHOICE, st.booleans()),
    st.tuples(st.just("credit"), CHOICE, st.sampled_from([None, None, None, "no credit"])),
    st.tuples(st.just("opened"), CHOICE),
    st.tuples(st.just("dial_failed"), CHOICE),
    st.tuples(st.just("payload"), st.integers(0, 3), PAYLOADS),
    st.tuples(st.just("lost"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("progress"), CHOICE, st.integers(-1, UNITS + 2)),
    st.tuples(st.just("preview"), CHOICE, st.integers(-1, UNITS + 2), st.binary(max_size=4)),
    st.tuples(st.just("finished"), CHOICE, st.integers(UNITS - 1, UNITS), st.binary(max_size=9)),
    st.tuples(st.just("failed"), CHOICE, st.sampled_from(list(DeclineKind))),
    st.tuples(st.just("trace"), CHOICE, st.sampled_from(["", "", "disk full"])),
    st.tuples(st.just("policy"), st.sampled_from(["", "on battery"])),
    st.tuples(st.just("wait"), st.sampled_from([1, 250, 3_000, 20_000])),
    st.tuples(st.just("set_clock"), st.sampled_from([-3_600_000, -500, 500, 3_600_000])),
    st.tuples(st.just("restart")),
)


class Watch:
    """An engine whose every action is looked at."""

    def __init__(self):
        self.world = World(capacity=CAPACITY)
        self.open = []
        self.tasks_of = {}
        self.running = set()
        self.dialled = []
        self.checks = []
        self.told, self.given = set(), set()
        self.by_id = {task.digest: task for task in TASKS}
        self.traces = []
        self.engine = self.world.engine

    def happen(self, event):
        name, *what = event
        self.check(getattr(self, name)(*what))

    def sensible(self):
        """What may well happen next, as a good coordinator, a working machine and a clock would have it."""
        found = [("heard", choice) for choice in range(len(TASKS)) if choice not in self.told][:2]
        found += [("wait", 250), ("wait", 3_000)]
        found += [("credit", TASKS.index(self.by_id[task_id]), None) for task_id in self.checks[:1]] * 9
        found += [("opened", 0)] * 9 * bool(self.dialled) + [("trace", 0, "")] * 9 * bool(self.traces)
        for back in range(min(2, len(self.open))):
            task = self.tasks_of[self.stream(back)]
            task_input = EDIT if task.message.work.kind else input_of()
            due_wei = PaySchedule.of_task(task.message).due_wei(self.world.shown(self.stream(back)))
            if self.stream(back) not in self.given:
                found += [("payload", back, reply(ReplyKind.INPUT, task_input.encode()))] * 4
            found += [("payload", back, voucher(due_wei))] * 6 * (due_wei > 0)
            found += [("payload", back, reply(ReplyKind.RECEIVED))] * bool(
                self.world.commitment(self.stream(back))
            )
            found += [("lost", back, False)]
        for task_id in self.running:
            choice = TASKS.index(self.by_id[task_id])
            found += [("progress", choice, UNITS // 2), ("finished", choice, UNITS, b"output")] * 4
        return found

    def heard(self, choice):
        self.told.add(choice)
        return self.engine.heard(TASKS[choice], self.world.now_ms)

    def heard_result(self, choice, others):
        return self.engine.heard_result(TASKS[choice].digest, OTHERS[0].address if others else MINER.address)

    def called(self, choice, rightly):
        caller = TASKS[choice].message.coordinator if rightly else OTHERS[0].address
        return self.engine.called(TASKS[choice].digest, caller, self.world.now_ms)

    def credit(self, choice, reason):
        self.checks = [task_id for task_id in self.checks if task_id != TASKS[choice].digest]
        return self.engine.credit(TASKS[choice].digest, reason, self.world.now_ms)

    def opened(self, choice):
        """Mostly of a task that was dialled, else of any."""
        task = self.dialled.pop() if self.dialled else TASKS[choice]
        self.world.streams += 1
        self.open.append(self.world.streams)
        self.tasks_of[self.world.streams] = task
        return self.engine.stream_opened(task.digest, self.world.streams, self.world.now_ms)

    def dial_failed(self, choice):
        return self.engine.dial_failed(TASKS[choice].digest, "nobody answers", self.world.now_ms)

    def payload(self, back, payload):
        self.given.add(self.stream(back))
        return self.engine.stream_payload(self.stream(back), payload, self.world.now_ms)

    def lost(self, back, refused):
        return self.engine.stream_lost(self.stream(back), "gone", self.world.now_ms, refused=refused)

    def progress(self, choice, units):
        return self.engine.job_progress(TASKS[choice].digest, units, self.world.now_ms)

    def preview(self, choice, units, png):
        return self.engine.job_preview(TASKS[choice].digest, units, png, self.world.now_ms)

    def finished(self, choice, units, output):
        """Mostly of a task that is worked on, else of any."""
        task_id = next(iter(self.running), TASKS[choice].digest)
        self.running.discard(task_id)
        return self.engine.job_finished(task_id, Finished(output, units, bytes(32)))

    def failed(self, choice, kind):
        self.running.discard(TASKS[choice].digest)
        return self.engine.job_failed(TASKS[choice].digest, kind, "out of memory")

    def trace(self, choice, error):
        task_id = self.traces.pop() if self.traces else TASKS[choice].digest
        return self.engine.trace_kept(task_id, self.world.now_ms, error)

    def policy(self, paused):
        self.engine.policy(paused)
        return []

    def wait(self, ms):
        self.world.now_ms += ms
        return self.engine.tick(self.world.now_ms)

    def set_clock(self, by_ms):
        self.world.ahead_ms += by_ms
        return []

    def restart(self):
        """The process is gone, with all that ran in it."""
        self.world.restart()
        self.engine = self.world.engine
        self.told.clear()
        self.running.clear()
        for known in (self.open, self.dialled, self.checks, self.traces):
            known.clear()
        return []

    def stream(self, back):
        return self.open[-1 - back] if back < len(self.open) else 0

    def check(self, actions):
        self.world.note(actions)
        for action in actions:
            match action:
                case StartJob(task=task):
                    assert task.digest not in self.running
                    self.running.add(task.digest)
                    assert len(self.running) <= CAPACITY
                case CancelJob(task_id=task_id):
                    self.running.discard(task_id)
                case CloseStream(stream_id=stream_id):
                    self.open = [one for one in self.open if one != stream_id]
                case Send(stream_id=stream_id, payload=payload):
                    self.check_sent(self.tasks_of[stream_id], decoded(payload))
                case CheckCredit(task_id=task_id):
                    self.checks.append(task_id)
                case KeepTrace(task=task):
                    assert task.digest not in self.running
                    self.traces.append(task.digest)
                case Dial(task=task):
                    assert self.world.ahead_ms or task.message.deadline_ms > self.world.now_ms
                    self.dialled.append(task)
                case _:
                    pass
        self.check_bounds()

    def check_sent(self, task, message):
        if isinstance(message, ResultChunk):
            schedule = PaySchedule.of_task(task.message)
            paid_wei = self.world.pay.claimed_wei(task.digest)
            assert message.units <= schedule.unit_limit(paid_wei)

    def check_bounds(self):
        snapshot = self.engine.snapshot()
        assert snapshot.followed <= FOLLOWED_MAX
        assert snapshot.jobs <= CAPACITY
        assert snapshot.jobs == len(self.running)
        assert (
            snapshot.working + snapshot.committed + snapshot.accepted + snapshot.waiting == snapshot.followed
        )
        wake_ms = self.engine.wake_at_ms()
        assert (wake_ms is None) == (snapshot.followed == 0)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_whatever_happens_nothing_is_raised_and_no_bound_is_passed(data):
    watch = Watch()
    for _ in range(data.draw(st.integers(30, 90))):
        odd = data.draw(st.integers(0, 19)) == 19
        watch.happen(data.draw(ANY if odd else st.sampled_from(watch.sensible())))
    # Whatever the clock says: no task is followed longer than tasks live.
    watch.world.wait(TERMS.life_ms_max)
    assert watch.engine.snapshot().followed == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(PAYLOADS, st.just(None)), max_size=30))
def test_whatever_a_coordinator_says_to_a_miner_at_work(payloads):
    watch = Watch()
    for name, *what in (("heard", 1), ("credit", 1, None), ("called", 1, True), ("opened", 1)):
        watch.happen((name, *what))
    for units, payload in enumerate(payloads):
        if payload is None:
            watch.happen(("progress", 1, units))
        else:
            watch.happen(("payload", 0, payload))
    watch.happen(("wait", 200_000))
    assert watch.world.engine.snapshot().followed == 0


def test_the_tasks_of_one_coordinator_are_fewer_than_all():
    assert FOLLOWED_PER_SLOT * CAPACITY <= FOLLOWED_MAX // 2
