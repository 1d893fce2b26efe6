"""Keeps the interpreter's recursion limit while a library is imported that would raise it.

``eth_account`` and ``eth_keyfile`` bring ``py_ecc`` along, which sets the limit of the whole process to
100,000. After that a deeply nested JSON text, which anybody may send, ends the process with a segmentation
fault, where it should raise RecursionError. So both are imported inside of `kept_recursion_limit` alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_recursion_limit() -> Iterator[None]:
    """Restore the limit on leaving; for the time in which a module is imported."""
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
