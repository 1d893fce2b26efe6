"""The file of a statement that a guard does not know: what is kept is read, anything else is one error."""

import json

import pytest

from node.signing.keys import Key
from node.signing.unknown_statement import (
    UNKNOWN_FILE,
    NoUnknownStatement,
    UnknownStatement,
    keep_unknown,
    read_unknown,
    require_none_unknown,
)
from protocol.errors import CuckooError, MustStop
from protocol.guard import TaskTimes
from protocol.messages import Kind, TaskAcceptance
from protocol.signature import sign_digest
from protocol.statement import Domain, open_statement, seal
from tests.protocol import builders

KEY = Key.of(b"\x01" * 32)
DOMAIN = Domain(31337, bytes(20))


def sealed(message):
    return seal(DOMAIN, message, lambda statement: sign_digest(KEY.secret, statement.digest))


ANNOUNCEMENT = builders.announcement(3)
TASK = open_statement(DOMAIN, sealed(ANNOUNCEMENT), type(ANNOUNCEMENT))
OFFER = UnknownStatement(DOMAIN, KEY.address, sealed(builders.offer()), b"")
ACCEPTANCE = UnknownStatement(DOMAIN, KEY.address, sealed(TaskAcceptance(TASK.digest, 0)), TASK.encoded)


@pytest.mark.parametrize("unknown", [OFFER, ACCEPTANCE])
def test_what_is_kept_is_read(tmp_path, unknown):
    path = keep_unknown(tmp_path, unknown)
    assert path == tmp_path / UNKNOWN_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_unknown(path) == unknown


def test_what_it_says(tmp_path):
    statement, times = OFFER.opened()
    assert (statement.kind, times) == (Kind.OFFER, None)
    statement, times = ACCEPTANCE.opened()
    assert statement.kind is Kind.TASK_ACCEPTANCE
    assert times == TaskTimes(ANNOUNCEMENT.announced_at_ms, ANNOUNCEMENT.deadline_ms)


@pytest.mark.parametrize(
    "wrong",
    [
        UnknownStatement(DOMAIN, bytes(20), OFFER.statement, b""),
        UnknownStatement(Domain(1, bytes(20)), KEY.address, OFFER.statement, b""),
        UnknownStatement(DOMAIN, KEY.address, b"\xff", b""),
        UnknownStatement(DOMAIN, KEY.address, sealed(TaskAcceptance(bytes(32), 0)), TASK.encoded),
        UnknownStatement(DOMAIN, KEY.address, ACCEPTANCE.statement, OFFER.statement),
    ],
)
def test_a_file_that_lies_is_not_believed(wrong):
    with pytest.raises(CuckooError):
        wrong.opened()


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"signer": 1}'])
def test_a_file_of_something_else(tmp_path, content):
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(NoUnknownStatement) as refused:
        read_unknown(file)
    assert str(refused.value) == f"{file} holds no statement that a node has heard"


@pytest.mark.parametrize("change", [{"signer": "0x01"}, {"chain_id": "1"}, {"statement": 5}, {"task": "zz"}])
def test_a_field_of_something_else(tmp_path, change):
    path = keep_unknown(tmp_path, OFFER)
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    with pytest.raises(NoUnknownStatement):
        read_unknown(path)


def test_no_file_and_a_long_one(tmp_path):
    with pytest.raises(NoUnknownStatement) as refused:
        read_unknown(tmp_path / "none")
    assert str(refused.value) == f"{tmp_path / 'none'} cannot be read: No such file or directory"
    (tmp_path / "long").write_bytes(bytes((2 << 20) + 1))
    with pytest.raises(NoUnknownStatement) as refused:
        read_unknown(tmp_path / "long")
    assert str(refused.value) == f"{tmp_path / 'long'} is longer than 2097152 bytes"


def test_while_it_lies_there_the_node_does_not_start(tmp_path):
    require_none_unknown(tmp_path)
    path = keep_unknown(tmp_path, OFFER)
    with pytest.raises(MustStop) as stopped:
        require_none_unknown(tmp_path)
    assert str(stopped.value) == (
        f"{path}: this node's key has signed a statement that this node's guard does not know, so the key "
        "is or was in use elsewhere, or the guard is an old copy. Find that other node and stop it. When "
        f"no other node runs with this key: cuckoo-peer guard adopt {path}"
    )
