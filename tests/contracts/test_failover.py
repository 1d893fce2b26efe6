"""Transactions and seeds through several endpoints of a real chain, some of them real processes."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys

import httpx2
import pytest
import trio

from contracts import endpoint_health, endpoints
from contracts.clients import Clients
from contracts.libraries import Web3
from contracts.rpc import connect
from contracts.transactions import Sender
from tests.contracts.shim import Shims
from tests.limits import CHILD_TIMEOUT_S

pytestmark = pytest.mark.process
FORGED_SEED = "0x" + "66" * 32


class Endpoint:
    """A hook. :ivar fault: raised before or, with `after`, when the chain has been asked."""

    def __init__(self):
        self.fault, self.after = None, None
        self.asked = []
        self.pending = None

    async def __call__(self, method, params, forward):
        self.asked.append(method)
        if self.fault is not None:
            raise self.fault
        if self.after is not None and method == "eth_sendRawTransaction":
            await forward()
            raise self.after
        if method == "eth_getTransactionCount" and self.pending is not None and params[1] == "pending":
            return {"result": hex(self.pending)}
        return None


GONE = httpx2.ReadError("gone")


@contextlib.asynccontextmanager
async def through(chain_process, **hooks):
    net = Shims(chain_process.endpoint, **hooks)
    async with connect(net.urls, transport=net) as rpc:
        yield rpc


async def test_attack_an_answer_that_is_lost_sends_no_transaction_under_two_numbers(world, chain_process):
    """The first endpoint takes it and dies; the second is given the same bytes, and knows them."""
    a, b = Endpoint(), Endpoint()
    accounts = world.chain.accounts()
    async with through(chain_process, a=a, b=b) as rpc:
        sender = Sender(rpc, accounts[2])
        before = await rpc.next_nonce(sender.address, pending=False)
        a.after = GONE
        receipt = await sender.send(accounts[5].address, b"", value_wei=1)
        assert receipt.succeeded
        assert await rpc.next_nonce(sender.address, pending=False) == before + 1
        assert rpc.status().in_use == "b.example"


async def test_numbers_survive_a_failover(world, chain_process):
    a, b = Endpoint(), Endpoint()
    accounts = world.chain.accounts()
    async with through(chain_process, a=a, b=b) as rpc:
        sender = Sender(rpc, accounts[2])
        before = await rpc.next_nonce(sender.address, pending=False)
        for fault in (None, GONE, GONE):
            a.fault = fault
            assert (await sender.send(accounts[5].address, b"", value_wei=1)).succeeded
        assert await rpc.next_nonce(sender.address, pending=False) == before + 3
        assert b.asked.count("eth_sendRawTransaction") == 2


async def test_the_next_number_is_the_highest_that_two_endpoints_know(world, chain_process):
    """A transaction that waits at two endpoints is not known to the third; its number is not given again."""
    a, b, c = Endpoint(), Endpoint(), Endpoint()
    address = world.chain.accounts()[2].address
    async with through(chain_process, a=a, b=b, c=c) as rpc:
        known = await rpc.next_nonce(address, pending=True)
        b.pending = known + 3
        assert await rpc.next_nonce(address, pending=True) == known
        c.pending = known + 3
        assert await rpc.next_nonce(address, pending=True) == known + 3


async def test_a_receipt_is_looked_for_everywhere(world, chain_process):
    sent = await world.staking.set_metadata(world.owner, await world.register(), "new")
    missing = [True]

    async def lagging(method, _params, _forward):
        return {"result": None} if method == "eth_getTransactionReceipt" and missing else None

    async with through(chain_process, a=lagging, b=Endpoint()) as rpc:
        assert (await rpc.receipt(sent.transaction_hash)).block_number == sent.block_number
        assert await rpc.receipt(bytes(32)) is None


async def test_a_seed_that_two_endpoints_tell_differently_is_in_doubt(world, chain_process):
    number = await world.epochs.current_epoch() + 1
    await world.chain.mine(2 * 40 + 5)
    while (due := await world.epochs.recordable_epoch()) is not None:
        epoch = await world.epochs.record_seed(world.ann, due)
    assert epoch.number >= number
    selector = Web3.to_hex(Web3.keccak(text="epochSeed(uint256)")[:4])

    async def forging(method, params, _forward):
        is_asked = method == "eth_call" and params[0]["data"].startswith(selector)
        return {"result": FORGED_SEED} if is_asked else None

    async with through(chain_process, a=Endpoint(), b=forging) as rpc:
        doubt = await Clients(rpc, world.deployment).epochs.doubt_about(epoch)
        assert doubt == (
            f"the chain's RPCs disagree about the seed of epoch {epoch.number}: "
            f"a.example says 0x{epoch.seed[:8].hex()}, b.example says 0x6666666666666666"
        )
    async with through(chain_process, a=Endpoint(), b=forging, c=Endpoint()) as rpc:
        assert await Clients(rpc, world.deployment).epochs.doubt_about(epoch) is None

    async def refusing(method, _params, _forward):
        error = {"code": 3, "message": "execution reverted", "data": "0x12345678"}
        return {"error": error} if method == "eth_call" else None

    # Also a refusal in the contract's name is no answer, and no crash.
    async with through(chain_process, a=Endpoint(), b=refusing) as rpc:
        assert await Clients(rpc, world.deployment).epochs.doubt_about(epoch) is None
    async with through(chain_process, a=Endpoint()) as rpc:
        assert await Clients(rpc, world.deployment).epochs.doubt_about(epoch) is None


# Real processes

PROXY = """
import socket, sys, threading
port, target = int(sys.argv[1]), int(sys.argv[2])
listener = socket.create_server(("127.0.0.1", port))
print(listener.getsockname()[1], flush=True)
def copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
while True:
    near, _ = listener.accept()
    far = socket.create_connection(("127.0.0.1", target))
    for ends in ((near, far), (far, near)):
        threading.Thread(target=copy, args=ends, daemon=True).start()
