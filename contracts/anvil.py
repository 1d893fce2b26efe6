"""A development chain of one's own: a real anvil, started and stopped from trio.

Is: what the devnet and the tests run their contracts on; funded accounts, blocks on demand.
Is not: a part of a node on a real network.

The process ends with the ``async with`` block, and on Linux also when ours is killed.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from contracts.account import Account
from contracts.rpc import Rpc, connect
from contracts.toolchain import find_tool
from protocol.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

DEFAULT_CHAIN_ID: Final = 133_700
START_TIMEOUT_S: Final = 20.0
STOP_TIMEOUT_S: Final = 5.0
_POLL_S: Final = 0.01
_LINE_BYTES_MAX: Final = 1024
_LAST_LINES: Final = 30
_LISTENING: Final = re.compile(rb"^Listening on 127\.0\.0\.1:(\d+)")
_PRIVATE_KEY: Final = re.compile(rb"^\(\d+\) 0x([0-9a-f]{64})\s*$")

# Sets PR_SET_PDEATHSIG (1) to SIGKILL (9) and becomes anvil: the kernel then kills it when we die, however
# we die. In a process of its own, since code between fork and exec is unsafe in a process with threads.
_DIE_WITH_PARENT: Final = (
    "import ctypes, os, sys\n"
    "ctypes.CDLL(None).prctl(1, 9)\n"
    "os.getppid() == int(sys.argv[1]) or sys.exit(1)\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


class AnvilFailed(LocalError):
    """anvil did not start, or has died, or has no such snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnvilOptions:
    """How the chain behaves."""

    chain_id: int = DEFAULT_CHAIN_ID
    port: int = 0
    """On 127.0.0.1; 0 takes a free one."""
    block_time_s: float | None = None
    """Seconds between blocks; ``None`` makes a block for each transaction, as soon as it comes."""
    genesis_s: int | None = None
    """Time of block 0, Unix seconds; time goes on from there. ``None`` begins now."""
    accounts: int = 10
    """Funded accounts, 1 to 1,000; always the same keys, which are public: never send real money to them."""
    state_file: Path | None = None
    """Where the chain is kept from one run to the next; written every second, so that it survives a kill."""


class Anvil:
    """A running chain.

    :ivar endpoint: URL of its RPC.
    :ivar rpc: a connection to it.
    :ivar process_id: of anvil.
    """

    def __init__(self, rpc: Rpc, process: AnvilProcess) -> None:
        self.rpc = rpc
        self.endpoint = process.endpoint
        self.process_id = process.process_id
        self._secrets = tuple(process.secrets)

    def accounts(self) -> tuple[Account, ...]:
        """The funded accounts, with 10,000 coins each at the start."""
        return tuple(Account(secret) for secret in self._secrets)

    def secrets(self) -> tuple[bytes, ...]:
        """Their private keys, 32 bytes each."""
        return self._secrets

    async def mine(self, blocks: int = 1, *, seconds_between: int = 1) -> None:
        """Make blocks at once.

        Waited for even when cancelled: the chain would go on making them, even after a `revert`.
        """
        with trio.CancelScope(shield=True):
            await self.rpc.request("anvil_mine", hex(blocks), hex(seconds_between))

    async def pass_time(self, seconds: int) -> None:
        """Let the chain's time jump, and make a block in it."""
        await self.rpc.request("evm_increaseTime", hex(seconds))
        await self.mine()

    async def set_time(self, time_s: int) -> None:
        """Make the next block at a time, Unix seconds, from which time goes on; after the newest one's."""
        await self.rpc.request("evm_setNextBlockTimestamp", hex(time_s))

    async def time_s(self) -> int:
        """Unix time of the newest block."""
        return await self.rpc.head_time_s()

    async def snapshot(self) -> str:
        """Remember the whole state; returns what `revert` wants. A snapshot can be reverted to once."""
        identifier: str = await self.rpc.request("evm_snapshot")
        return identifier

    async def revert(self, identifier: str) -> None:
        """Go back to a snapshot. Nonces go back too: senders have to be made anew."""
        if await self.rpc.request("evm_revert", identifier) is not True:
            message = f"anvil has no snapshot {identifier}"
            raise AnvilFailed(message)


