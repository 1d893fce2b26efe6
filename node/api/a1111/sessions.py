"""The state of a machine as AUTOMATIC1111's clients know it: here it is one token's, seen by it alone.

Is: the chosen model, and the requests under way with their progress.
Is not: kept over a restart.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from node.api.jobs import Job
from node.api.tokens.caller import Caller
from node.api.tokens.store import TOKENS_MAX
from protocol.bounded import Bounded

SESSIONS_MAX: Final = TOKENS_MAX + 1
"""Each token's, and the operator's."""
JOBS_MAX: Final = 64
"""Requests of one token that are seen in `progress`; further ones run unseen."""


@dataclass
class Session:
    """One token's. :ivar checkpoint: title of the model that it chose; empty for the node's default."""

    checkpoint: str = ""
    jobs: list[Job] = field(default_factory=list)

    @contextmanager
    def seen(self, job: Job) -> Iterator[None]:
        """Show a request until the context ends, if not too many are."""
        if len(self.jobs) < JOBS_MAX:
            self.jobs.append(job)
        try:
            yield
        finally:
            if job in self.jobs:
                self.jobs.remove(job)

    def interrupt(self) -> None:
        """End all that is under way; what is finished is given."""
        for job in self.jobs:
            job.interrupt()

    def skip(self) -> None:
        """End the next picture of the oldest request; the others go on."""
        for job in self.jobs[:1]:
            job.skip()

    def progress(self, *, with_image: bool) -> dict[str, Any]:
        """`GET /sdapi/v1/progress`: of the oldest request."""
        job = self.jobs[0] if self.jobs else None
        picture = job.preview if job and with_image else b""
        return {
            "progress": round(job.progress, 4) if job else 0.0,
            "eta_relative": round(job.left_s, 2) if job else 0.0,
            "state": {
                "skipped": bool(job and job.skipped),
                "interrupted": bool(job and job.interrupted),
                "stopping_generation": bool(job and job.interrupted),
                "job": "scripts_txt2img" if job else "",
                "job_count": len(self.jobs),
                "job_timestamp": "0",
                "job_no": 0,
                "sampling_step": job.steps[0] if job else 0,
                "sampling_steps": job.steps[1] if job else 0,
            },
            "current_image": base64.b64encode(picture).decode() if picture else None,
            "textinfo": None,
        }


class Sessions:
    """All tokens' sessions."""

    def __init__(self) -> None:
        self._sessions: Bounded[str, Session] = Bounded(SESSIONS_MAX)

    def of(self, caller: Caller) -> Session:
        """A token's own."""
        return self._sessions.setdefault(caller.token_id, Session())
