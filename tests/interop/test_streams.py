"""Direct streams with an implementation that knows their framing from the specification alone."""

import pytest
from multiaddr import Multiaddr

from p2p.frames import PAYLOAD_BYTES_MAX
from p2p.stream_errors import RemoteAborted, TruncatedStream
from protocol.errors import Refusal
from tests.interop.peer import ECHO, js_peer
from tests.p2p.nodes import open_hosts, secret, until

pytestmark = pytest.mark.process
PAYLOADS = [b"x", bytes(range(256)) * 1000, b"\x00" * PAYLOAD_BYTES_MAX, b"last"]


class Notes:
    """Handlers of ours that read or echo, and keep what it got and how it ended."""

    def __init__(self):
        self.payloads, self.endings = [], []

    async def echo(self, stream, peer_id):
        await self.read(stream, peer_id, stream.send)

    async def read(self, stream, peer_id, then=None):
        try:
            while (payload := await stream.receive()) is not None:
                self.payloads.append(payload)
                if then is not None:
                    await then(payload)
        except Exception as error:
            self.endings.append(error)
            raise
        self.endings.append(peer_id)


async def test_a_stream_of_theirs__comes_and_goes_back_whole():
    notes = Notes()
    async with open_hosts(1) as (host,), js_peer(secret(7)) as js:
        host.handle_direct_streams("/cuckoo/test/1", notes.echo)
        address = str(host.listen_addresses()[0])
        sent = [payload.hex() for payload in PAYLOADS]
        answer = await js.do("call", multiaddr=address, protocol="/cuckoo/test/1", payloads=sent)
        assert answer == {"payloads": sent, "ending": "end"}
        assert notes.payloads == PAYLOADS
        await until(lambda: notes.endings == [js.peer_id])


async def test_a_stream_of_ours__comes_and_goes_back_whole():
    async with open_hosts(1) as (host,), js_peer(secret(7)) as js:
        await host.connect(Multiaddr(js.multiaddr))
        async with host.open_direct_stream(js.peer_id, ECHO) as stream:
            for payload in PAYLOADS:
                await stream.send(payload)
                assert await stream.receive() == payload
            await stream.finish()
            assert await stream.receive() is None


async def test_their_error__reaches_us_as_one():
    notes = Notes()
    async with open_hosts(1) as (host,), js_peer(secret(7)) as js:
        host.handle_direct_streams("/cuckoo/test/1", notes.echo)
        address = str(host.listen_addresses()[0])
        await js.do(
            "call", multiaddr=address, protocol="/cuckoo/test/1", payloads=[b"a".hex()], ending="error"
        )
        await until(lambda: notes.endings)
        (ending,) = notes.endings
        assert isinstance(ending, RemoteAborted)
        assert (ending.code, ending.reason) == (4, "changed my mind")


async def test_our_refusal__reaches_them_with_its_reason():
    async def refuse(_stream, _peer_id):
        raise Refusal("not today")

    async with open_hosts(1) as (host,), js_peer(secret(7)) as js:
        host.handle_direct_streams("/cuckoo/test/1", refuse)
        address = str(host.listen_addresses()[0])
        answer = await js.do("call", multiaddr=address, protocol="/cuckoo/test/1", payloads=[])
        assert answer["error"] == {"code": 4, "text": "not today"}


async def test_a_stream_that_they_cut__does_not_pass_for_complete():
    notes = Notes()
    async with open_hosts(1) as (host,), js_peer(secret(7)) as js:
        host.handle_direct_streams("/cuckoo/test/1", notes.read)
        address = str(host.listen_addresses()[0])
        await js.do(
            "call", multiaddr=address, protocol="/cuckoo/test/1", payloads=[b"a".hex()], ending="reset"
        )
        await until(lambda: notes.endings)
        assert isinstance(notes.endings[0], TruncatedStream)
