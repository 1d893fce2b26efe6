"""No import of ours leaves the process open to a deeply nested text."""

import subprocess
import sys

import pytest

from tests.limits import CHILD_TIMEOUT_S

NESTED = """
import json, pathlib, sys
limit = sys.getrecursionlimit()
import node.run, node.api.app, node.commands.evidence_reports
import node.signing.keys, contracts.deploy, contracts.anvil, contracts.account
key = node.signing.keys.create_keystore(pathlib.Path(sys.argv[1]), b"password", scrypt_n=2)
contracts.account.Account(key.secret)
assert sys.getrecursionlimit() == limit, sys.getrecursionlimit()
try:
    json.loads("[" * 1_000_000)
except RecursionError:
    print("refused")
"""


@pytest.mark.process
def test_deeply_nested_json_is_an_error_and_no_crash(tmp_path):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NESTED, str(tmp_path / "key")],
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
    )
    assert (run.returncode, run.stdout.strip()) == (0, "refused"), run.stderr
