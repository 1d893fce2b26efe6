"""Moving a key's history: what was signed on the one machine is not contradicted on the other."""

import json

import pytest

from node.commands.guard import adopt, export_, import_, init
from node.commands.key import new
from node.peer.own_statements import OwnStatements
from node.signing.guard import GUARD_FILE, MustNotSign, make_guard, open_guard
from node.signing.keys import SCRYPT_N_LIGHT, Key, create_keystore, keystore_address
from node.signing.unknown_statement import UNKNOWN_FILE, require_none_unknown
from node.system.clock import now_ms
from node.system.lifetime import KEY_FILE
from protocol.errors import CuckooError, LocalError
from protocol.guard import TaskTimes
from protocol.messages import TaskAcceptance
from protocol.signature import sign_digest
from protocol.statement import Domain, seal, unsigned
from tests.protocol import builders

KEY = Key.of(b"\x01" * 32)
DOMAIN = Domain(31337, bytes(20))
TASK = TaskTimes(1, 2)


def acceptance(rank):
    return unsigned(Domain(31337, bytes(20)), TaskAcceptance(b"\x07" * 32, rank))


@pytest.fixture
def history(tmp_path):
    old = tmp_path / "old"
    make_guard(old / GUARD_FILE, KEY.address)
    with open_guard(old / GUARD_FILE, KEY) as guard:
        guard.sign(acceptance(0), TASK)
    export_(old, tmp_path / "history.json")
    return tmp_path / "history.json"


def test_history_moves_with_the_key(history, tmp_path, capsys):
    import_(tmp_path / "new", history)
    assert "taken: 1 " in capsys.readouterr().out
    with open_guard(tmp_path / "new" / GUARD_FILE, KEY) as guard:
        guard.sign(acceptance(0), TASK)
        with pytest.raises(MustNotSign):
            guard.sign(acceptance(1), TASK)


def test_history_twice_is_taken_once(history, tmp_path, capsys):
    for _ in range(2):
        import_(tmp_path / "new", history)
    assert "taken: 0 " in capsys.readouterr().out


def test_history_that_contradicts_is_refused_whole(history, tmp_path):
    make_guard(tmp_path / "new" / GUARD_FILE, KEY.address)
    with open_guard(tmp_path / "new" / GUARD_FILE, KEY) as guard:
        guard.sign(acceptance(1), TASK)
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


def test_a_nodes_key_comes_with_its_guard_and_an_owners_does_not(tmp_path, capsys):
    password = tmp_path / "password"
    password.write_text("password")
    password.chmod(0o600)
    new(tmp_path / "node" / KEY_FILE, password_file=password, light=True)
    new(tmp_path / "owner" / "owner.json", password_file=password, light=True)
    address = keystore_address(tmp_path / "node" / KEY_FILE)
    assert capsys.readouterr().out.startswith(f"0x{address.hex()}\n")
    assert (tmp_path / "node" / GUARD_FILE).exists()
    assert not (tmp_path / "owner" / GUARD_FILE).exists()


@pytest.fixture
def node(tmp_path):
    """A data directory with a key, and without its guard."""
    folder = tmp_path / "node"
    create_keystore(folder / KEY_FILE, b"password", secret=KEY.secret, scrypt_n=SCRYPT_N_LIGHT)
    return folder


def test_an_empty_guard_is_made_only_for_who_takes_it_upon_himself(node, capsys):
    with pytest.raises(LocalError) as refused:
        init(node)
    assert str(refused.value) == (
        "an empty guard knows nothing of what this key has signed; if you know that nothing of it can be "
        "contradicted any more, and that no other node has this key, say so: --never-signed"
    )
    assert not (node / GUARD_FILE).exists()
    init(node, never_signed=True)
    assert capsys.readouterr().out == f"made: {node / GUARD_FILE} for 0x{KEY.address.hex()}, from now on\n"
    with open_guard(node / GUARD_FILE, KEY) as guard:
        assert guard.first_epoch(7) == 10
    with pytest.raises(LocalError, match="already"):
        init(node, never_signed=True)


@pytest.fixture
def halted(node, capsys):
    """A node that has heard an offer of its key which its guard does not know."""
    init(node, never_signed=True)
    capsys.readouterr()
    offer = builders.offer(sequence=now_ms() + 3_600_000)
    encoded = seal(DOMAIN, offer, lambda statement: sign_digest(KEY.secret, statement.digest))
    with open_guard(node / GUARD_FILE, KEY) as guard:
        own = OwnStatements(KEY.address, DOMAIN, guard, {}, node)
        own.hear(encoded)
        assert own.reason is not None
    return node, encoded


def test_the_way_back_that_the_node_names(halted, capsys):
    node, encoded = halted
    adopt(node / UNKNOWN_FILE, yes=True)
    assert capsys.readouterr().out == (
        f"an offer of 0x{KEY.address.hex()} comes from elsewhere. You have made sure that no other node "
        f"runs with this key\nadopted: an offer of 0x{KEY.address.hex()}; this node may be started again, "
        "and no other\n"
    )
    require_none_unknown(node)
    with open_guard(node / GUARD_FILE, KEY) as guard:
        own = OwnStatements(KEY.address, DOMAIN, guard, {}, node)
        own.hear(encoded)
        assert own.reason is None


def test_nothing_is_adopted_without_a_yes(halted, monkeypatch):
    node, _ = halted
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(LocalError, match="repeat the command with --yes"):
        adopt(node / UNKNOWN_FILE)
    assert (node / UNKNOWN_FILE).exists()


def test_a_running_node_adopts_nothing(halted):
    node, _ = halted
    with open_guard(node / GUARD_FILE, KEY), pytest.raises(LocalError, match="held"):
        adopt(node / UNKNOWN_FILE, yes=True)
    assert (node / UNKNOWN_FILE).exists()
