"""A miner's status: written whole, read by a command, and honest about its age."""

from dataclasses import dataclass

import pytest
import trio

from node.commands import miner as miner_cli
from node.inference.pool.tickets import Counts
from node.miner.status import (
    STALE_MS,
    STATUS_BYTES_MAX,
    STATUS_FILE,
    NoStatus,
    describe,
    read_status,
    write_status,
)
from node.system.control import open_control
from node.system.events import EventBus
from node.system.observable import Observable
from node.system.readiness import Readiness


@dataclass(frozen=True)
class Role:
    paused: str
    tasks_followed: int
    image_ms: dict
    temperatures: dict


@dataclass(frozen=True)
class Money:
    earned_micro_cai: int
    coordinators: dict


def observable(paused=""):
    found, readiness = Observable(), Readiness()
    readiness.register("disk_full", lambda: "no room" if paused == "disk" else None)
    found.register("readiness", readiness.status)
    found.register("events", Counts)
    found.register("miner", lambda: Role(paused, 1, {"icons": 700}, {"gpu 0": "61 °C"}))
    found.register("inference", Counts(workers_ready=1, jobs_finished=5).snapshot)
    found.register("pay", lambda: Money(7, {b"\x01": Money(7, {})}))
    return found


def written(folder, paused=""):
    write_status(folder, 1_000_000, observable(paused).document())
    return read_status(folder, 2_000_000)


LINES = [
    "icons: 700 ms an image",
    "inference: workers_ready 1, jobs_finished 5",
    "miner: tasks_followed 1",
    "miner, temperatures: gpu 0 61 °C",
    "pay: earned_micro_cai 7",
    "pay, coordinators: nothing yet",
    "pay, coordinators, 0x01: earned_micro_cai 7",
]


def test_lines_for_people(tmp_path):
    assert describe(written(tmp_path), 1_003_000) == ["working, as of 3 s ago", *LINES]


def test_paused_stale_and_not_ready(tmp_path):
    assert describe(written(tmp_path, "outside its hours"), 1_000_000)[0] == (
        "paused: outside its hours, as of 0 s ago"
    )
    stale = describe(written(tmp_path, "disk"), 1_000_001 + STALE_MS)
    assert stale[:2] == ["not running, or stuck, as of 120 s ago", "not ready: no room"]


def test_the_command__reads_the_file_of_a_miner_that_is_down(tmp_path, capsys):
    written(tmp_path)
    miner_cli.status(tmp_path)
    assert capsys.readouterr().out.splitlines()[1:] == LINES


async def test_the_command__asks_a_miner_that_runs(tmp_path, capsys):
    written(tmp_path, "outside its hours")
    async with open_control(tmp_path, observable(), EventBus()):
        await trio.to_thread.run_sync(miner_cli.status, tmp_path)
    assert capsys.readouterr().out.splitlines() == ["working, as of 0 s ago", *LINES]


async def test_a_node_that_is_not_a_miner__has_no_miners_status(tmp_path):
    async with open_control(tmp_path, Observable(), EventBus()):
        with pytest.raises(NoStatus):
            await trio.to_thread.run_sync(read_status, tmp_path, 0)


@pytest.mark.parametrize(
    "content", [None, b"", b"[]", b"{}", b'{"written_at_ms": 1}', b" " * (STATUS_BYTES_MAX + 1)]
)
def test_no_status(tmp_path, content):
    if content is not None:
        (tmp_path / STATUS_FILE).write_bytes(content)
    with pytest.raises(NoStatus):
        read_status(tmp_path, 0)


def test_only_its_owner_may_read_it(tmp_path):
    written(tmp_path)
    assert (tmp_path / STATUS_FILE).stat().st_mode & 0o077 == 0
