"""One target under atheris, which follows coverage; started by `python -m tests.fuzz`, a process a target."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["protocol", "p2p.session"]):
    from tests.fuzz.targets import targets


def main() -> None:
    """``python -m tests.fuzz.guided NUMBER`` and libFuzzer's own arguments."""
    target = targets()[int(sys.argv[1])]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
