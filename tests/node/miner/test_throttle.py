"""A throttle by the hours: the miner pauses, its workers rest in a long pause, and come back."""

from node.inference.pool.tickets import Counts
from node.miner import throttle as subject
from node.miner.machine_load import MachineLoad
from node.miner.throttle import Throttle
from node.miner.work_policy import FREE_MEMORY_AFTER_MS, WorkPolicy


class Monitor:
    """Reads the hour that it is told."""

    def __init__(self, hour):
        self.hour, self.working = hour, None

    def read(self, *, working):
        self.working = working
        return MachineLoad(self.hour)

    def temperatures(self):
        return {"cpu": "50 °C"}


class Pool:
    """Notes whether it rests."""

    def __init__(self):
        self.said, self.jobs_running = [], 1

    def statistics(self):
        return Counts(jobs_running=self.jobs_running).snapshot()

    def rest(self):
        self.said.append("rest")

    def wake(self):
        self.said.append("wake")


async def test_hours_pause_it_and_a_long_pause_frees_memory(monkeypatch):
    monitor, pool, now = Monitor(12), Pool(), [0]
    monkeypatch.setattr(subject, "steady_ms", lambda: now[0])
    throttle = Throttle(WorkPolicy((22, 7)), monitor)
    assert throttle.pause_reason == ""
    await throttle.update(pool)
    assert (throttle.pause_reason, monitor.working) == ("outside its hours", True)
    assert throttle.temperatures == {"cpu": "50 °C"}
    now[0] = FREE_MEMORY_AFTER_MS
    pool.jobs_running = 0
    await throttle.update(pool)
    assert monitor.working is False
    monitor.hour = 23
    await throttle.update(pool)
    assert throttle.pause_reason == ""
    assert pool.said == ["wake", "rest", "wake"]
