"""Stopping by a signal: the body is cancelled, what fails afterwards is no error, what failed before is.

And what a start leaves to the garbage collector.
"""

import gc
import os
import signal
import threading
import time

import pytest
import trio

from node.system.lifetime import leave_startup_uncollected, stopped_by_signals
from protocol.errors import LocalError
from tests.contracts.fakes import fake
from tests.contracts.test_contract import STAKED_LOG, contract_with
from tests.limits import HANG_S

LOGS_OF_A_PAGE = 3_000
"""Some 2 MiB of JSON: the longest answer for several blocks."""
STOPPED_S_MAX = 5.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_ends_the_body_without_an_error(number):
    async with stopped_by_signals():
        os.kill(os.getpid(), number)
        await trio.sleep_forever()


async def test_what_is_there_at_the_end_is_left_to_the_system():
    gc.unfreeze()
    try:
        async with stopped_by_signals():
            os.kill(os.getpid(), signal.SIGTERM)
            await trio.sleep_forever()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


async def test_a_node_that_decodes_logs_without_end_stops_within_seconds():
    pages = fake(result=[STAKED_LOG] * LOGS_OF_A_PAGE)
    sent_s = []

    def send():
        sent_s.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGTERM)

    decoded = 0
    async with contract_with(pages) as contract, stopped_by_signals():
        while True:
            decoded += len(await contract.events(["Staked"], 7, 8))
            if decoded == LOGS_OF_A_PAGE:
                # Some way into the next page.
                timer = threading.Timer(0.05, send)
                timer.start()
    timer.join()
    assert decoded >= LOGS_OF_A_PAGE
    assert time.monotonic() - sent_s[0] < STOPPED_S_MAX


async def test_failure_while_stopping_is_no_error():
    async with stopped_by_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await trio.sleep_forever()
        finally:
            raise LocalError("a child died of the same signal")


async def test_failure_of_the_body_is_an_error():
    with pytest.RaisesGroup(LocalError):
        async with stopped_by_signals():
            raise LocalError("a real one")


async def test_body_that_ends_by_itself_ends_the_context():
    with trio.fail_after(HANG_S):
        async with stopped_by_signals():
            pass


def test_what_is_there_at_the_start_is_not_collected_again():
    kept = [object() for _ in range(3)]
    try:
        leave_startup_uncollected()
        assert gc.get_freeze_count() > len(kept)
        assert not any(item is kept for item in gc.get_objects())
    finally:
        gc.unfreeze()
    assert any(item is kept for item in gc.get_objects())
