"""Before a node signs: is there the history of what its key has signed?

Is: the decision whether a guard may be made, and what to tell the operator if not.
Is not: the guard (`node/signing/guard`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from node.signing.guard import GuardMissing, make_guard, open_guard
from node.signing.guard_file import GUARD_FILE
from node.signing.keys import Key
from node.signing.unknown_statement import require_none_unknown
from protocol.errors import MustStop


async def require_guard(data_dir: Path, key: Key, is_known: Callable[[bytes], Awaitable[bool]]) -> None:
    """Have a guard of this key in the data directory: the one that is there, or a new one for a new key.

    :param is_known: whether the chain knows an address as a node's, or did; not asked when there is a guard.
    :raises MustStop: there is none although the chain knows the key; or there is something to be looked at.
    :raises GuardUnavailable: another process holds it, or it is not a guard's file.
    """
    require_none_unknown(data_dir)
    path = data_dir / GUARD_FILE
    try:
        with open_guard(path, key):
            return
    except GuardMissing as missing:
        if await is_known(key.address):
            raise MustStop(_way_back(str(missing), data_dir, key.address)) from missing
    make_guard(path, key.address)


def _way_back(missing: str, data_dir: Path, address: bytes) -> str:
    return (
        f"{missing}, and the chain knows 0x{address.hex()}: without the history of what it has signed, "
        "this key could contradict itself, which costs the whole stake. Put the file back from where the "
        f"node ran last, or take an exported history: cuckoo-peer guard import {data_dir} FILE. If it is "
        "lost for good and no other node runs with this key, take that upon yourself: cuckoo-peer guard "
        f"init {data_dir} --never-signed"
    )
