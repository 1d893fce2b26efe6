"""Moving a key's history: what was signed on the one machine is not contradicted on the other."""

import json

import pytest

from node.commands.guard import export_, import_
from node.signing.guard import GUARD_FILE, MustNotSign, open_guard
from node.signing.keys import Key
from protocol.errors import CuckooError, LocalError
from protocol.messages import TaskAcceptance
from protocol.statement import Domain, unsigned

KEY = Key.of(b"\x01" * 32)


def acceptance(rank):
    return unsigned(Domain(31337, bytes(20)), TaskAcceptance(b"\x07" * 32, rank))


@pytest.fixture
def history(tmp_path):
    old = tmp_path / "old"
    with open_guard(old / GUARD_FILE, KEY) as guard:
        guard.sign(acceptance(0))
    export_(old, tmp_path / "history.json")
    return tmp_path / "history.json"


def test_history_moves_with_the_key(history, tmp_path, capsys):
    import_(tmp_path / "new", history)
    assert "taken: 1 " in capsys.readouterr().out
    with open_guard(tmp_path / "new" / GUARD_FILE, KEY) as guard:
        guard.sign(acceptance(0))
        with pytest.raises(MustNotSign):
            guard.sign(acceptance(1))


def test_history_twice_is_taken_once(history, tmp_path, capsys):
    for _ in range(2):
        import_(tmp_path / "new", history)
    assert "taken: 0 " in capsys.readouterr().out


def test_history_that_contradicts_is_refused_whole(history, tmp_path):
    with open_guard(tmp_path / "new" / GUARD_FILE, KEY) as guard:
        guard.sign(acceptance(1))
    with pytest.raises(CuckooError, match="signed here"):
        import_(tmp_path / "new", history)


def test_running_node_is_left_alone(history, tmp_path):
    with open_guard(tmp_path / "old" / GUARD_FILE, KEY):
        with pytest.raises(LocalError, match="held"):
            export_(tmp_path / "old", tmp_path / "other.json")
        with pytest.raises(LocalError, match="held"):
            import_(tmp_path / "old", history)


def test_nothing_is_overwritten_or_made_up(history, tmp_path):
    with pytest.raises(LocalError, match="exists already"):
        export_(tmp_path / "old", history)
    with pytest.raises(LocalError, match="nothing was ever signed"):
        export_(tmp_path / "empty", tmp_path / "other.json")
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, json.dumps({"data": 1}).encode()]
)
def test_file_that_is_no_history_is_a_clear_error(tmp_path, content):
    file = tmp_path / "history.json"
    file.write_bytes(content)
    with pytest.raises(CuckooError):
        import_(tmp_path / "new", file)
    with pytest.raises(LocalError):
        import_(tmp_path / "new", tmp_path / "missing.json")
