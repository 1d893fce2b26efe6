"""Runs a module as ``__main__`` and ends with its parent: `python -m node.devnet.child MODULE ARGUMENTS…`.

Is: what lets no node outlive the devnet, even one that died of SIGKILL: the pipe on standard input closes
then, on every system. Linux' parent-death signal would not do: it follows the thread that started the child.
Is not: part of a node; `MODULE` is `node.cli`, which knows nothing of this.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
