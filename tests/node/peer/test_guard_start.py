"""Before the first signature: a registered key without its history is a reason to stop."""

import pytest

from node.peer.guard_start import require_guard
from node.signing.guard import GUARD_FILE, GuardUnavailable, make_guard, open_guard
from node.signing.keys import Key
from node.signing.unknown_statement import UNKNOWN_FILE
from protocol.errors import LocalError, MustStop

KEY = Key.of(b"\x01" * 32)


async def known(address):
    return True


async def unknown(address):
    return False


async def unreachable(address):
    raise LocalError("the chain does not answer")


async def test_with_a_guard_the_chain_is_not_asked(tmp_path):
    make_guard(tmp_path / GUARD_FILE, KEY.address)
    await require_guard(tmp_path, KEY, unreachable)


async def test_a_new_key_gets_its_guard(tmp_path):
    await require_guard(tmp_path, KEY, unknown)
    with open_guard(tmp_path / GUARD_FILE, KEY) as guard:
        assert guard.first_epoch(7) == 0


@pytest.mark.parametrize("other", [False, True])
async def test_a_key_that_the_chain_knows_gets_none(tmp_path, other):
    path = tmp_path / GUARD_FILE
    missing = f"there is no guard at {path}"
    if other:
        make_guard(path, bytes(20))
        missing = f"the guard at {path} was not made for 0x{KEY.address.hex()}"
    with pytest.raises(MustStop) as stopped:
        await require_guard(tmp_path, KEY, known)
    assert str(stopped.value) == (
        f"{missing}, and the chain knows 0x{KEY.address.hex()}: without the history of what it has signed, "
        "this key could contradict itself, which costs the whole stake. Put the file back from where the "
        f"node ran last, or take an exported history: cuckoo-peer guard import {tmp_path} FILE. If it is "
        "lost for good and no other node runs with this key, take that upon yourself: cuckoo-peer guard "
        f"init {tmp_path} --never-signed"
    )
    assert path.exists() is other


async def test_a_chain_that_does_not_answer_makes_no_guard(tmp_path):
    with pytest.raises(LocalError, match="does not answer"):
        await require_guard(tmp_path, KEY, unreachable)
    assert not (tmp_path / GUARD_FILE).exists()


async def test_a_statement_to_be_looked_at_comes_first(tmp_path):
    make_guard(tmp_path / GUARD_FILE, KEY.address)
    (tmp_path / UNKNOWN_FILE).write_text("{}")
    with pytest.raises(MustStop, match="guard adopt"):
        await require_guard(tmp_path, KEY, known)


async def test_a_file_that_is_no_guard_is_left(tmp_path):
    (tmp_path / GUARD_FILE).write_bytes(b"something else" * 100)
    with pytest.raises(GuardUnavailable):
        await require_guard(tmp_path, KEY, unknown)
