"""All benchmarks, one after another: ``python -m tests.bench``. Status 1 when any goal is missed."""

from __future__ import annotations

import subprocess
import sys
import time

BENCHES = {
    "tests.bench.protocol": 1,
    "tests.bench.inference": 2,
    "tests.bench.audit": 2,
    "tests.bench.router": 1,
    "tests.bench.transport": 1,
    "tests.bench.relay": 1,
    "tests.bench.failover": 3,
    "tests.bench.app": 3,
    "tests.bench.mesh": 6,
}
"""Modules with a command line, and the minutes that each may take."""


def main() -> int:
    sys.stdout.write(
        f"Measuring takes at most {sum(BENCHES.values())} minutes. Leave the machine alone meanwhile.\n"
    )
    missed = []
    for module, minutes_max in BENCHES.items():
        sys.stdout.write(f"\n{module}, at most {minutes_max} min\n\n")
        sys.stdout.flush()
        started = time.monotonic()
        try:
            status = subprocess.run([sys.executable, "-m", module], timeout=60 * minutes_max).returncode
        except subprocess.TimeoutExpired:
            status = 1
        sys.stdout.write(f"\n{module} took {time.monotonic() - started:.0f} s\n")
        if status:
            missed.append(module)
    sys.stdout.write(f"\nmissed a goal: {', '.join(missed)}\n" if missed else "\nall goals reached\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
