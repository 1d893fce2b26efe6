"""p2p/session/connection.py, what spares a turn of a task: writing at once, and handing over what comes."""

import random

import trio
import trio.testing

from tests.limits import HANG_S
from tests.p2p.nodes import connect, open_hosts, settled, until

PROTOCOL = "/test/1"


async def open_pair(hosts):
    """A stream from the first host to the second: both ends."""
    found = []

    async def keep(stream, _peer):
        found.append(stream)
        await trio.sleep_forever()

    hosts[1].handle_streams(PROTOCOL, keep)
    stream = await hosts[0].open_stream(await connect(hosts[0], hosts[1]), [PROTOCOL])
    await until(lambda: found)
    return stream, found[0]


async def test_written_without_waiting__is_all_or_nothing_and_comes_in_order():
    async with open_hosts(2) as hosts:
        ours, theirs = await open_pair(hosts)
        sent = b""
        for number in range(1_000):
            piece = number.to_bytes(4) * 250
            if not ours.write_nowait(piece):
                break
            sent += piece
        else:
            raise AssertionError("a window without end")
        got = b""
        while len(got) < len(sent):
            got += await theirs.read()
        assert got == sent
        await until(lambda: ours.write_nowait(b"there is room again"))


async def test_writing_without_waiting__is_refused_while_another_waits_and_after_the_end():
    async with open_hosts(2) as hosts, trio.open_nursery() as nursery:
        ours, theirs = await open_pair(hosts)
        nursery.start_soon(ours.write, bytes(1_000_000))
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert not ours.write_nowait(b"x")
        rest = 1_000_000
        while rest:
            rest -= len(await theirs.read())
        await until(lambda: ours.write_nowait(b"x"))
        await ours.reset()
        assert not ours.write_nowait(b"x")
        await theirs.reset()
        assert not theirs.write_nowait(b"x")


async def test_what_a_consumer_takes__is_not_read_and_what_it_leaves_is():
    async with open_hosts(2) as hosts:
        ours, theirs = await open_pair(hosts)
        taken = []

        def take(data):
            if data.startswith(b"leave"):
                return False
            taken.append(data)
            return True

        theirs.offer(take)
        await ours.write(b"take")
        await until(lambda: taken == [b"take"])
        await ours.write(b"leave")
        await settled()
        await ours.write(b"take, but after what is unread")
        await settled()
        assert taken == [b"take"]
        assert await theirs.read() == b"leavetake, but after what is unread"
        await ours.write(b"take again")
        await until(lambda: taken == [b"take", b"take again"])
        theirs.offer(None)
        await ours.write(b"take no more")
        assert await theirs.read() == b"take no more"


async def test_what_a_consumer_takes__gives_the_writer_room_again():
    async with open_hosts(2) as hosts:
        ours, theirs = await open_pair(hosts)
        taken = []
        theirs.offer(lambda data: taken.append(data) or True)
        sent = random.Random(1).randbytes(2_000_000)
        with trio.fail_after(HANG_S):
            await ours.write(sent)
        await until(lambda: sum(map(len, taken)) == len(sent))
        assert b"".join(taken) == sent