"""


@contextlib.contextmanager
def proxy(endpoint, port=0):
    """A process that carries bytes to anvil; and its port."""
    target = endpoint.rpartition(":")[2]
    process = subprocess.Popen([sys.executable, "-c", PROXY, str(port), target], stdout=subprocess.PIPE)
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait(CHILD_TIMEOUT_S)
        process.stdout.close()


async def until(condition):
    with trio.fail_after(CHILD_TIMEOUT_S):
        while not condition():
            await trio.sleep(0.05)


async def test_one_endpoint_is_killed_and_one_frozen_in_mid_run(world, chain_process, monkeypatch):
    """A sender and a reader go on through the third; both come back when their processes do."""
    monkeypatch.setattr(endpoints, "LOOK_S", 0.3)
    monkeypatch.setattr(endpoint_health, "REST_FIRST_S", 0.3)
    monkeypatch.setattr(endpoint_health, "REST_MAX_S", 1.0)
    accounts = world.chain.accounts()
    with (
        proxy(chain_process.endpoint) as (killed, port),
        proxy(chain_process.endpoint) as (frozen, frozen_port),
        proxy(chain_process.endpoint) as (_, last_port),
    ):
        urls = [f"http://127.0.0.1:{p}" for p in (port, frozen_port, last_port)]
        hosts = [url.removeprefix("http://") for url in urls]
        async with connect(urls) as rpc, trio.open_nursery() as nursery:
            nursery.start_soon(rpc.watch)
            sender = Sender(rpc, accounts[2])
            before = await rpc.next_nonce(sender.address, pending=False)
            sent = 0

            async def keep_sending():
                nonlocal sent
                while True:
                    assert (await sender.send(accounts[5].address, b"", value_wei=1)).succeeded
                    sent += 1

            async with trio.open_nursery() as sending:
                sending.start_soon(keep_sending)
                await until(lambda: sent >= 5)
                killed.kill()
                await until(lambda: rpc.status().in_use == hosts[1])
                here = sent
                await until(lambda: sent >= here + 5)
                frozen.send_signal(signal.SIGSTOP)
                await until(lambda: rpc.status().in_use == hosts[2])
                here = sent
                await until(lambda: sent >= here + 5)
                frozen.send_signal(signal.SIGCONT)
                await until(lambda: rpc.status().in_use == hosts[1])
                with proxy(chain_process.endpoint, port):
                    await until(lambda: rpc.status().in_use == hosts[0])
                    here = sent
                    await until(lambda: sent >= here + 5)
                    sending.cancel_scope.cancel()
            # The last one may have been cancelled on its way.
            counted = await rpc.next_nonce(sender.address, pending=False) - before
            assert counted in {sent, sent + 1}
            nursery.cancel_scope.cancel()
