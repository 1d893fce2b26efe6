"""Asks before a command does what cannot be undone."""

from __future__ import annotations

import sys

from protocol.errors import LocalError


def confirm(what: str, *, yes: bool) -> None:
    """Say what is about to be done, and go on at a yes.

    :param yes: do not ask.
    :raises LocalError: the answer is no, or there is nobody to ask.
    """
    print(what)
    if yes:
        return
    if not sys.stdin.isatty():
        raise LocalError("no terminal to ask at; repeat the command with --yes")
    if input("Go on? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise LocalError("nothing was done")
