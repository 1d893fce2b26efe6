"""From an app to its picture: the market beside a plain server of the same model and threads.

    python -m tests.bench.app [--pairs 15]

Is: a real market (chain, coordinator, three miners, each with its inference process) and a plain server, of
FastAPI and diffusers (`plain_server`), asked in turns; medians of pairs, the processors' time of each process
by task and by step, and a burst beside what the miners' own loops make without a market. Status 1 when a goal
is missed.
Is not: a test; a machine that does other things besides makes all of it longer, so the load is told.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil

from node.inference.packages.package import load
from node.settings import embedded_folders
from tests.bench.inference import Bench
from tests.bench.protocol import report, say
from tests.clients import PYTHON
from tests.limits import CHILD_TIMEOUT_S
from tests.market.asking import GENERATIONS
from tests.market.conftest import RunningMarket, running_market
from tests.market.test_worker_lost import worker_of

PAIRS = 15
STEPS = (20, 50)
BURST = 24
THREADS = 1
IDLE_S = 5
START_S_MAX = 120
RATIO_MAX = 1.05
OVERHEAD_MS_MAX = 60
BURST_SHARE_MIN = 0.95
PARTS = ("coordinator", "miners", "workers", "plain")


@dataclass(frozen=True, slots=True)
class Pair:
    """The same picture twice.

    :ivar market_ms, plain_ms: from the request to its answer.
    :ivar cpu_ms: by part, without what each takes when nobody asks.
    :ivar phases_ms: of the market's, as `explain` tells them.
    """

    market_ms: float
    plain_ms: float
    cpu_ms: Mapping[str, float]
    phases_ms: Mapping[str, int]


class Contest:
    """Both, running."""

    def __init__(self, market: RunningMarket, plain: subprocess.Popen[bytes], plain_url: str) -> None:
        names = market.description["nodes"]
        miners = [market.process_of(name) for name in names if name.startswith("miner")]
        workers = [worker_of(process) for process in miners]
        assert all(workers), "a miner has no inference process"
        self._processes = {
            "coordinator": [psutil.Process(market.process_of("coordinator"))],
            "miners": [psutil.Process(process) for process in miners],
            "workers": [psutil.Process(process) for process in workers],
            "plain": [psutil.Process(plain.pid)],
        }
        self.miners = len(miners)
        guidance = load(embedded_folders()[0]).card.default_guidance_milli / 1000
        self._wish = {"prompt": "a red apple", "guidance": guidance}
        self._market = market.client()
        self._plain = httpx2.Client(base_url=plain_url, timeout=CHILD_TIMEOUT_S, trust_env=False)
        self._seed, self._task = 0, ""

    def cpu_ms(self) -> dict[str, float]:
        """Processors' time so far, by part."""
        return {
            part: sum(1000 * sum(item.cpu_times()[:2]) for item in items)
            for part, items in self._processes.items()
        }

    def idle_ms_per_s(self) -> dict[str, float]:
        """The same of a second in which nobody asks."""
        before = self.cpu_ms()
        time.sleep(IDLE_S)
        after = self.cpu_ms()
        return {part: (after[part] - before[part]) / IDLE_S for part in PARTS}

    def ask(self, client: httpx2.Client, steps: int) -> float:
        """Ms of one picture."""
        self._seed += 1
        body = self._wish | {"steps": steps, "seed": self._seed}
        started = time.perf_counter()
        response = client.post(GENERATIONS, json=body)
        taken = time.perf_counter() - started
        assert response.status_code == 200, response.text
        document = response.json()
        assert document["data"][0]["b64_json"]
        if client is self._market:
            self._task = document["cuckoo"]["tasks"][0]
        return taken * 1000

    def phases_ms(self) -> dict[str, int]:
        """How long each phase of the market's last picture took."""
        phases: dict[str, int] = self._market.get(f"/v1/cuckoo/tasks/{self._task}/explain").json()[
            "phases_ms"
        ]
        return phases

    def pair(self, steps: int, idle: Mapping[str, float], *, plain_first: bool) -> Pair:
        """Ask both; each part's time without what it takes when nobody asks."""
        before, started = self.cpu_ms(), time.perf_counter()
        if plain_first:
            plain_ms = self.ask(self._plain, steps)
            market_ms = self.ask(self._market, steps)
        else:
            market_ms = self.ask(self._market, steps)
            plain_ms = self.ask(self._plain, steps)
        after, taken_s = self.cpu_ms(), time.perf_counter() - started
        spent = {part: after[part] - before[part] - idle[part] * taken_s for part in PARTS}
        return Pair(market_ms, plain_ms, spent, self.phases_ms())

    def burst_per_s(self, which: str) -> float:
        """Pictures a second of `BURST` requests at once."""
        client = self._market if which == "market" else self._plain
        started = time.perf_counter()
        with ThreadPoolExecutor(BURST) as threads:
            list(threads.map(lambda _: self.ask(client, STEPS[0]), range(BURST)))
        return BURST / (time.perf_counter() - started)


