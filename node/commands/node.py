"""`cuckoo-peer node`: move a whole node to another machine or folder.

Is: export, which marks the old place as left, and import.
Is not: a backup to go back to; see `moving`.
"""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

node = App(
    name="node",
    help="""Move a whole node: its key, what it has signed, its money's books, settings, traces and evidence.

Stop the node first. The old place does not start again: that is the safe way to take a key elsewhere.""",
)


@node.command(name="export")
def export_(data_dir: Path, file: Path, /) -> None:
    """Write a stopped node into one file, and mark its data directory: it does not start again.

    Parameters
    ----------
    data_dir
        Data directory of the node.
    file
        File to write (mode 0600); an existing one is never overwritten. It holds the key, locked with its
        password.
    """
    from node.commands.moving import export_node  # noqa: PLC0415 - `--help` should not wait for it

    count = export_node(data_dir, file)
    print(f"written: {count} files into {file}; the node in {data_dir} does not start again")


@node.command(name="import")
def import_(file: Path, data_dir: Path, /) -> None:
    """Read a node from a file into a new data directory, all of it or nothing.

    Parameters
    ----------
    file
        File that `cuckoo-peer node export` has written. Import it once.
    data_dir
        Data directory to make.
    """
    from node.commands.moving import import_node  # noqa: PLC0415

    count = import_node(file, data_dir)
    print(f"read: {count} files into {data_dir}; start the node there, and delete {file}")
