"""The mark of a node that has moved away: where it lies, the node does not start.

Is: the file, and what it says.
Is not: the move (`commands/moving`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from node.system.files import write_private
from protocol.errors import MustStop

MOVED_FILE: Final = "moved.json"
"""In the data directory that a node has left."""


def mark_moved(folder: Path, to: Path) -> None:
    """Say that the node of this data directory has moved into the file `to`.

    :raises OSError: it cannot be written.
    """
    write_private(folder / MOVED_FILE, json.dumps({"exported_to": str(to)}).encode() + b"\n")


def require_not_moved(folder: Path) -> None:
    """:raises MustStop: the node of this data directory has moved."""
    path = folder / MOVED_FILE
    if path.exists():
        raise MustStop(
            f"this node has moved: {path} says into which file it was exported. Start it where that file "
            "was imported, and here never again: two nodes with one key lose the whole stake. Only if it "
            f"was never imported anywhere, nor will be: remove {path} and that file"
        )
