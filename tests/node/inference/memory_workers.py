"""Workers that are none: frames in memory, time by trio's clock, for what the pool does by itself."""

import trio

from node.inference.jobs.frames import Batch, Cancel, Ready
from node.inference.jobs.job import CANCELLED, Failed, Finished, Preview, Progress
from node.inference.pool.workers import Worker, Workers
from protocol.tensor import NO_TENSOR
from tests.node.inference.fake_worker import LEAF

STEP_SECONDS = 1.0


class MemoryWorkers(Workers):
    """Starts workers, or fails to. :ivar starts: (slot, when) of each. :ivar workers: those that began.

    :param fails: whether a start fails, by its number from 1, or by its slot.
    :param says: what a worker of a slot says, each so many seconds after what it said before.
    """

    def __init__(
        self,
        fails=lambda number: False,
        slot_fails=lambda slot: False,
        says=lambda slot: [(0, Ready(0))],
    ):
        self.starts, self.workers = [], []
        self._fails, self._slot_fails, self._says = fails, slot_fails, says

    async def start(self, packages, slot):
        self.starts.append((slot, trio.current_time()))
        if self._fails(len(self.starts)) or self._slot_fails(slot):
            raise OSError("no process")
        self.workers.append(MemoryWorker(self._says(slot)))
        return self.workers[-1]


class MemoryWorker(Worker):
    """Does a step of each job of a batch a second; a job may ask for a preview after each."""

    process_id = 0

    def __init__(self, says):
        self.batches, self.cancelled_at = [], {}
        self._ended = trio.Event()
        self._cancelled = set()
        self._says, self._frames = list(says), []

    async def send(self, frame):
        await trio.lowlevel.checkpoint()
        if self._ended.is_set():
            raise trio.BrokenResourceError
        if isinstance(frame, Cancel):
            self._cancelled.add(frame.job_id)
            self.cancelled_at[frame.job_id] = trio.current_time()
        elif isinstance(frame, Batch):
            self.batches.append([job.job_id for job in frame.jobs])
            self._jobs, self._step = list(frame.jobs), 0

    async def receive(self):
        await trio.lowlevel.checkpoint()
        if self._says:
            await trio.sleep(self._says[0][0])
            return self._says.pop(0)[1]
        if not self._frames:
            with trio.move_on_after(STEP_SECONDS):
                await self._ended.wait()
            self._one_step()
        if self._ended.is_set():
            raise trio.BrokenResourceError
        return self._frames.pop(0)

    def _one_step(self):
        self._step += 1
        for job in self._jobs[:]:
            if job.job_id in self._cancelled:
                self._frames.append(Failed(job.job_id, CANCELLED, 1))
            elif self._step > job.steps:
                self._frames.append(
                    Finished(job.job_id, b"png", (LEAF,) * job.steps, bytes(32), NO_TENSOR, 1)
                )
            else:
                self._frames.append(Progress(job.job_id, self._step, job.steps))
                if job.preview_every_steps:
                    self._frames.append(Preview(job.job_id, self._step, job.steps, b"png"))
                continue
            self._jobs.remove(job)

    async def wait(self):
        await self._ended.wait()

    def kill(self):
        self._ended.set()

    async def close(self):
        self.kill()
        await trio.lowlevel.checkpoint()
