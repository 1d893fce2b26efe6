"""One worker process as trio sees it: frames to it, frames from it, and its certain end.

Is: the pipe and the process behind it. Is not: the decision when to start, cancel or replace one; that
is the pool's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from node.inference.frames import LENGTH_BYTES, Frame, decode_frame, encode_frame, frame_length

if TYPE_CHECKING:
    from collections.abc import Sequence

READ_BYTES: Final = 64 * 1024
SEND_SECONDS_MAX: Final = 20.0
"""A worker reads its stdin at all times; one that has not taken a frame by then is broken."""
PRIVATE_PREFIX: Final = "CUCKOO_"
"""Variables of the peer's own configuration, passwords among them; a worker has no use for them."""
WORKER_MODULE: Final = "node.inference.worker"
_REPOSITORY: Final = Path(__file__).resolve().parents[2]


class WorkerProcess:
    """A running worker. Not for use by two readers; senders may be many."""

    def __init__(self, process: trio.Process) -> None:
        """Own the process and its pipes."""
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._buffer = bytearray()
        self._sending = trio.Lock()

    @classmethod
    async def start(
        cls, folders: Sequence[Path], threads: int, device: str, memory_bytes: int
    ) -> WorkerProcess:
        """Start a worker for these packages. It says `Ready` when what fits is loaded.

        :param device: as `device.open_device` names it.
        :param memory_bytes: for models; 0 leaves it to the worker.

        :raises OSError: the system gives no process.
        """
        process = await trio.lowlevel.open_process(
            [
                *(sys.executable, "-m", WORKER_MODULE, "--threads", str(threads)),
                *("--device", device, "--memory-bytes", str(memory_bytes)),
                *(str(folder) for folder in folders),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(threads),
            # Its own session: the terminal's Ctrl-C never reaches it, not even while Python starts.
            start_new_session=True,
        )
        return cls(process)

    @property
    def process_id(self) -> int:
        """The system's number of the process."""
        return self._process.pid

    async def send(self, frame: Frame) -> None:
        """Send one frame whole, even if the caller is cancelled meanwhile.

        :raises trio.BrokenResourceError: the process is gone.
        :raises trio.TooSlowError: it does not read.
        """
        # Half a frame would make nonsense of all that follow, hence the shield.
        with trio.fail_after(SEND_SECONDS_MAX) as scope:
            scope.shield = True
            async with self._sending:
                await self._stdin.send_all(encode_frame(frame))

    async def receive(self) -> Frame:
        """Return the next frame. Cancelling it loses nothing.

        :raises DecodeError: not a frame; the process is broken.
        :raises trio.BrokenResourceError: the process is gone.
        """
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
        """End the process now. It keeps nothing that a gentler end could save."""
        self._process.kill()

    async def close(self) -> None:
        """Kill the process, close the pipes and reap it; not cancellable, and quick."""
        with trio.CancelScope(shield=True):
            self.kill()
            await self._stdin.aclose()
            await self._stdout.aclose()
            await self._process.wait()


def _environment(threads: int) -> dict[str, str]:
    """Return the worker's environment: ours, less the private part, with the libraries kept offline."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(PRIVATE_PREFIX)}
    paths = [str(_REPOSITORY), *filter(None, [environment.get("PYTHONPATH")])]
    environment.update(
        {
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_VERBOSITY": "error",
            "TRANSFORMERS_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
    )
    return environment
