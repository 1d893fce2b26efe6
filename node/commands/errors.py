"""How a command ends: its errors as lines on standard error, and its exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from protocol.errors import CuckooError, leaves

WRONG_USAGE: Final = 2
"""Exit status of a command that was given wrongly."""


def show_errors(command: Callable[[], object], *, name: str) -> int:
    """Exit status of `command`: 0, or 1 with each of our errors as a line on standard error.

    A bug of ours is not caught: its traceback is what we need to see.
    """
    status = 0
    try:
        command()
    except* CuckooError as failures:
        for error in leaves(failures):
            print(f"{name}: {error}", file=sys.stderr)
        status = 1
    except* KeyboardInterrupt:
        status = 130
    return status
