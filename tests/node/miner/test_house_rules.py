"""A miner that looks around: it pauses, its workers rest in a long pause, and come back."""

from node.inference.pool.tickets import Counts
from node.miner import house_rules as subject
from node.miner.guest import FREE_MEMORY_AFTER_MS, Rules, Surroundings
from node.miner.house_rules import House


class Watch:
    """Sees what it is told to."""

    def __init__(self, hour):
        self.hour, self.working = hour, None

    def look(self, *, working):
        self.working = working
        return Surroundings(self.hour)

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
    watch, pool, now = Watch(12), Pool(), [0]
    monkeypatch.setattr(subject, "now_ms", lambda: now[0])
    house = House(Rules((22, 7)), watch)
    assert house.paused == ""
    await house.look(pool)
    assert (house.paused, watch.working) == ("outside its hours", True)
    assert house.temperatures == {"cpu": "50 °C"}
    now[0] = FREE_MEMORY_AFTER_MS
    pool.jobs_running = 0
    await house.look(pool)
    assert watch.working is False
    watch.hour = 23
    await house.look(pool)
    assert house.paused == ""
    assert pool.said == ["wake", "rest", "wake"]
