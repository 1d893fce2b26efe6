"""Reasons why a node is not ready, a full disk among them."""

from pathlib import Path

import pytest
import trio

from node.system.readiness import FREE_BYTES_MIN, DiskSpace, Readiness, ReadinessStatus
from tests.limits import HANG_S

FOLDER = Path("data")


def test_ready_without_a_reason():
    readiness, reasons = Readiness(), {"clock": None, "disk_full": "no room"}
    readiness.register("clock", lambda: reasons["clock"])
    readiness.register("disk_full", lambda: reasons["disk_full"])
    assert readiness.status() == ReadinessStatus(ready=False, reasons={"disk_full": "no room"})
    reasons["disk_full"] = None
    assert readiness.status() == ReadinessStatus(ready=True, reasons={})


def test_a_name_is_given_once():
    readiness = Readiness()
    readiness.register("clock", lambda: None)
    with pytest.raises(ValueError, match=r"^there is a reason named clock already$"):
        readiness.register("clock", lambda: None)


async def test_a_disk_that_fills_up_and_has_room_again():
    free = []

    def ask(folder):
        assert folder == FOLDER
        return free.pop()

    disk = DiskSpace(FOLDER, ask)
    assert disk.reason() is None
    said = []
    for free_bytes in (FREE_BYTES_MIN, FREE_BYTES_MIN - 1, FREE_BYTES_MIN):
        free.append(free_bytes)
        await disk.look()
        said.append(disk.reason())
    assert said == [None, "63 MiB are free for the data directory; 64 are needed", None]


async def test_a_disk_that_does_not_answer__is_no_reason(tmp_path):
    disk = DiskSpace(tmp_path / "gone")
    disk.free_bytes = 0
    await disk.look()
    assert disk.reason() is None


async def test_the_real_disk_is_asked(tmp_path, nursery):
    disk = DiskSpace(tmp_path)
    nursery.start_soon(disk.run)
    with trio.fail_after(HANG_S):
        while disk.free_bytes is None:
            await trio.sleep(0.01)
    nursery.cancel_scope.cancel()
