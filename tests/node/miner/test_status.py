"""A miner's status: written whole, read by a command, and honest about its age."""

import pytest

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


def written(folder, paused=""):
    pool = Counts(workers_ready=1, jobs_finished=5)
    sections = {
        "queue": {"running": 1, "waiting": 0},
        "temperatures": {"gpu 0": "61 °C"},
        "earnings": {"promised": "1.5 CAI"},
        "traces": {"kept": 5},
    }
    write_status(folder, 1_000_000, paused, {"icons": 700}, pool.snapshot(), sections)
    return read_status(folder)


def test_lines_for_people(tmp_path):
    assert describe(written(tmp_path), 1_003_000) == [
        "working, as of 3 s ago",
        "icons: 700 ms an image",
        "inference: workers_ready 1, jobs_finished 5",
        "queue: running 1",
        "temperatures: gpu 0 61 °C",
        "earnings: promised 1.5 CAI",
        "traces: kept 5",
    ]


def test_paused_and_stale(tmp_path):
    assert describe(written(tmp_path, "outside its hours"), 1_000_000)[0].startswith(
        "paused: outside its hours"
    )
    assert describe(written(tmp_path), 1_000_001 + STALE_MS)[0].startswith("not running, or stuck")


def test_the_command(tmp_path, capsys):
    written(tmp_path)
    miner_cli.status(tmp_path)
    assert "icons: 700 ms an image" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b" " * (STATUS_BYTES_MAX + 1)])
def test_no_status(tmp_path, content):
    if content is not None:
        (tmp_path / STATUS_FILE).write_bytes(content)
    with pytest.raises(NoStatus):
        read_status(tmp_path)


def test_only_its_owner_may_read_it(tmp_path):
    written(tmp_path)
    assert (tmp_path / STATUS_FILE).stat().st_mode & 0o077 == 0