def measure(contest: Contest, pairs: int) -> bool:
    """The pairs, and the budget. :returns: whether all goals were reached."""
    reached, idle = [], contest.idle_ms_per_s()
    costs: dict[int, dict[str, float]] = {}
    for steps in STEPS:
        contest.pair(steps, idle, plain_first=True)  # warms up
        found = [contest.pair(steps, idle, plain_first=bool(number % 2)) for number in range(pairs)]
        market, plain = (statistics.median(values) for values in _columns(found))
        over = statistics.median(item.market_ms - item.plain_ms for item in found)
        ratio = statistics.median(item.market_ms / item.plain_ms for item in found)
        say(f"{steps} steps: market {market:.0f} ms, plain {plain:.0f} ms, {over:+.0f} ms, {ratio:.2f} x")
        if steps == STEPS[0]:
            reached.append(
                report(
                    f"own overhead, {steps} steps",
                    f"{over:.0f} ms",
                    f"<= {OVERHEAD_MS_MAX} ms",
                    over <= OVERHEAD_MS_MAX,
                )
            )
        else:
            reached.append(
                report(
                    f"market to plain, {steps} steps",
                    f"{ratio:.2f} x",
                    f"<= {RATIO_MAX} x",
                    ratio <= RATIO_MAX,
                )
            )
        tell_phases(found)
        costs[steps] = {part: statistics.median(item.cpu_ms[part] for item in found) for part in PARTS}
    say("\nCPU ms        per task   per step   when nobody asks, per s")
    few, many = STEPS
    for part in PARTS:
        each = (costs[many][part] - costs[few][part]) / (many - few)
        say(f"{part:14}{costs[few][part] - few * each:8.1f}{each:11.2f}{idle[part]:12.1f}")
    return all(reached)


def tell_phases(found: list[Pair]) -> None:
    """Say where the time of a picture goes: waiting for its draw, for a miner, its work, and all else."""
    medians = {
        name: statistics.median(item.phases_ms.get(name, 0) for item in found)
        for name in ("waited", "until_accepted", "worked")
    }
    rest = statistics.median(item.market_ms - item.phases_ms["in_all"] for item in found)
    words = ", ".join(f"{name.replace('_', ' ')} {ms:.0f}" for name, ms in medians.items())
    say(f"  ms by phase: {words}, API and its client {rest:.0f}")


def _columns(found: list[Pair]) -> tuple[list[float], list[float]]:
    return [item.market_ms for item in found], [item.plain_ms for item in found]


def burst(contest: Contest) -> bool:
    """A burst of the market, of the plain server, and of the miners' own loops without a market."""
    market, plain = contest.burst_per_s("market"), contest.burst_per_s("plain")
    own = own_loops_per_s(contest.miners)
    say(f"\nburst of {BURST}: market {market:.2f}/s, plain {plain:.2f}/s")
    say(f"{contest.miners} own loops without a market: {own:.2f}/s")
    share = market / own
    return report("burst to own loops", f"{share:.2f} x", f">= {BURST_SHARE_MIN} x", share >= BURST_SHARE_MIN)


def own_loops_per_s(count: int) -> float:
    """Pictures a second of so many inference loops side by side, without a market around them."""
    command = [sys.executable, "-m", "tests.bench.app", "--loop", str(BURST // count)]
    loops = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(count)]
    for item in loops:
        assert item.stdout is not None
        item.stdout.readline()  # it has loaded
    started = time.perf_counter()
    for item in loops:
        assert item.stdin is not None
        item.stdin.close()
    for item in loops:
        assert item.wait(CHILD_TIMEOUT_S) == 0
    return BURST // count * count / (time.perf_counter() - started)


def loop(images: int) -> None:
    """Make so many pictures, once standard input ends."""
    import torch

    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.seconds(1)
        sys.stdout.write("loaded\n")
        sys.stdout.flush()
        sys.stdin.read()
        for _ in range(images):
            bench.seconds(1)


@contextmanager
def plain_server() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The plain server, until the context ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).with_name("plain_server.py")
    command = [str(PYTHON / "python"), str(script), str(embedded_folders()[0]), str(THREADS), str(port)]
    environment = os.environ | {"PYTHONPATH": sysconfig.get_path("purelib")}
    process = subprocess.Popen(command, env=environment)
    try:
        _wait(lambda: _answers(port), process)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(CHILD_TIMEOUT_S)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


def _wait(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S_MAX
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the plain server did not start")
        time.sleep(0.1)


def main() -> int:
    """Measure. :returns: 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.app")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--loop", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.loop:
        loop(arguments.loop)
        return 0
    with (
        tempfile.TemporaryDirectory() as folder,
        plain_server() as (plain, url),
        running_market(Path(folder) / "devnet") as market,
    ):
        time.sleep(IDLE_S)  # until inference processes are warm
        contest = Contest(market, plain, url)
        say(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {THREADS} thread each")
        reached = [measure(contest, arguments.pairs), burst(contest)]
        say(f"load {os.getloadavg()[0]:.1f}")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
