"""The portal in a real browser: Debian's chromium, driven by Playwright in an environment of its own
(`.venv`).

Is: a wallet that signs for real (`wallet`), what is played in the browser (`play`, which runs in `.venv`
and knows nothing of the node), and tests that start a market around both.
Is not: needed on a machine without a browser; the tests are then left out, and say what brings it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

FOLDER = Path(__file__).parent
PYTHON = FOLDER / ".venv" / "bin" / "python"
"""Of the environment with Playwright; `make setup` makes it."""
NAMES = ("chromium", "chromium-browser", "google-chrome")


def browser() -> str | None:
    """The browser's program, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def missing() -> str | None:
    """What these tests lack, with the command that brings it; None when nothing."""
    if browser() is None:
        return "no browser: bring it with sudo apt-get install chromium"
    if not PYTHON.exists():
        return "no Playwright: bring it with make setup"
    return None
