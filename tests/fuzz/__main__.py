"""Fuzz every decoder and validator, one line a target.

    python -m tests.fuzz --seconds 60      guided by coverage (atheris), so long in all
    python -m tests.fuzz --cases 1000000   our own mutations, so many in all, with the growth of memory

Status 1 when a target raised what no peer's bytes may raise, or memory grew past its bound.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz import plain
from tests.fuzz.targets import Target, targets
from tests.limits import CHILD_TIMEOUT_S

WARM_UP_CASES = 20_000
GROWTH_BYTES_MAX = 16 * 1024 * 1024
"""How much memory may grow after the warm-up, over all targets together."""
MIB = 1024 * 1024


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def by_cases(chosen: list[Target], cases: int, seed: int) -> bool:
    """Our own mutations; whether memory stayed flat."""
    each = -(-cases // len(chosen))
    for target in chosen:
        plain.run(target, min(each, WARM_UP_CASES), seed)
    gc.collect()
    begun, before = time.monotonic(), plain.resident_bytes()
    for target in chosen:
        started = plain.resident_bytes()
        plain.run(target, each, seed + 1)
        growth = plain.resident_bytes() - started
        say(f"{target.name:24} {each:>9,} cases   memory {growth / MIB:+6.1f} MiB")
    growth = plain.resident_bytes() - before
    seconds = time.monotonic() - begun
    say(f"{each * len(chosen):,} cases in {seconds:.0f} s, memory {growth / MIB:+.1f} MiB; seed {seed}")
    return growth <= GROWTH_BYTES_MAX


def by_coverage(chosen: list[tuple[int, Target]], seconds: int) -> bool:
    """Atheris, a process a target; whether no target failed."""
    each_s = max(1, seconds // len(chosen))
    good = True
    for number, target in chosen:
        with tempfile.TemporaryDirectory() as folder:
            for index, seed in enumerate(target.seeds):
                (Path(folder) / str(index)).write_bytes(seed)
            command = [sys.executable, "-m", "tests.fuzz.guided", str(number), folder]
            command += [f"-max_total_time={each_s}", "-print_final_stats=1", "-max_len=4096"]
            command += [f"-artifact_prefix={folder}/"]
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=each_s + CHILD_TIMEOUT_S,
            )
        say(f"{target.name:24} {_summary(done.stderr)}")
        if done.returncode:
            good = False
            say((done.stdout + done.stderr)[-3000:])
    return good


def _summary(stderr: str) -> str:
    covered = [int(number) for number in re.findall(r"cov: (\d+)", stderr)]
    memory = [int(number) for number in re.findall(r"rss: (\d+)Mb", stderr)]
    executions = re.search(r"stat::number_of_executed_units: (\d+)", stderr)
    cases = int(executions.group(1)) if executions else 0
    if not covered or not memory:
        return f"{cases:>9,} cases"
    return (
        f"{cases:>9,} cases   coverage {covered[0]:>4} to {covered[-1]:>4}   "
        f"memory {memory[0]} to {max(memory)} MiB"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="time in all, guided by coverage")
    parser.add_argument("--cases", type=int, help="number in all, of our own mutations")
    parser.add_argument("--seed", type=int, help="of our own mutations; default: another each time")
    parser.add_argument("--target", default="", help="only targets whose name holds this")
    options = parser.parse_args()
    chosen = [(number, one) for number, one in enumerate(targets()) if options.target in one.name]
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    if options.cases is not None:
        return 0 if by_cases([target for _, target in chosen], options.cases, seed) else 1
    if importlib.util.find_spec("atheris") is not None:
        return 0 if by_coverage(chosen, options.seconds) else 1
    say("atheris is not installed (extra `fuzz`); our own mutations instead")
    until, good = time.monotonic() + options.seconds, True
    while time.monotonic() < until and good:
        good = by_cases([target for _, target in chosen], 20_000, seed)
        seed += 2
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
