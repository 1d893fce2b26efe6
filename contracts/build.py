"""Sources to artefacts: ``python -m contracts.build`` writes them, ``--check`` compares.

Is: a developer's tool around forge, which compiles with the compiler that ``package-lock.json`` pins. Equal
sources give equal bytes on any machine, since no metadata hash goes into the bytecode.
Is not: needed to run a node.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from contracts.artifacts import CONTRACT_NAMES
from contracts.toolchain import CONTRACTS_FOLDER, ToolMissing, find_tool
from protocol.errors import LocalError

ARTIFACTS_FOLDER: Final = CONTRACTS_FOLDER / "artifacts"
BUILD_TIMEOUT_S: Final = 600


class BuildFailed(LocalError):
    """The sources do not compile, or not in time."""


def build() -> dict[str, str]:
    """Compile the sources and return the text of each artefact file by contract name.

    The build goes to a folder of its own, so that it neither trusts nor disturbs forge's cache.

    :raises ToolMissing: it is not installed.
    :raises BuildFailed: it fails, or takes more than `BUILD_TIMEOUT_S`.
    """
    forge = find_tool("forge", CONTRACTS_FOLDER)
    with tempfile.TemporaryDirectory(prefix="cuckoo-build-") as folder:
        out = Path(folder) / "out"
        command = [str(forge), "build", "src", "--force", "--out", str(out)]
        command += ["--cache-path", str(Path(folder) / "cache")]
        try:
            run = subprocess.run(  # noqa: S603 - our own tool from the lock file, no input from outside
                command,
                cwd=CONTRACTS_FOLDER,
                capture_output=True,
                text=True,
                timeout=BUILD_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            message = f"forge build took more than {BUILD_TIMEOUT_S} s"
            raise BuildFailed(message) from error
        if run.returncode != 0:
            message = f"forge build failed:\n{run.stdout}{run.stderr}"
            raise BuildFailed(message)
        return artefacts_in(out)


def artefacts_in(out: Path) -> dict[str, str]:
    """The text of each artefact file by contract name, from the folder to which forge has built them."""
    return {name: _artifact_text(out / f"{name}.sol" / f"{name}.json") for name in CONTRACT_NAMES}


def _artifact_text(path: Path) -> str:
    """Keep of forge's output what a client needs, in one canonical form."""
    compiled = json.loads(path.read_text("utf-8"))
    kept = {"abi": compiled["abi"], "bytecode": compiled["bytecode"]["object"]}
    return json.dumps(kept, indent=1, sort_keys=True) + "\n"


def differences(built: dict[str, str]) -> list[str]:
    """Name the contracts whose committed artefact is not, byte for byte, what was built."""
    names = []
    for name, text in built.items():
        path = ARTIFACTS_FOLDER / f"{name}.json"
        if not path.exists() or path.read_bytes() != text.encode("utf-8"):
            names.append(name)
    return names


def main() -> int:
    """Write the artefacts, or with ``--check`` only compare; 1 if they differ, 2 if there is no build."""
    parser = argparse.ArgumentParser(prog="python -m contracts.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a rebuild differs")
    check: bool = parser.parse_args().check
    try:
        built = build()
    except (BuildFailed, ToolMissing) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    changed = differences(built)
    if check:
        for name in changed:
            sys.stderr.write(
                f"artifacts/{name}.json is not what the sources build to: run this without --check\n"
            )
        return 1 if changed else 0
    ARTIFACTS_FOLDER.mkdir(exist_ok=True)
    for name, text in built.items():
        (ARTIFACTS_FOLDER / f"{name}.json").write_bytes(text.encode("utf-8"))
    sys.stdout.write(f"wrote {len(built)} artefacts, changed: {', '.join(changed) or 'none'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
