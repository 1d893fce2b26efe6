"""`cuckoo-peer guard`: carry what a key has signed to another machine, with the key.

Is: export and import of the equivocation guard's history, while the node is stopped.
Is not: a way to run one key on two machines; that is how stakes are lost.
"""

from __future__ import annotations

import json
from pathlib import Path

from cyclopts import App

from protocol.errors import LocalError

HISTORY_BYTES_MAX = 1 << 30

guard = App(
    name="guard",
    help="""Carry what a node's key has signed to another machine, while the node is stopped.

Moving a key without its history is how honest nodes contradict themselves and lose their stake.""",
)


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
    from node.signing.guard import GUARD_FILE, export_history  # noqa: PLC0415
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
    from node.signing.guard import GUARD_FILE, import_history  # noqa: PLC0415

    try:
        if file.stat().st_size > HISTORY_BYTES_MAX:
            raise LocalError(f"{file} is longer than {HISTORY_BYTES_MAX} bytes")
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise LocalError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise LocalError(f"{file} is not JSON") from error
    print(f"taken: {import_history(data_dir / GUARD_FILE, document)} new entries")
