"""The shell of the coordinator's engine: what comes before the journal was read, and after a sleep."""

from types import SimpleNamespace

import trio

from node.coordinator import shell
from node.coordinator.engine import TICK_MS
from node.coordinator.shell import ASLEEP_MS, EngineShell
from tests.node.coordinator.desk import Desk


class Place:
    """Stands where a peer and a journal do, and notes in which order they are used."""

    def __init__(self, desk):
        self.did = []
        self.shell = EngineShell(desk.engine, self.peer(), desk.purse, self)

    def peer(self):
        parameters = SimpleNamespace(assigned_miners=3)
        return SimpleNamespace(
            context=SimpleNamespace(events=None),
            alone=trio.Event(),
            host=SimpleNamespace(handle_direct_streams=self.serve),
            network=SimpleNamespace(parameters=parameters),
        )

    def load(self, book):
        assert not book.orders
        self.did.append(("journal read", self.shell.has_resumed))

    def serve(self, protocol, _handler, *, admission):
        self.did.append(("streams served", self.shell.has_resumed))
        self.admission = protocol, admission


async def test_attack_an_app_asks_again_while_the_journal_is_read(nursery, autojump_clock):
    """Its order would not be found, and placed and paid a second time."""
    place = Place(Desk())
    nursery.start_soon(place.shell.run)
    await trio.sleep(1)
    assert (place.did, place.shell.has_resumed) == ([], False)
    place.shell._peer.alone.set()
    await trio.sleep(1)
    assert place.did == [("journal read", False), ("streams served", True)]


async def test_the_streams_of_drawn_miners_are_as_many_as_turns_can_be(nursery, autojump_clock):
    place = Place(Desk())
    place.shell._peer.alone.set()
    nursery.start_soon(place.shell.run)
    await trio.sleep(1)
    protocol, admission = place.admission
    assert protocol == "/cuckoo/task/1"
    assert (admission.assigned.per_peer_max, admission.assigned.total_max) == (64, 3 * 256)
    assert admission.strangers.total_max == 0


async def test_a_machine_that_slept_or_stood_still_is_told_from_one_that_ran(
    nursery, autojump_clock, monkeypatch
):
    """The clock of waits goes on in a sleep, and that of trio does not: whatever comes first tells of it."""
    place, slept_ms = Place(Desk()), [0]
    monkeypatch.setattr(shell, "steady_ms", lambda: round(1000 * trio.current_time()) + slept_ms[0])
    woken = []
    monkeypatch.setattr(place.shell._engine, "wake", woken.append)
    monkeypatch.setattr(
        place.shell._engine, "tick", lambda now_ms: woken.append("tick") or [] if woken else []
    )
    place.shell._peer.alone.set()
    nursery.start_soon(place.shell.run)
    await trio.sleep(60)
    slept_ms[0] += ASLEEP_MS - TICK_MS - 1
    await trio.sleep(60)
    assert woken == []
    slept_ms[0] += ASLEEP_MS
    await trio.sleep(TICK_MS / 1000)
    assert woken == [shell.steady_ms(), "tick"]
