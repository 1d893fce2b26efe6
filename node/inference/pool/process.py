"""Workers as processes of this machine: frames to one, frames from it, and its certain end.

Is: the back end that a pool has if nobody says otherwise, and the pipe to a process that speaks frames, which
other back ends use as well. Is not: the decision when to start, cancel or replace one; that is the pool's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import trio

from node.inference.jobs.frames import LENGTH_BYTES, Frame, decode_frame, encode_frame, frame_length
from node.inference.jobs.pace import PERCENT
from node.inference.pool.workers import Worker, Workers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.inference.packages.package import ModelPackage

READ_BYTES: Final = 64 * 1024
SEND_SECONDS_MAX: Final = 20.0
"""A worker reads its stdin at all times; one that has not taken a frame by then is broken."""
PRIVATE_PREFIX: Final = "CUCKOO_"
"""Variables of the peer's own configuration, passwords among them; a worker has no use for them."""
NICENESS_MAX: Final = 19
WORKER_MODULE: Final = "node.inference.worker.worker"
_REPOSITORY: Final = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Machine:
    """The share of its machine that a worker process gets.

    :ivar threads: of torch. More than one hurts on a busy machine.
    :ivar device: as torch calls it, or "auto".
    :ivar memory_bytes: for models; 0 for most of what is free. The longest unused is let go beyond it.
    :ivar niceness: how far it lets other programs go first, 0 to 19.
    :ivar work_percent: share of the time in which it works; it rests in between.
    """

    threads: int = 1
    device: str = "auto"
    memory_bytes: int = 0
    niceness: int = 0
    work_percent: int = 100

    def __post_init__(self) -> None:
        """:raises ValueError: a number out of its bounds."""
        if self.threads < 1 or self.memory_bytes < 0:
            raise ValueError("a worker needs a thread, and no less than no memory")
        if not 0 <= self.niceness <= NICENESS_MAX or not 1 <= self.work_percent <= PERCENT:
            raise ValueError("a worker needs a niceness from 0 to 19, and to work some of the time")

    @property
    def flags(self) -> list[str]:
        """As the worker's command line takes it."""
        return [
            *("--threads", str(self.threads), "--device", self.device),
            *("--memory-bytes", str(self.memory_bytes), "--niceness", str(self.niceness)),
            *("--work-percent", str(self.work_percent)),
        ]

    def saving_power(self) -> Machine:
        """The same for a cool and quiet machine: one thread, half of the time, after all other programs."""
        return replace(self, threads=1, niceness=NICENESS_MAX, work_percent=PERCENT // 2)


class LocalWorkers(Workers):
    """Worker processes here."""

    def __init__(self, *machines: Machine) -> None:
        """:param machines: what the workers get, in turns: one a device. Default: one of `Machine`."""
        self._machines = machines or (Machine(),)

    async def start(self, packages: Sequence[ModelPackage], slot: int) -> WorkerProcess:
        """Start a process; see `Workers.start`."""
        machine = self._machines[slot % len(self._machines)]
        return await WorkerProcess.start(worker_command(machine, packages), worker_environment(machine))


def worker_command(machine: Machine, packages: Sequence[ModelPackage]) -> list[str]:
    """The command that starts a worker, on any host that holds the packages."""
    folders = [str(package.folder) for package in packages]
    return [sys.executable, "-m", WORKER_MODULE, *machine.flags, *folders]


class WorkerProcess(Worker):
    """A process that speaks frames over its standard input and output."""

    def __init__(self, process: trio.Process) -> None:
        """Own the process and its pipes."""
        assert process.stdin is not None
        assert process.stdout is not None
        self.process_id = process.pid
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._buffer = bytearray()
        self._sending = trio.Lock()

    @classmethod
    async def start(cls, command: Sequence[str], environment: dict[str, str]) -> Self:
        """Start a process that speaks frames. :raises OSError: the system gives none."""
        process = await trio.lowlevel.open_process(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            # Its own session: the terminal's Ctrl-C never reaches it, not even while Python starts.
            start_new_session=True,
        )
        return cls(process)

    async def send(self, frame: Frame) -> None:
        """Send one frame whole; see `Worker.send`."""
        # Half a frame would make nonsense of all that follow, hence the shield.
        with trio.fail_after(SEND_SECONDS_MAX) as scope:
            scope.shield = True
            async with self._sending:
                await self._stdin.send_all(encode_frame(frame))

    async def receive(self) -> Frame:
        """Return the next frame; see `Worker.receive`."""
        length = frame_length(await self._read(LENGTH_BYTES))
        data = await self._read(LENGTH_BYTES + length)
        del self._buffer[: LENGTH_BYTES + length]
        return decode_frame(data[LENGTH_BYTES:])

    async def _read(self, count: int) -> bytes:
        """Return the first `count` buffered bytes, reading until there are so many."""
        while len(self._buffer) < count:
            part = await self._stdout.receive_some(READ_BYTES)
            if not part:
                raise trio.BrokenResourceError
            self._buffer += part
        return bytes(self._buffer[:count])

    async def wait(self) -> None:
        """Wait until the process has ended by itself."""
        await self._process.wait()

    def kill(self) -> None:
        """End the process now."""
        self._process.kill()

    async def close(self) -> None:
        """Kill the process, close the pipes and reap it; not cancellable, and quick."""
        with trio.CancelScope(shield=True):
            self.kill()
            await self._stdin.aclose()
            await self._stdout.aclose()
            await self._process.wait()


def worker_environment(machine: Machine) -> dict[str, str]:
    """A worker's environment: ours, less the private part, with the libraries kept offline."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(PRIVATE_PREFIX)}
    paths = [str(_REPOSITORY), *filter(None, [environment.get("PYTHONPATH")])]
    environment.update(
        {
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": str(machine.threads),
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_VERBOSITY": "error",
            "TRANSFORMERS_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
    )
    return environment
