"""p2p/session/hub.py on real sockets: what is read and written in which order, and for whom."""

import os
import socket
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from p2p.session import hub as hub_module
from p2p.session.hub import Hub
from protocol.errors import LocalError


@asynccontextmanager
async def running_hub():
    hub = Hub()
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        yield hub
        nursery.cancel_scope.cancel()


class Reader:
    """Reads a byte at a time from its end of a pair of sockets, and says so."""

    def __init__(self, hub, name, log):
        self.near, self.far = socket.socketpair()
        self.hub, self.name, self.log = hub, name, log
        self.read = self._read  # one object, as the hub asks for
        assert hub.watch(self.near.fileno(), self.read)

    def _read(self):
        assert self.near.recv(1)
        self.log.append(self.name)

    def close(self):
        self.hub.unwatch(self.near.fileno(), self.read)
        self.near.close()
        self.far.close()


async def test_everything_that_is_there__is_read_before_anything_is_written():
    log = []
    async with running_hub() as hub:
        readers = [Reader(hub, name, log) for name in "abc"]
        for reader in readers:
            reader.far.send(b"x")
        hub.write_later(lambda: log.append("written"))
        assert log == []
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(log[:3]) == ["a", "b", "c"]
        assert log[3:] == ["written"]
        for reader in readers:
            reader.close()


async def test_what_reading_gave_to_write__is_written_after_what_came_meanwhile():
    log = []
    async with running_hub() as hub:
        first, second = Reader(hub, "first", log), Reader(hub, "second", log)

        def read_and_answer():
            first._read()
            hub.write_later(lambda: log.append("answer"))
            second.far.send(b"x")

        hub.unwatch(first.near.fileno(), first.read)
        hub.watch(first.near.fileno(), read_and_answer)
        first.far.send(b"x")
        await trio.testing.wait_all_tasks_blocked()
        assert log == ["first", "second", "answer"]
        hub.unwatch(first.near.fileno(), read_and_answer)
        for reader in (first, second):
            reader.close()


async def test_writing_at_once__leaves_nothing_for_later():
    log = []
    async with running_hub() as hub:
        hub.write_later(lambda: hub.write_later(lambda: log.append("what the first asked for")))
        hub.flush()
        assert log == ["what the first asked for"]
        await trio.testing.wait_all_tasks_blocked()
        assert len(log) == 1


async def test_attack_many_that_talk_without_end__keep_nobody_waiting(
    monkeypatch,
):
    monkeypatch.setattr(hub_module, "TURN_READS_MAX", 2)
    log = []
    async with running_hub() as hub:
        readers = [Reader(hub, name, log) for name in "abcde"]
        for reader in readers:
            reader.far.send(bytes(1_000))
        while len(log) < 100:
            before = len(log)
            await trio.lowlevel.checkpoint()
            assert len(log) - before <= 2 * 2  # it may have the last turn of a pass and the first of the next
        counts = [log.count(name) for name in "abcde"]
        assert max(counts) - min(counts) <= 1
        for reader in readers:
            reader.close()


async def test_a_reader_that_is_gone__is_not_called_even_if_its_turn_was_near():
    log = []
    async with running_hub() as hub:
        readers = [Reader(hub, name, log) for name in "ab"]

        def read_and_close_the_other(mine, other):
            mine._read()
            other.close()

        for mine, other in (readers, readers[::-1]):
            hub.unwatch(mine.near.fileno(), mine.read)
            mine.read = lambda mine=mine, other=other: read_and_close_the_other(mine, other)
            hub.watch(mine.near.fileno(), mine.read)
            mine.far.send(b"x")
        await trio.testing.wait_all_tasks_blocked()
        assert len(log) == 1
        next(reader for reader in readers if reader.name in log).close()


async def test_a_socket_closed_without_a_word__gives_its_number_to_the_next():
    log = []
    async with running_hub() as hub:
        lost = Reader(hub, "lost", log)
        number = lost.near.fileno()
        os.close(lost.near.detach())
        near, far = socket.socketpair()
        if near.fileno() != number:
            os.dup2(near.fileno(), number)
            near = socket.socket(fileno=number)
        found = Reader.__new__(Reader)
        found.near, found.far, found.hub, found.name, found.log = near, far, hub, "found", log
        found.read = found._read
        assert hub.watch(number, found.read)
        hub.unwatch(number, lost.read)  # too late, and no harm
        far.send(b"x")
        await trio.testing.wait_all_tasks_blocked()
        assert log == ["found"]
        found.close()
        lost.far.close()


async def test_a_call_that_raises__is_counted_and_ends_nobody_else():
    log = []

    def fail():
        raise RuntimeError("fault")

    async with running_hub() as hub:
        hub.write_later(fail)
        hub.write_later(lambda: log.append("written"))
        await trio.testing.wait_all_tasks_blocked()
        assert log == ["written"]
        assert hub.calls_failed == 1


async def test_a_hub__runs_once_and_watches_nothing_before():
    hub = Hub()
    assert not hub.watch(0, print)
    hub.unwatch(0, print)
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        with pytest.raises(LocalError):
            await hub.run()
        nursery.cancel_scope.cancel()


async def test_whoever_is_attended_to__is_called_at_each_beat_until_it_leaves(autojump_clock):
    log = []

    def first():
        log.append("first")
        hub.remove_keepalive(second)  # who would have been next

    def second():
        log.append("second")

    async with running_hub() as hub:
        hub.add_keepalive(first)
        hub.add_keepalive(second)
        await trio.sleep(2.5 * hub_module.BEAT_MS / 1000)
        assert log == ["first", "first"]
        hub.remove_keepalive(first)
        hub.remove_keepalive(first)
        hub.add_keepalive(second)
        await trio.sleep(hub_module.BEAT_MS / 1000)
        assert log == ["first", "first", "second"]


async def test_a_look_that_raises__is_counted_and_others_are_called(autojump_clock):
    log = []

    def fail():
        raise RuntimeError("fault")

    async with running_hub() as hub:
        hub.add_keepalive(fail)
        hub.add_keepalive(lambda: log.append("seen"))
        await trio.sleep(1.5 * hub_module.BEAT_MS / 1000)
        assert log == ["seen"]
        assert hub.calls_failed == 1
