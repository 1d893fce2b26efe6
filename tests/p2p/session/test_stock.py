"""Our session against py-libp2p's own noise and yamux, both ways round."""

from contextlib import asynccontextmanager

import pytest
import trio
from libp2p.network.stream.exceptions import StreamError
from libp2p.peer.peerinfo import info_from_p2p_addr

from p2p.ping import PING_PROTOCOL
from p2p.session.errors import StreamWasReset
from tests.limits import HANG_S
from tests.p2p.nodes import LOOPBACK, open_host, secret, until
from tests.p2p.session.peers import open_stock_host

ECHO = "/echo/1"
TEXT = bytes(range(256)) * 2_000


async def read_exactly(stream, count):
    heard = b""
    while len(heard) < count:
        heard += await stream.read(count - len(heard))
    return heard


async def echo(stream, *_):
    await stream.write(await read_exactly(stream, len(TEXT)))
    await stream.close()


@asynccontextmanager
async def connected(dialler):
    """A host of ours and one of the library, connected by whoever is said to dial."""
    async with open_host(secret(0), LOOPBACK) as ours, open_stock_host(1) as stock:
        ours.handle_streams(ECHO, echo)
        stock.set_stream_handler(ECHO, echo)
        with trio.fail_after(HANG_S):
            if dialler == "ours":
                await ours.connect(stock.get_addrs()[0])
            else:
                await stock.connect(info_from_p2p_addr(ours.listen_addresses()[0]))
            await until(lambda: ours.is_connected(stock.get_id()))
            yield ours, stock


async def there_and_back(stream):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.write, TEXT)
        return await read_exactly(stream, len(TEXT))


@pytest.mark.parametrize("dialler", ["ours", "stock"])
async def test_long_texts__go_there_and_back_on_many_streams_opened_by_both(dialler):
    async with connected(dialler) as (ours, stock):
        heard = []

        async def talk(stream):
            heard.append(await there_and_back(stream))

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(talk, await ours.open_stream(stock.get_id(), [ECHO]))
                nursery.start_soon(talk, await stock.new_stream(ours.peer_id, [ECHO]))
        assert heard == [TEXT] * 8
        assert ours.is_connected(stock.get_id())


@pytest.mark.parametrize("dialler", ["ours", "stock"])
async def test_ends_and_pings__are_understood(dialler):
    async with connected(dialler) as (ours, stock):
        stream = await ours.open_stream(stock.get_id(), [ECHO])
        assert await there_and_back(stream) == TEXT
        assert await stream.read() == b""
        await stream.close()
        ping = await ours.open_stream(stock.get_id(), [PING_PROTOCOL])
        await ping.write(bytes(32))
        assert await read_exactly(ping, 32) == bytes(32)


@pytest.mark.parametrize("dialler", ["ours", "stock"])
async def test_resets__are_understood_both_ways(dialler):
    async with connected(dialler) as (ours, stock):

        async def reset(stream, *_):
            await stream.read(1)  # the library forgets what came before a reset, even the negotiation
            await stream.reset()

        stock.set_stream_handler("/reset/1", reset)
        ours.handle_streams("/reset/1", reset)
        stream = await ours.open_stream(stock.get_id(), ["/reset/1"])
        await stream.write(b"x")
        with pytest.raises(StreamWasReset):
            await stream.read()
        stream = await stock.new_stream(ours.peer_id, ["/reset/1"])
        await stream.write(b"x")
        with pytest.raises(StreamError):
            await stream.read()
