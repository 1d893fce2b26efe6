"""A node moves whole, also after it was killed in the middle of a write; the old place stays down."""

import io
import json
import signal
import subprocess
import sys
import tarfile

import pytest

from node.commands.moving import CannotMove, export_node, import_node
from node.commands.node import export_, import_
from node.coordinator.journal_file import JOURNAL_FILE
from node.pay.earnings import EARNINGS_FILE, read_earnings
from node.signing.guard import GUARD_FILE, GuardUnavailable, MustNotSign, open_guard
from node.signing.keys import SCRYPT_N_LIGHT, open_keystore
from node.signing.node_key import create_node_key
from node.system.lifetime import KEY_FILE
from node.system.moved import MOVED_FILE
from protocol.errors import MustStop
from protocol.guard import TaskTimes
from protocol.messages import TaskAcceptance
from protocol.statement import Domain, unsigned
from tests.limits import CHILD_TIMEOUT_S
from tests.node.pay.builders import COORDINATOR, DOMAIN, MINER, open_ledger

TIMES = TaskTimes(1, 2)

WORK = """
import sys
from pathlib import Path
from node.pay.earnings import EARNINGS_FILE, open_earnings
from node.coordinator.journal_file import JOURNAL_FILE
from node.signing.guard import GUARD_FILE, open_guard
from protocol.guard import TaskTimes
from protocol.messages import TaskAcceptance
from protocol.statement import Domain, unsigned
from tests.node.pay.builders import COORDINATOR, DOMAIN, MINER, open_ledger, signed

folder, number = Path(sys.argv[1]), 0
with (
    open_guard(folder / GUARD_FILE, COORDINATOR) as guard,
    open_earnings(folder / EARNINGS_FILE, MINER.address, DOMAIN) as earnings,
    open_ledger(folder / JOURNAL_FILE) as ledger,
):
    while True:
        number += 1
        task = number.to_bytes(32, "big")
        guard.sign(unsigned(Domain(31337, bytes(20)), TaskAcceptance(task, number % 3)), TaskTimes(1, 2))
        ledger.promise(MINER.address, 7 * number)
        earnings.take(COORDINATOR.address, task, signed(7, 7 * number))
        print(number, flush=True)
"""


def acceptance(number, rank):
    return unsigned(Domain(31337, bytes(20)), TaskAcceptance(number.to_bytes(32, "big"), rank))


