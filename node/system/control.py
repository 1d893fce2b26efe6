"""The socket by which commands on this machine speak with a running node.

Is: the node's end of `control.sock` in its data directory. A line is a JSON object, a request or an answer:

    {"do": "status"}                          →  {"answer": {…}}    all snapshots of the observable
    {"do": "events", "kinds": ["task_paid"]}  →  {"answer": {…}} …  each as it happens, until the caller goes
    {"do": "cancel", "argument": {…}}         →  {"answer": …}      an act that a part of the node registered
    anything else                             →  {"error": {"code": …, "message": …}}

Only the node's own user, and root, are heard. One node runs on a data directory at a time: the directory is
locked as long as the socket is served, so what a killed node left behind can be told from what is in use.
Is not: for other machines, and not for apps; they have the API.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, get_type_hints

import structlog
import trio

from node.system.control_client import SOCKET_FILE, path_within
from node.system.events import EVENT_KINDS, EventBus
from node.system.files import OWNER_ONLY
from node.system.observable import Observable, to_document
from protocol.errors import CuckooError, LocalError, Refusal

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CONNECTIONS_MAX: Final = 16
"""Callers at a time; further ones are told so and sent away."""
REQUEST_BYTES_MAX: Final = 16 * 1024
"""Bytes of a request, a line."""
REQUEST_TIMEOUT_MS: Final = 5_000
"""Time for a caller to make a request, and to take an answer."""
ACT_TIMEOUT_MS: Final = 60_000
"""Time for an act that does not say otherwise."""

T = TypeVar("T", bound="DataclassInstance")

log = structlog.get_logger()


class BadRequest(Refusal):
    """A request that is not one, or an argument of another form than the act's."""


@dataclass(frozen=True, slots=True)
class Act(Generic[T]):
    """An act that a caller can ask for.

    :ivar argument: a dataclass of str, int, bool and bytes, the last as 0x and hexadecimal digits.
    :ivar run: does it; a CuckooError of its is the caller's answer.
    :ivar timeout_ms: after so long it is given up.
    """

    argument: type[T]
    run: Callable[[T], Awaitable[object]]
    timeout_ms: int


@dataclass(slots=True)
class ControlCounts:
    """:ivar strangers: callers of another user. :ivar refused: callers beyond the most."""

    callers: int = 0
    requests: int = 0
    strangers: int = 0
    refused: int = 0
    failed: int = 0


class Control:
    """One node's end. :ivar acts: by name. :ivar counts: see :class:`ControlCounts`."""

    def __init__(self, observable: Observable, events: EventBus) -> None:
        self.acts: dict[str, Act[Any]] = {}
        self.counts = ControlCounts()
        self._observable = observable
        self._events = events

    def register(
        self,
        name: str,
        argument: type[T],
        run: Callable[[T], Awaitable[object]],
        *,
        timeout_ms: int = ACT_TIMEOUT_MS,
    ) -> None:
        """Let callers have `run` done; see :class:`Act`. :raises ValueError: the name is taken."""
        if name in self.acts or name in {"status", "events"}:
            raise ValueError(f"there is an act named {name} already")
        self.acts[name] = Act(argument, run, timeout_ms)

    async def serve(self, listener: trio.SocketListener) -> None:
        """Hear callers until cancelled."""
        await trio.serve_listeners(self._visit, [listener])

    async def _visit(self, stream: trio.SocketStream) -> None:
        async with stream:
            try:
                if not _is_ours(stream.socket):
                    self.counts.strangers += 1
                elif self.counts.callers >= CONNECTIONS_MAX:
                    self.counts.refused += 1
                    await _say(stream, _error("busy", "as many commands speak with this node as it hears"))
                else:
                    self.counts.callers += 1
                    try:
                        await self._converse(stream)
                    finally:
                        self.counts.callers -= 1
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
                return

    async def _converse(self, stream: trio.SocketStream) -> None:
        held = bytearray()
        while (line := await _read_line(stream, held)) is not None:
            self.counts.requests += 1
            try:
                request = _request(line)
                if request["do"] == "events":
                    await self._follow(stream, request)
                    return
                answer = {"answer": await self._answer(request)}
            except BadRequest as error:
                answer = _error("bad_request", str(error))
            except Refusal as error:
                answer = _error("refused", str(error))
            except CuckooError as error:
                answer = _error("failed", str(error))
            except Exception:  # a bug of ours in one act must not end the node
                self.counts.failed += 1
                log.exception("a command's request failed by our fault")
                answer = _error("internal", "the node failed; its log says why")
            await _say(stream, answer)

    async def _answer(self, request: Mapping[str, Any]) -> Any:
        if request["do"] == "status":
            return self._observable.document()
        act = self.acts.get(request["do"])
        if act is None:
            known = ", ".join(["status", "events", *sorted(self.acts)])
            elsewhere = "tasks are explained and audited by their coordinator"
            raise BadRequest(f"this node knows: {known}; {elsewhere}")
        argument = _argument(act.argument, request.get("argument", {}))
        with trio.move_on_after(act.timeout_ms / 1000):
            return to_document(await act.run(argument))
        raise Refusal("it takes too long; it was given up")

    async def _follow(self, stream: trio.SocketStream, request: Mapping[str, Any]) -> None:
        """Tell of events until the caller goes."""
        names = request.get("kinds", [])
        if not isinstance(names, list) or not all(name in EVENT_KINDS for name in map(str, names)):
            raise BadRequest(f"kinds of events are: {', '.join(EVENT_KINDS)}")
        with self._events.subscribe(*[EVENT_KINDS[name] for name in names]) as subscription:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_until_gone, stream, nursery.cancel_scope)
                while True:
                    published = await subscription.receive()
                    await _say(stream, {"answer": published.document() | {"dropped": subscription.dropped}})


