"""What fits: judged by the largest work so far, and nothing is refused of which nothing is known."""

import pytest

from node.inference.worker.work_memory import WorkMemory
from tests.node.inference.builders import a_job

MODEL, OTHER = b"\x01" * 32, b"\x02" * 32


class Gauge:
    """:ivar free: bytes. :ivar peak: bytes of the next work."""

    def __init__(self, free=1000):
        self.free, self.peak, self.begun = free, None, 0

    def free_bytes(self):
        return self.free

    def begin(self):
        self.begun += 1

    def peak_bytes(self):
        return self.peak


def jobs(count, model_id=MODEL, **changes):
    return [a_job(model_id, job_id=str(number), **changes) for number in range(count)]


def experienced(peak, count=1, free=1000, **changes):
    gauge = Gauge(free)
    memory = WorkMemory(gauge)
    learn(memory, gauge, peak, count, **changes)
    return memory, gauge


def learn(memory, gauge, peak, count=1, **changes):
    gauge.peak = peak
    with memory.measured(jobs(count, **changes)):
        pass


def test_without_experience_all_fits():
    assert WorkMemory(Gauge(0)).fitting(jobs(8)) == 8
    memory, _ = experienced(5000, free=0)
    assert memory.fitting(jobs(8, OTHER)) == 8
    assert memory.fitting([]) == 0


@pytest.mark.parametrize(("free", "fitting"), [(1000, 8), (799, 7), (350, 3), (100, 1), (99, 0)])
def test_more_takes_its_multiple(free, fitting):
    memory, gauge = experienced(100)
    gauge.free = free
    assert memory.fitting(jobs(8)) == fitting


def test_larger_and_guided_images_are_more():
    memory, _ = experienced(100, guidance_milli=0)
    assert memory.needed_bytes(jobs(1, guidance_milli=0)) == 100
    assert memory.needed_bytes(jobs(1)) == 200
    assert memory.needed_bytes(jobs(1, width=64)) == 400


def test_less_is_taken_for_as_much_as_the_largest_so_far():
    memory, _ = experienced(400, count=4)
    assert memory.needed_bytes(jobs(1)) == 400


def test_the_largest_work_counts_and_of_the_same_the_worst():
    memory, gauge = experienced(400, count=4)
    learn(memory, gauge, 10_000)
    assert memory.needed_bytes(jobs(4)) == 400
    learn(memory, gauge, 300, count=4)
    assert memory.needed_bytes(jobs(4)) == 400
    learn(memory, gauge, 500, count=4)
    assert memory.needed_bytes(jobs(4)) == 500
    learn(memory, gauge, 800, count=8)
    assert memory.needed_bytes(jobs(8)) == 800


def test_a_device_that_tells_no_peak_teaches_nothing():
    memory, _ = experienced(None, free=0)
    assert memory.fitting(jobs(8)) == 8


def test_work_that_fails_teaches_nothing():
    gauge = Gauge(0)
    memory = WorkMemory(gauge)
    gauge.peak = 5000
    with pytest.raises(MemoryError), memory.measured(jobs(1)):
        raise MemoryError
    assert memory.fitting(jobs(1)) == 1
