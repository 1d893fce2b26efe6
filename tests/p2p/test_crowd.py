"""Twenty peers in four processes and a bootstrap peer in a fifth: what a network goes through, for real."""

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from tests.limits import CHILD_TIMEOUT_S
from tests.node.bootstrap.processes import running_bootstrap

pytestmark = pytest.mark.process

PROCESSES, EACH = 4, 5
# Seconds on an idle machine; the bounds are for one with a dozen times more to do than it can.
TOGETHER_TIMEOUT_S = 120
D_LOW = 5
FROZEN_TIMEOUT_S = 45


class Crowd:
    """One process of several peers."""

    def __init__(self, first, bootnode):
        command = [sys.executable, "-m", "tests.p2p.crowd", str(first), str(EACH), str(bootnode)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def ask(self, command="report"):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.kill()
        self.process.wait(CHILD_TIMEOUT_S)
        self.process.stdin.close()
        self.process.stdout.close()


@contextmanager
def crowds_of(bootnode):
    crowds = [Crowd(1 + index * EACH, bootnode) for index in range(PROCESSES)]
    try:
        yield crowds
    finally:
        for crowd in crowds:
            crowd.end()


def wait_until(condition, timeout_s):
    started = time.monotonic()
    while not (done := condition()):
        assert time.monotonic() - started < timeout_s, done
        time.sleep(1)
    return time.monotonic() - started


def reports(crowds):
    return [report for crowd in crowds for report in crowd.ask()]


def together(crowds):
    """Whether all have heard of all others, and each has a mesh of enough of them now."""
    everybody = reports(crowds)
    peers = {report["peer"] for report in everybody}
    return all(
        peers - {report["peer"]} <= set(report["discovered"]) and len(set(report["mesh"]) & peers) >= D_LOW
        for report in everybody
    )


async def test_twenty_peers__find_each_other_through_one_bootstrap_peer_and_outlive_what_befalls_them(
    tmp_path,
):
    async with running_bootstrap(tmp_path) as bootstrap:
        with crowds_of(bootstrap.address) as crowds:
            reports(crowds)  # all have started
            seconds = wait_until(lambda: together(crowds), TOGETHER_TIMEOUT_S)
            sys.stdout.write(f"twenty peers know each other and have meshes after {seconds:.1f} s\n")
            bootnode = str(bootstrap.address).rpartition("/")[2]
            assert not any(bootnode in report["mesh"] for report in reports(crowds))

            everybody_hears(crowds, "first")
            found_by_address(crowds)
            frozen_are_dropped(crowds)
            killed_come_back(crowds, bootstrap.address)

            # Without its bootstrap peer the network goes on.
            bootstrap.process.kill()
            everybody_hears(crowds, "orphans")


def everybody_hears(crowds, word):
    said = {f"{word} {report['peer']}" for report in crowds[0].ask(f"say {word}")}
    wait_until(
        lambda: all(
            said - {f"{word} {report['peer']}"} <= set(report["heard"]) for report in reports(crowds)
        ),
        30,
    )


def found_by_address(crowds):
    (wanted, *_) = crowds[3].ask()
    found = {report["found"] for report in crowds[0].ask(f"find {wanted['account']}")}
    assert found == {wanted["peer"]}
    assert {report["found"] for report in crowds[0].ask(f"find {'ab' * 20}")} == {None}


def frozen_are_dropped(crowds):
    frozen = {report["peer"] for report in crowds[1].ask()}
    crowds[1].process.send_signal(signal.SIGSTOP)
    others = [crowds[0], crowds[2], crowds[3]]
    wait_until(
        lambda: not any(frozen & set(report["connected"]) for report in reports(others)), FROZEN_TIMEOUT_S
    )
    assert sum(report["frozen"] for report in reports(others)) >= 1
    crowds[1].process.send_signal(signal.SIGCONT)
    wait_until(lambda: together(crowds), TOGETHER_TIMEOUT_S)


def killed_come_back(crowds, bootnode):
    killed = {report["peer"] for report in crowds[2].ask()}
    crowds[2].end()
    others = [crowds[0], crowds[1], crowds[3]]
    wait_until(lambda: not any(killed & set(report["connected"]) for report in reports(others)), 20)
    crowds[2] = Crowd(1 + 2 * EACH, bootnode)
    wait_until(lambda: together(crowds), TOGETHER_TIMEOUT_S)
    assert {report["peer"] for report in crowds[2].ask()} == killed
    everybody_hears(crowds, "again")