@asynccontextmanager
async def open_control(data_dir: Path, observable: Observable, events: EventBus) -> AsyncIterator[Control]:
    """The node's end of the socket, served until the context ends.

    :raises LocalError: another node runs on this data directory, or the socket cannot be made.
    """
    control = Control(observable, events)
    with _bound(data_dir) as listening:
        async with trio.open_nursery() as nursery:
            listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
            nursery.start_soon(control.serve, listener)
            yield control
            nursery.cancel_scope.cancel()


@contextmanager
def _bound(data_dir: Path) -> Iterator[socket.socket]:
    try:
        folder = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise LocalError(f"the data directory cannot be read: {error}") from error
    try:
        try:
            # Gone with the process, however that ends; the socket's file would stay.
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalError(f"another node runs on {data_dir}; stop it first") from error
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(SOCKET_FILE, dir_fd=folder)
            listening = _listen(data_dir)
        except OSError as error:
            raise LocalError(f"{data_dir / SOCKET_FILE} cannot be made: {error}") from error
        with listening:
            try:
                yield listening
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(SOCKET_FILE, dir_fd=folder)
    finally:
        os.close(folder)


def _listen(data_dir: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with path_within(data_dir) as path:
            # Nobody can be quicker than the mode: a socket that does not listen yet refuses everybody.
            listening.bind(path)
            Path(path).chmod(OWNER_ONLY)
        listening.listen(CONNECTIONS_MAX)
    except OSError:
        listening.close()
        raise
    return listening


def _is_ours(caller: trio.socket.SocketType) -> bool:
    """Whether the process at the other end is of our user, or root's; where the system can tell."""
    if not sys.platform.startswith("linux"):
        return True
    credentials = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return user in {os.geteuid(), 0}


async def _read_line(stream: trio.SocketStream, held: bytearray) -> bytes | None:
    """The next line, without its end; None when the caller is gone, or sends more than a request is."""
    with trio.fail_after(REQUEST_TIMEOUT_MS / 1000):
        while (end := held.find(b"\n")) < 0:
            data = await stream.receive_some(REQUEST_BYTES_MAX)
            held += data
            if not data or len(held) > REQUEST_BYTES_MAX:
                return None
    line = bytes(held[:end])
    del held[: end + 1]
    return line


async def _say(stream: trio.SocketStream, document: Mapping[str, Any]) -> None:
    with trio.fail_after(REQUEST_TIMEOUT_MS / 1000):
        await stream.send_all(json.dumps(document).encode() + b"\n")


async def _until_gone(stream: trio.SocketStream, scope: trio.CancelScope) -> None:
    with contextlib.suppress(trio.BrokenResourceError):
        while await stream.receive_some(REQUEST_BYTES_MAX):
            pass
    scope.cancel()


def _request(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRequest("a request is a line with a JSON object") from error
    if not isinstance(request, dict) or not isinstance(request.get("do"), str):
        raise BadRequest('a request is a JSON object that says what to "do"')
    return request


def _argument(kind: type[T], document: object) -> T:
    hints = get_type_hints(kind)
    names = {field.name for field in fields(kind)}
    if not isinstance(document, dict) or set(document) != names:
        raise BadRequest(f"the argument has the members: {', '.join(sorted(names)) or 'none'}")
    return kind(**{name: _value(name, hints[name], value) for name, value in document.items()})


def _value(name: str, kind: type, value: object) -> object:
    if kind is bytes and isinstance(value, str) and value.startswith("0x"):
        with contextlib.suppress(ValueError):
            return bytes.fromhex(value[2:])
    if type(value) is kind and kind in {str, int, bool}:
        return value
    what = "0x and hexadecimal digits" if kind is bytes else f"of the type {kind.__name__}"
    raise BadRequest(f"{name} must be {what}")


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}
