"""Asking a market's API as apps do, several at a time, and how long the answers take."""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.market.test_local_api import events_of

WHOLE = bool(os.environ.get("CUCKOO_LONG"))
"""Whether the whole figures are asked for, on a machine that has nothing else to do."""
GENERATIONS = "/v1/images/generations"


def tell(figure: str) -> None:
    """Print what was measured, for the report of the whole figures."""
    sys.stdout.write(f"{figure}; load {os.getloadavg()[0]:.1f}\n")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. :ivar seconds: from the request to its last byte."""

    status: int
    body: dict[str, Any]
    headers: httpx2.Headers
    seconds: float

    @property
    def task_id(self) -> str:
        return self.body["cuckoo"]["tasks"][0]

    @property
    def error(self) -> dict[str, Any]:
        return self.body["error"]


def ask(market, *, key: str = "", **body: object) -> Answer:
    """One request, answered."""
    headers = {"Idempotency-Key": key} if key else {}
    started = time.monotonic()
    with market.client() as client:
        response = client.post(GENERATIONS, json={"prompt": "a red apple"} | body, headers=headers)
    return Answer(response.status_code, response.json(), response.headers, time.monotonic() - started)


def ask_at_once(market, count: int, **body: object) -> list[Answer]:
    """As many requests side by side, answered."""
    with ThreadPoolExecutor(count) as threads:
        return [item.result() for item in [threads.submit(ask, market, **body) for _ in range(count)]]


def undisturbed_s(market, **body: object) -> float:
    """How long a request takes when no other is under way: the longest of three."""
    answers = [ask(market, **body) for _ in range(3)]
    assert {answer.status for answer in answers} == {200}, answers
    return max(answer.seconds for answer in answers)


class Watched:
    """A streamed request, watched by a thread of its own until the stream ends, however it does.

    :ivar comments: what the stream says besides events.
    :ivar events: names and data.
    """

    def __init__(self, market, *, key: str = "", **body: object) -> None:
        self.comments: list[str] = []
        self.events: list[tuple[str, str]] = []
        self.started = time.monotonic()
        self.seconds = 0.0
        self._changed = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._run, args=(market, key, body), daemon=True)
        self._thread.start()

    @property
    def task_id(self) -> str:
        """Of the first task that was announced for it; empty before."""
        return next((item.removeprefix("task ") for item in self.comments if item.startswith("task ")), "")

    @property
    def working(self) -> str:
        """Address of the miner that has shown something last; empty before."""
        steps = [item for item in self.comments if item.startswith("step ")]
        return steps[-1].rpartition(" ")[2] if steps else ""

    @property
    def step(self) -> int:
        """Steps that the present miner has shown."""
        steps = [item for item in self.comments if item.startswith("step ")]
        return int(steps[-1].split()[1]) if steps else 0

    @property
    def over(self) -> bool:
        return self._over

    def wait(self, condition, timeout_s: float) -> None:
        """Until `condition(self)` holds."""
        with self._changed:
            held = self._changed.wait_for(lambda: condition(self) or self._over, timeout_s)
        assert held, self.comments[-3:]
        assert condition(self), (self.comments[-3:], self.events)

    def wait_until_over(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)
        assert self._over, self.comments[-3:]

    def _read(self, market, body: dict[str, object], headers: dict[str, str]) -> None:
        with (
            market.client() as client,
            client.stream("POST", GENERATIONS, json=body, headers=headers) as response,
        ):
            if response.status_code != 200:
                self.events.append((str(response.status_code), response.read().decode()))
            for name, data in events_of(response):
                with self._changed:
                    if name == "comment":
                        self.comments.append(data)
                    else:
                        self.events.append((name, data))
                    self._changed.notify_all()

    def _run(self, market, key: str, body: dict[str, object]) -> None:
        headers = {"Idempotency-Key": key} if key else {}
        body = {"prompt": "a red apple", "stream": True} | body
        try:
            self._read(market, body, headers)
        except httpx2.HTTPError as error:
            self.events.append(("cut off", str(error)))
        with self._changed:
            self._over, self.seconds = True, time.monotonic() - self.started
            self._changed.notify_all()
