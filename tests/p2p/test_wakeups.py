"""p2p/wakeups.py: whoever waits is woken, and no change is missed."""

import trio
import trio.testing

from p2p.wakeups import Signal


async def test_a_signal__wakes_all_that_wait_now_and_none_that_wait_later(autojump_clock):
    signal, woken = Signal(), []

    async def wait(name):
        await signal.wait()
        woken.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, "one")
        nursery.start_soon(wait, "two")
        await trio.testing.wait_all_tasks_blocked()
        signal.notify()
        nursery.start_soon(wait, "late")
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(woken) == ["one", "two"]
        signal.notify()
    assert woken[2:] == ["late"]


async def test_a_change_while_a_task_works__is_seen_by_the_event_that_it_took_before(autojump_clock):
    signal = Signal()
    changed = signal.next_event()
    signal.notify()
    signal.notify()
    await changed.wait()
    with trio.move_on_after(1) as scope:
        await signal.next_event().wait()
    assert scope.cancelled_caught


async def test_a_wait_that_is_cancelled__leaves_the_signal_to_others(autojump_clock):
    signal = Signal()
    with trio.move_on_after(1):
        await signal.wait()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(signal.wait)
        await trio.testing.wait_all_tasks_blocked()
        signal.notify()
