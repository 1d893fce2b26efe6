"""The chain's positions are read while somebody asks, slowly, and not otherwise."""

import trio
import trio.testing

from contracts.errors import ChainUnreachable
from node.portal import ledger as module
from node.portal.ledger import ASKED_FOR_MS, LOOK_S, PAGE_S, Ledger, LedgerStatus


class Pages:
    """Positions of so many pages. :ivar read: times of the reads."""

    pairs = passed_over = 0
    head = 9

    def __init__(self, pages):
        self.left = pages
        self.read = []
        self.faults = 0

    @property
    def next_block(self):
        return len(self.read)

    @property
    def is_caught_up(self):
        return self.left <= 0

    async def advance(self):
        self.read.append(trio.current_time())
        if self.faults:
            self.faults -= 1
            raise ChainUnreachable("host", "gone")
        self.left -= 1

    def of(self, account):
        return {account: frozenset()}


async def run_for(ledger, seconds):
    with trio.move_on_after(seconds):
        await ledger.run()


async def test_nothing_is_read_before_somebody_asks(autojump_clock):
    pages = Pages(3)
    await run_for(Ledger(pages), 1_000)
    assert pages.read == []


async def test_pages_are_read_at_a_bounded_rate__and_the_newest_looked_at_now_and_then(autojump_clock):
    pages = Pages(3)
    ledger = Ledger(pages)
    began = trio.current_time()
    assert ledger.of(b"a") == {b"a": frozenset()}
    await run_for(ledger, 2 * PAGE_S + 2 * LOOK_S + 0.1)
    waits = [at - began for at in pages.read]
    assert waits == [0, PAGE_S, 2 * PAGE_S, 2 * PAGE_S + LOOK_S, 2 * PAGE_S + 2 * LOOK_S]
    assert ledger.status() == LedgerStatus(0, 5, 9, True, 0)


async def test_a_silent_chain_is_asked_again_later(autojump_clock):
    pages = Pages(1)
    pages.faults = 1
    ledger = Ledger(pages)
    ledger.of(b"a")
    await run_for(ledger, LOOK_S + 0.1)
    assert (len(pages.read), pages.is_caught_up) == (2, True)


async def test_when_nobody_asks_any_more_it_rests__until_somebody_does(autojump_clock, monkeypatch):
    now_ms = 1_000
    monkeypatch.setattr(module, "steady_ms", lambda: now_ms)
    pages = Pages(1)
    ledger = Ledger(pages)
    ledger.of(b"a")
    now_ms += ASKED_FOR_MS + 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ledger.run)
        await trio.sleep(100)
        assert pages.read == []
        ledger.of(b"a")
        await trio.sleep(LOOK_S / 2)
        assert len(pages.read) == 1
        nursery.cancel_scope.cancel()
