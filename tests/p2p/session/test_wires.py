"""p2p/session/wires.py on real sockets."""

import pytest
import trio

from p2p.session.errors import ConnectionLost
from p2p.session.hub import Hub
from p2p.session.wires import SocketWire
from tests.p2p.nodes import settled


async def sockets():
    listener, *_ = await trio.open_tcp_listeners(0, host="127.0.0.1")
    one = await trio.open_tcp_stream(*listener.socket.getsockname())
    other = await listener.accept()
    await listener.aclose()
    hub = Hub()
    return SocketWire(one, hub), SocketWire(other, hub)


async def test_a_wire__carries_more_than_the_system_takes_at_once():
    one, other = await sockets()
    text = bytes(range(256)) * 80_000

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.send, text)
        heard = b""
        while len(heard) < len(text):
            heard += await other.receive()
    assert heard == text
    one.close()
    assert await other.receive() == b""
    other.close()


async def test_a_closed_wire__says_so_to_all_who_wait_and_come():
    one, other = await sockets()

    async def fail(operation, *arguments):
        with pytest.raises(ConnectionLost):
            await operation(*arguments)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail, one.receive)
        nursery.start_soon(fail, one.send, bytes(100_000_000))
        await settled()
        one.close()
    one.close()
    await fail(one.receive)
    await fail(one.send, b"x")
    with pytest.raises(ConnectionLost):
        one.send_nowait(b"x")
    with pytest.raises(ConnectionLost):
        one.listen(print)
    other.close()
