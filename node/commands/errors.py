"""How a command ends: its errors as lines on standard error, and its exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from protocol.errors import CuckooError, MustStop, leaves

FAILED: Final = 1
"""Exit status of a command that failed; a service may be started again."""
WRONG_USAGE: Final = 2
"""Exit status of a command that was given wrongly."""
MUST_STOP: Final = 2
"""Exit status of a node that must stay down until a person has looked: as after wrong usage, another start
mends nothing, and units and compose files do not try (`RestartPreventExitStatus=2`)."""


def show_errors(command: Callable[[], object], *, name: str) -> int:
    """Exit status of `command`: 0, or 1 with each of our errors as a line on standard error; 2 if one of them
    says that the node must stay down.

    A bug of ours is not caught: its traceback is what we need to see.
    """
    status = 0
    try:
        command()
    except* CuckooError as failures:
        errors = leaves(failures)
        for error in errors:
            print(f"{name}: {error}", file=sys.stderr)
        status = MUST_STOP if any(isinstance(error, MustStop) for error in errors) else FAILED
    except* KeyboardInterrupt:
        status = 130
    return status
