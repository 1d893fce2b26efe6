"""Which workers a node gets: one for each device here, or those of a cluster."""

from dataclasses import replace

import pytest
import trio

from node.inference.backends import choose_backend
from node.inference.pool.pool import WORKERS_MAX
from node.inference.pool.process import LocalWorkers, Machine
from node.inference.ray.ray_workers import RayMissing, RayWorkers
from tests.node.inference.builders import embedded

PACKAGE = embedded()


async def test_without_the_extra_the_node_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RayMissing, match=r"pip install 'cuckoo-peer\[ray\]'"):
        await choose_backend([PACKAGE], [Machine()], ray_address="127.0.0.1:6379")


async def test_without_an_address_workers_are_here():
    machines = [Machine(device="cuda:0"), Machine(device="cuda:1")]
    backend, workers = await choose_backend([PACKAGE], machines)
    assert isinstance(backend, LocalWorkers)
    assert workers == 2
    assert (await choose_backend([PACKAGE], machines, workers=5))[1] == 5


def test_each_device_has_its_worker(monkeypatch):
    started = []

    async def start(command, environment):
        started.append(command[command.index("--device") + 1])

    monkeypatch.setattr("node.inference.pool.process.WorkerProcess.start", start)
    backend = LocalWorkers(Machine(device="cuda:0"), Machine(device="cuda:1"))
    for slot in (0, 1, 2, 1):
        trio.run(backend.start, [PACKAGE], slot)
    assert started == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]


async def test_with_an_address_they_are_there(monkeypatch):
    async def fitted(backend, packages):
        return replace(backend, resource="GPU"), 100

    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr(RayWorkers, "fitted", fitted)
    expected = RayWorkers("192.0.2.1:6379", Machine(threads=2), "/shared", "GPU")
    for workers, count in (3, 3), (0, WORKERS_MAX):
        assert await choose_backend(
            [PACKAGE],
            [Machine(threads=2)],
            workers=workers,
            ray_address="192.0.2.1:6379",
            ray_models="/shared",
        ) == (expected, count)


def test_a_machine_that_saves_power():
    saving = Machine(threads=4, device="cuda:1", memory_bytes=5).saving_power()
    assert saving == Machine(1, "cuda:1", 5, niceness=19, work_percent=50)


@pytest.mark.parametrize(
    "wrong", [{"threads": 0}, {"memory_bytes": -1}, {"niceness": 20}, {"niceness": -1}, {"work_percent": 0}]
)
def test_a_machine_with_wrong_numbers(wrong):
    with pytest.raises(ValueError, match="a worker needs"):
        Machine(**wrong)
