"""What a node needs to be installed: only miners need the extra, and even they not in their own process."""

import subprocess
import sys

import pytest

from tests.limits import CHILD_TIMEOUT_S

BLOCKED = """
import sys
for name in ("torch", "diffusers", "transformers", "accelerate", "safetensors", "tokenizers"):
    sys.modules[name] = None  # importing it fails as if it were not installed
import node.run, node.api.app, node.system.web_server, node.cli
import node.commands.evidence_reports, node.commands.slash
import node.inference.pool.pool
from node.coordinator.catalogue import Catalogue
from node.settings import embedded_folders
print(Catalogue.of_folders(embedded_folders()).models()[0].name)
"""


@pytest.mark.process
def test_every_role_starts_without_the_extra_of_miners():
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BLOCKED],
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
    )
    assert (run.returncode, run.stdout.strip()) == (0, "cuckoo-icons"), run.stderr
