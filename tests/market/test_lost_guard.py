"""A miner whose guard is lost, on a running market: it refuses, and its new guard contradicts nothing.

Ten minutes of offers, with `CUCKOO_LONG=1` alone; by a moved clock: `tests/node/signing/test_lost_guard.py`.
"""

import subprocess
import sys
import time

import pytest

from node.signing.guard import GUARD_FILE
from tests.limits import CHILD_TIMEOUT_S
from tests.market.asking import WHOLE, ask, tell
from tests.market.conftest import REPOSITORY, START_TIMEOUT_S

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        not WHOLE, reason="CUCKOO_LONG=1 and -o faulthandler_timeout=1500 run its ten minutes"
    ),
]
OFFERS_S = 600
NAME = "miner-1"


def evidence(market):
    return {path.name for path in market.folder.glob("*/evidence/*.json")}


def test_attack_ten_minutes_of_offers_after_the_guard_was_lost(rogue_market):
    before, folder = evidence(rogue_market), rogue_market.data_dir(NAME)
    command = rogue_market.kill(NAME)
    lost = folder.parent / "lost"
    lost.mkdir()
    for path in folder.glob(f"{GUARD_FILE}*"):
        path.rename(lost / path.name)
    log = lost / "refused.log"
    # It ends with its standard input, which therefore stays open.
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=output, cwd=REPOSITORY
        ) as refused,
    ):
        assert refused.wait(START_TIMEOUT_S) == 2
    assert f"cuckoo-peer guard init {folder} --never-signed" in log.read_text()
    assert not (folder / GUARD_FILE).exists()
    made = [sys.executable, "-m", "node.cli", "guard", "init", str(folder), "--never-signed"]
    made += ["--password-file", str(rogue_market.folder / "password")]
    subprocess.run(made, check=True, cwd=REPOSITORY, timeout=CHILD_TIMEOUT_S)
    rogue_market.mend({NAME: command})
    began, answers = time.monotonic(), []
    while time.monotonic() < began + OFFERS_S:
        answers.append(ask(rogue_market, steps=1))
        time.sleep(5)
    tell(f"{len(answers)} requests in {OFFERS_S} s, {sum(a.status == 200 for a in answers)} answered")
    assert rogue_market.restarted[NAME].poll() is None
    assert evidence(rogue_market) == before
