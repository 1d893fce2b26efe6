"""The commands' end of a running node's `control.sock`; the node's is `control`.

Is: one question and its answer, or events as they come, over a blocking socket. Light: commands import it.
Is not: for the node itself; nothing here is trio.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from protocol.errors import LocalError, Refusal

SOCKET_FILE: Final = "control.sock"
"""In the data directory while the node runs."""
ANSWER_TIMEOUT_S: Final = 70.0
"""Longer than any act may take."""
ANSWER_BYTES_MAX: Final = 8 * 1024 * 1024
"""Bytes of an answer, a line."""
OPEN_FOLDERS: Final = Path("/proc/self/fd")


class NodeDown(LocalError):
    """No node runs on this data directory, or it is another user's."""


class RequestRefused(Refusal):
    """The node said no. :ivar code: ``bad_request``, ``refused``, ``failed``, ``internal`` or ``busy``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def path_within(data_dir: Path) -> Iterator[str]:
    """A path to the socket's file that is short enough for the system, while the context lasts.

    A Unix socket's address has room for 107 bytes; paths may be longer. On Linux the directory is opened,
    and the path begins at that; elsewhere a long path is an error of the system's.
    """
    if not OPEN_FOLDERS.is_dir():
        yield str(data_dir / SOCKET_FILE)
        return
    folder = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"{OPEN_FOLDERS}/{folder}/{SOCKET_FILE}"
    finally:
        os.close(folder)


def ask(
    data_dir: Path,
    do: str,
    argument: Mapping[str, Any] | None = None,
    *,
    timeout_s: float = ANSWER_TIMEOUT_S,
) -> Any:
    """The answer of the node that runs on `data_dir`.

    :param do: ``status``, or an act that the node knows; its `argument`.
    :raises NodeDown: no node runs there.
    :raises RequestRefused: it said no.
    :raises LocalError: it did not answer in time, or not in the form of an answer.
    """
    request = {"do": do} if argument is None else {"do": do, "argument": dict(argument)}
    with _conversation(data_dir, request, timeout_s) as lines:
        return _answer(data_dir, lines.readline(ANSWER_BYTES_MAX))


def follow(data_dir: Path, kinds: Sequence[str] = (), *, timeout_s: float | None = None) -> Iterator[Any]:
    """Events of the node that runs on `data_dir`, as documents, until it stops.

    :param kinds: names of their kinds, such as ``task_paid``; all, if none is given.
    :raises NodeDown: no node runs there.
    :raises RequestRefused: it said no.
    """
    with _conversation(data_dir, {"do": "events", "kinds": list(kinds)}, timeout_s) as lines:
        while line := lines.readline(ANSWER_BYTES_MAX):
            yield _answer(data_dir, line)


@contextmanager
def _conversation(data_dir: Path, request: Mapping[str, Any], timeout_s: float | None) -> Iterator[BinaryIO]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            with path_within(data_dir) as path:
                connection.connect(path)
        except OSError as error:
            raise NodeDown(f"no node of yours runs on {data_dir}") from error
        try:
            # A node that is too busy says so and hangs up before it has read this.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                yield lines
        except OSError as error:
            raise LocalError(f"the node on {data_dir} does not answer: {error}") from error


def _answer(data_dir: Path, line: bytes) -> Any:
    if not line:
        raise NodeDown(f"the node on {data_dir} has stopped, or does not hear you")
    try:
        document = json.loads(line)
        if "answer" in document:
            return document["answer"]
        refused = RequestRefused(str(document["error"]["code"]), str(document["error"]["message"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LocalError(f"the node on {data_dir} answers in another form") from error
    raise refused
