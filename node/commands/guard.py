"""`cuckoo-peer guard`: the history of what a key has signed: make it, carry it, mend it.

Is: export and import of the equivocation guard's history, and the two ways back after it was lost or was not
whole, while the node is stopped.
Is not: a way to run one key on two machines; that is how stakes are lost.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from protocol.errors import LocalError

HISTORY_BYTES_MAX = 1 << 30

guard = App(
    name="guard",
    help="""The history of what a node's key has signed, while the node is stopped.

To move a whole node, see cuckoo-peer node. Moving a key without its history is how honest nodes
contradict themselves and lose their stake.""",
)


@guard.command
def init(
    data_dir: Path,
    /,
    *,
    never_signed: Annotated[bool, Parameter(negative=())] = False,
    password_file: Path | None = None,
) -> None:
    """Make an empty guard for a key whose history is lost, and take that upon yourself.

    Only what comes from now on is certain: a miner offers at once and does tasks that are announced from now
    on; a coordinator sits out two whole epochs. If another node runs with this key, stop that one first, for
    good.

    Parameters
    ----------
    data_dir
        Data directory of the node, with its key.
    never_signed
        Say that you know of no statement of this key that could still be contradicted, and of no other node
        with it.
    password_file
        File (mode 0600) with the password in its first line, for a keystore that does not name its address;
        without it, the password is asked for.
    """
    from node.signing.guard import make_guard  # noqa: PLC0415
    from node.signing.guard_file import GUARD_FILE  # noqa: PLC0415
    from node.signing.keys import find_address  # noqa: PLC0415
    from node.system.clock import now_ms  # noqa: PLC0415
    from node.system.lifetime import KEY_FILE  # noqa: PLC0415

    if not never_signed:
        raise LocalError(
            "an empty guard knows nothing of what this key has signed; if you know that nothing of it can be "
            "contradicted any more, and that no other node has this key, say so: --never-signed"
        )
    address = find_address(data_dir / KEY_FILE, password_file)
    make_guard(data_dir / GUARD_FILE, address, made_at_ms=now_ms())
    print(f"made: {data_dir / GUARD_FILE} for 0x{address.hex()}, from now on")


@guard.command
def adopt(
    file: Path,
    /,
    *,
    yes: Annotated[bool, Parameter(negative=(), help="No other node runs with this key.")] = False,
) -> None:
    """Go on after a node has stopped because its key had signed what its guard did not know.

    The statement is taken into the guard, and nothing is signed any more that another holder of the key may
    have signed until now: a miner offers at once, a coordinator sits out two whole epochs.

    Parameters
    ----------
    file
        File that the node has written and named, in its data directory.
    """
    from node.commands.confirmation import confirm  # noqa: PLC0415
    from node.signing.guard_file import GUARD_FILE  # noqa: PLC0415
    from node.signing.history import adopt_statement  # noqa: PLC0415
    from node.signing.unknown_statement import read_unknown  # noqa: PLC0415
    from node.system.clock import now_ms  # noqa: PLC0415

    unknown = read_unknown(file)
    statement, task = unknown.opened()
    name = statement.kind.name.lower().replace("_", " ")
    what = f"{'an' if name[0] in 'aeiou' else 'a'} {name} of 0x{unknown.signer.hex()}"
    confirm(f"{what} comes from elsewhere. You have made sure that no other node runs with this key", yes=yes)
    adopt_statement(file.parent / GUARD_FILE, unknown.signer, statement, task, now_ms())
    file.unlink()
    print(f"adopted: {what}; this node may be started again, and no other")


@guard.command(name="export")
def export_(data_dir: Path, file: Path, /) -> None:
    """Write the history of a stopped node to a file.

    Parameters
    ----------
    data_dir
        Data directory of the node.
    file
        JSON file to write; an existing one is never overwritten.
    """
    from node.signing.guard_file import GUARD_FILE  # noqa: PLC0415
    from node.signing.history import export_history  # noqa: PLC0415
    from node.system.files import write_private  # noqa: PLC0415 - `--help` should not wait for it

    if not (data_dir / GUARD_FILE).exists():
        raise LocalError(f"there is no {GUARD_FILE} in {data_dir}: nothing was ever signed there")
    if file.exists():
        raise LocalError(f"{file} exists already")
    document = export_history(data_dir / GUARD_FILE)
    write_private(file, json.dumps(document, indent=1).encode() + b"\n")
    print(f"written: {file}; do not start this node again")


@guard.command(name="import")
def import_(data_dir: Path, file: Path, /) -> None:
    """Take the history in a file into the data directory of a stopped node, all of it or nothing.

    Parameters
    ----------
    data_dir
        Data directory of the node; a new one is made.
    file
        JSON file that `cuckoo-peer guard export` has written.
    """
    from node.signing.guard_file import GUARD_FILE  # noqa: PLC0415
    from node.signing.history import import_history  # noqa: PLC0415

    try:
        if file.stat().st_size > HISTORY_BYTES_MAX:
            raise LocalError(f"{file} is longer than {HISTORY_BYTES_MAX} bytes")
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise LocalError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise LocalError(f"{file} is not JSON") from error
    print(f"taken: {import_history(data_dir / GUARD_FILE, document)} new entries")