@asynccontextmanager
async def run_anvil(options: AnvilOptions | None = None) -> AsyncIterator[Anvil]:
    """Start a chain with a connection to it, and end it with the block.

    :raises ToolMissing: it is not installed.
    :raises AnvilFailed: it does not come up in `START_TIMEOUT_S`.
    """
    options = options or AnvilOptions()
    process = AnvilProcess(options)
    try:
        with trio.move_on_after(START_TIMEOUT_S):
            while not process.is_ready():  # noqa: ASYNC110 - a process gives no event
                await trio.sleep(_POLL_S)
        async with connect(process.endpoint, chain_id=options.chain_id) as rpc:
            yield Anvil(rpc, process)
    finally:
        process.terminate()
        with trio.CancelScope(shield=True), trio.move_on_after(STOP_TIMEOUT_S):
            while process.is_running():  # noqa: ASYNC110 - a process gives no event
                await trio.sleep(_POLL_S)
        process.close()


@contextmanager
def anvil_process(options: AnvilOptions | None = None) -> Iterator[AnvilProcess]:
    """Start a chain without trio, for one that outlives an event loop, and end it with the block.

    :raises ToolMissing: it is not installed.
    :raises AnvilFailed: asked for its endpoint when it has not come up in `START_TIMEOUT_S`.
    """
    process = AnvilProcess(options or AnvilOptions())
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not process.is_ready() and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        yield process
    finally:
        process.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while process.is_running() and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        process.close()


class AnvilProcess:
    """The process alone; made by `anvil_process` and `run_anvil`.

    :ivar secrets: private keys of the funded accounts, 32 bytes each.
    :ivar states_folder: where anvil keeps states of old blocks; gone with the process.
    """

    def __init__(self, options: AnvilOptions) -> None:
        """:raises ToolMissing: it is not installed."""
        self.secrets: list[bytes] = []
        self._port: int | None = None
        self._last: deque[bytes] = deque(maxlen=_LAST_LINES)
        # States of old blocks, some hundred MB an hour; anvil leaves them behind when it is killed.
        tool = find_tool("anvil")
        self.states_folder = Path(tempfile.mkdtemp(prefix="cuckoo-anvil-"))
        try:
            self._process = _start(tool, options, self.states_folder)
        except BaseException:
            shutil.rmtree(self.states_folder, ignore_errors=True)
            raise
        # A thread, so that the pipe never fills, whatever the event loop does or whether there is one.
        self._reader = threading.Thread(target=self._drain, name="anvil-output", daemon=True)
        self._reader.start()

    @property
    def process_id(self) -> int:
        """Of anvil."""
        return self._process.pid

    @property
    def endpoint(self) -> str:
        """URL of its RPC. :raises AnvilFailed: it is not listening."""
        if self._port is None:
            lines = b"\n".join(self._last).decode("utf-8", "replace")
            message = f"anvil did not start (exit status {self._process.poll()}):\n{lines}"
            raise AnvilFailed(message)
        return f"http://127.0.0.1:{self._port}"

    def is_ready(self) -> bool:
        """Whether it listens. :raises AnvilFailed: it has ended."""
        if self._port is None and not self.is_running():
            self._reader.join(STOP_TIMEOUT_S)
            _ = self.endpoint
        return self._port is not None

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def terminate(self) -> None:
        """Ask it to end, so that it writes its state."""
        self._process.terminate()

    def close(self) -> None:
        """End it at once if it still lives, and free what it held."""
        if self.is_running():
            self._process.kill()
        self._process.wait()
        self._reader.join(STOP_TIMEOUT_S)
        # A child of the process could still hold the pipe; then closing would wait for it.
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()
        shutil.rmtree(self.states_folder, ignore_errors=True)

    def _drain(self) -> None:
        for line in self._process.stdout or ():
            self._last.append(line.rstrip()[:_LINE_BYTES_MAX])
            if self._port is not None:
                continue
            if key := _PRIVATE_KEY.match(line):
                self.secrets.append(bytes.fromhex(key[1].decode("ascii")))
            elif port := _LISTENING.match(line):
                self._port = int(port[1])


def _start(tool: Path, options: AnvilOptions, states_folder: Path) -> subprocess.Popen[bytes]:
    command = [str(tool), "--host", "127.0.0.1", "--port", str(options.port)]
    command += ["--chain-id", str(options.chain_id), "--accounts", str(options.accounts), "--color", "never"]
    command += ["--cache-path", str(states_folder)]
    if options.block_time_s is not None:
        command += ["--block-time", f"{options.block_time_s:g}"]
    if options.genesis_s is not None:
        command += ["--timestamp", str(options.genesis_s)]
    if options.state_file is not None:
        # Without the interval the last block is lost with the process.
        command += ["--state", str(options.state_file), "--state-interval", "1"]
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "prctl"):
        command = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]
    # Not trio.open_process: it forks in a worker thread, and the kernel's "parent" is that thread, which goes
    # away when it has been idle. A session of its own keeps a terminal's Ctrl-C from reaching anvil first.
    return subprocess.Popen(  # noqa: S603 - the binary from our lock file, no input from outside
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