@pytest.fixture
def old(tmp_path):
    """A node that was killed in the middle of its writes, and how often it had said that it was done."""
    folder = tmp_path / "old"
    create_node_key(folder, b"password", secret=COORDINATOR.secret, scrypt_n=SCRYPT_N_LIGHT)
    for name in ("api-token", "traces/aa.trace", "traces/aa.trace.partial", "evidence/equivocation-00.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def work_and_die(folder, turns=40):
    process = subprocess.Popen([sys.executable, "-c", WORK, str(folder)], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if int(line) >= turns:
            process.send_signal(signal.SIGKILL)
            break
    rest = process.stdout.read().split()
    process.stdout.close()
    assert process.wait(CHILD_TIMEOUT_S) == -signal.SIGKILL
    return max([turns, *map(int, rest)])


@pytest.mark.process
def test_vouchers_and_promises_to_the_wei_after_kill_9_in_mid_write(old, tmp_path):
    done = work_and_die(old)
    new, file = tmp_path / "new", tmp_path / "node.tar"
    export_node(old, file)
    import_node(file, new)
    (account,) = read_earnings(new / EARNINGS_FILE, MINER.address, DOMAIN)
    assert account.best.amount_wei in (7 * done, 7 * done + 7)
    with open_ledger(new / JOURNAL_FILE) as ledger:
        assert ledger.entry(MINER.address).promised_wei in (7 * done, 7 * done + 7)
        assert ledger.entry(MINER.address).promised_wei >= account.best.amount_wei
    with open_guard(new / GUARD_FILE, open_keystore(new / KEY_FILE, b"password")) as guard:
        for number in range(1, done + 1):
            guard.sign(acceptance(number, number % 3), TIMES)
            with pytest.raises(MustNotSign):
                guard.sign(acceptance(number, 3), TIMES)


def test_all_of_it_moves_and_the_old_place_stays_down(old, tmp_path, capsys):
    new, file = tmp_path / "new", tmp_path / "node.tar"
    export_(old, file)
    import_(file, new)
    assert capsys.readouterr().out == (
        f"written: 5 files into {file}; the node in {old} does not start again\n"
        f"read: 5 files into {new}; start the node there, and delete {file}\n"
    )
    assert file.stat().st_mode & 0o777 == 0o600
    found = {path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file()}
    assert found == {
        KEY_FILE,
        GUARD_FILE,
        "api-token",
        "traces/aa.trace",
        "evidence/equivocation-00.json",
    }
    assert {path.stat().st_mode & 0o077 for path in new.rglob("*")} == {0}
    assert (new / "traces" / "aa.trace").read_bytes() == b"traces/aa.trace"
    assert not (new / MOVED_FILE).exists()
    with open_guard(new / GUARD_FILE, COORDINATOR) as guard:
        assert guard.first_epoch(7) == 0
    with pytest.raises(MustStop) as stopped, open_guard(old / GUARD_FILE, COORDINATOR):
        pass
    assert str(stopped.value) == (
        f"this node has moved: {old / MOVED_FILE} says into which file it was exported. Start it where "
        "that file was imported, and here never again: two nodes with one key lose the whole stake. Only "
        f"if it was never imported anywhere, nor will be: remove {old / MOVED_FILE} and that file"
    )
    assert json.loads((old / MOVED_FILE).read_text()) == {"exported_to": str(file)}


def test_an_export_may_be_repeated(old, tmp_path):
    export_node(old, tmp_path / "one.tar")
    export_node(old, tmp_path / "two.tar")
    import_node(tmp_path / "two.tar", tmp_path / "new")


def test_a_running_node_is_left_alone(old, tmp_path):
    with open_guard(old / GUARD_FILE, COORDINATOR), pytest.raises(GuardUnavailable, match="held"):
        export_node(old, tmp_path / "node.tar")
    assert not (old / MOVED_FILE).exists()
    assert not (tmp_path / "node.tar").exists()


def test_what_cannot_be_exported(old, tmp_path):
    with pytest.raises(CannotMove) as refused:
        export_node(tmp_path / "none", tmp_path / "node.tar")
    assert (
        str(refused.value) == f"there is no {KEY_FILE} in {tmp_path / 'none'}: that is not a node to be moved"
    )
    (tmp_path / "there").write_text("")
    with pytest.raises(CannotMove) as refused:
        export_node(old, tmp_path / "there")
    assert str(refused.value) == f"{tmp_path / 'there'} exists already"
    (old / EARNINGS_FILE).write_bytes(b"no database" * 1_000)
    with pytest.raises(CannotMove, match="cannot be exported: file is not a database"):
        export_node(old, tmp_path / "node.tar")
    assert not (old / MOVED_FILE).exists()


def test_a_directory_in_use_is_not_written_into(old, tmp_path):
    export_node(old, tmp_path / "node.tar")
    with pytest.raises(CannotMove) as refused:
        import_node(tmp_path / "node.tar", old)
    assert str(refused.value) == f"{old} exists already and is not empty"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_a_file_that_was_cut_is_refused_whole(old, tmp_path, share):
    file, new = tmp_path / "node.tar", tmp_path / "new"
    export_node(old, file)
    content = file.read_bytes().rstrip(b"\0")
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CannotMove):
        import_node(file, new)
    assert not new.exists()
    assert not new.with_name("new.partial").exists()


def test_a_byte_that_was_changed_is_noticed(old, tmp_path):
    file, new = tmp_path / "node.tar", tmp_path / "new"
    export_node(old, file)
    content = file.read_bytes()
    where = content.index(b"traces/aa.trace", content.index(b"traces/aa.trace") + 1)
    file.write_bytes(content[:where] + b"T" + content[where + 1 :])
    with pytest.raises(CannotMove):
        import_node(file, new)
    assert not new.exists()


def entry(name, content=b"x", **changes):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in changes.items():
        setattr(member, key, value)
    return member, io.BytesIO(content)


@pytest.mark.parametrize(
    "made",
    [
        entry("../escaped"),
        entry("/tmp/escaped"),
        entry("traces/../../escaped"),
        entry("traces/.hidden"),
        entry("moved.json"),
        entry("control.sock"),
        entry(KEY_FILE, b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        entry(KEY_FILE, b"", type=tarfile.LNKTYPE, linkname=GUARD_FILE),
        entry("traces", b"", type=tarfile.DIRTYPE),
        entry("manifest.json", b"{}"),
        entry("manifest.json", b"[" * 100_000),
        entry("manifest.json", b'{"format": "cuckoo-node", "version": 1, "files": {}}'),
    ],
)
def test_a_file_of_something_else_writes_nothing(tmp_path, made):
    with tarfile.open(tmp_path / "node.tar", "w") as archive:
        archive.addfile(*made)
    with pytest.raises(CannotMove):
        import_node(tmp_path / "node.tar", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "escaped").exists()
