"""What our session costs beside py-libp2p's own noise and yamux, both in one run on loopback.

    python -m tests.bench.transport

Is: real hosts, real sockets, both ends in this process, so that CPU time is that of a whole hop; rounds of
the two stacks alternate. Figures on standard output, with their goals; status 1 when one is missed.
Is not: a test; a shared machine has moments of its own, so a goal missed once is a reason to run it again.
"""

from __future__ import annotations

import argparse
import cProfile
import logging
import pstats
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import trio
from libp2p import new_host
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_PROTOCOL
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX_PROTOCOL
from libp2p.stream_muxer.yamux.yamux import Yamux

from p2p.host import open_host
from p2p.sending import ByteStream
from tests.p2p.nodes import LOOPBACK, connect, secret

PROTOCOL = "/bench/1"
MESSAGE = bytes(range(225)) * 2
STREAMED = 2_000
ONE_BY_ONE = 400
TRANSFERS = 16
MIB = 1024 * 1024
PIECE_BYTES = 64 * 1024
ROUNDS = 5

CPU_RATIO_MAX = 1 / 3
THROUGHPUT_RATIO_MIN = 1.0

Pair = tuple[ByteStream, ByteStream]


@asynccontextmanager
async def stock_pair() -> AsyncIterator[Pair]:
    """Both ends of a stream between two hosts as the library builds them."""
    send, receive = trio.open_memory_channel[ByteStream](1)

    async def handle(stream: ByteStream) -> None:
        await send.send(stream)
        await trio.sleep_forever()

    async with AsyncExitStack() as stack:
        hosts = []
        for number in range(2):
            key_pair = create_new_key_pair(secret(number))
            noise = NoiseTransport(key_pair, noise_privkey=create_noise_key_pair().private_key)
            host = new_host(
                key_pair=key_pair,
                sec_opt={NOISE_PROTOCOL: noise},
                muxer_opt={TProtocol(YAMUX_PROTOCOL): Yamux},
                listen_addrs=LOOPBACK,
            )
            await stack.enter_async_context(host.run(LOOPBACK))
            hosts.append(host)
        dialler, listener = hosts
        listener.set_stream_handler(TProtocol(PROTOCOL), handle)
        await dialler.connect(info_from_p2p_addr(listener.get_addrs()[0]))
        stream = await dialler.new_stream(listener.get_id(), [TProtocol(PROTOCOL)])
        yield stream, await receive.receive()
        for host in hosts:
            await host.close()


@asynccontextmanager
async def our_pair() -> AsyncIterator[Pair]:
    """Both ends of a stream between two hosts of ours."""
    send, receive = trio.open_memory_channel[ByteStream](1)

    async def handle(stream: ByteStream, _peer: object) -> None:
        await send.send(stream)
        await trio.sleep_forever()

    async with open_host(secret(0), LOOPBACK) as dialler, open_host(secret(1), LOOPBACK) as listener:
        listener.handle_streams(PROTOCOL, handle)
        await connect(dialler, listener)
        stream = await dialler.open_stream(listener.peer_id, [PROTOCOL])
        yield stream, await receive.receive()


STACKS: dict[str, Callable[[], AbstractAsyncContextManager[Pair]]] = {"stock": stock_pair, "ours": our_pair}


async def read_bytes(stream: ByteStream, count: int) -> None:
    while count:
        data = await stream.read(min(count, PIECE_BYTES))
        if not data:
            raise EOFError
        count -= len(data)


async def streamed(pair: Pair) -> float:
    """CPU microseconds a message, in a stream of them."""

    async def write() -> None:
        for _ in range(STREAMED):
            await pair[0].write(MESSAGE)

    started = time.process_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await read_bytes(pair[1], STREAMED * len(MESSAGE))
    return (time.process_time() - started) / STREAMED * 1e6


async def one_by_one(pair: Pair) -> float:
    """CPU microseconds a message, each sent when the one before has been answered in kind."""

    async def answer() -> None:
        for _ in range(ONE_BY_ONE):
            await read_bytes(pair[1], len(MESSAGE))
            await pair[1].write(MESSAGE)

    started = time.process_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        for _ in range(ONE_BY_ONE):
            await pair[0].write(MESSAGE)
            await read_bytes(pair[0], len(MESSAGE))
    return (time.process_time() - started) / (2 * ONE_BY_ONE) * 1e6


async def transfers(pair: Pair) -> float:
    """Seconds a MiB takes, both ends on this machine."""
    piece = bytes(PIECE_BYTES)

    async def write() -> None:
        for _ in range(TRANSFERS * MIB // PIECE_BYTES):
            await pair[0].write(piece)

    started = time.perf_counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await read_bytes(pair[1], TRANSFERS * MIB)
    return (time.perf_counter() - started) / TRANSFERS


async def establish(stack: Callable[[], AbstractAsyncContextManager[Pair]]) -> float:
    """CPU milliseconds for two hosts, a connection and a stream."""
    started = time.process_time()
    async with stack():
        return (time.process_time() - started) * 1e3


Measure = Callable[[Pair], Awaitable[float]]


async def measure_all(rounds: int) -> dict[str, dict[str, float]]:
    """The best of some rounds for each measure and stack; the stacks take turns."""
    measures: dict[str, Measure] = {"streamed": streamed, "one by one": one_by_one, "transfers": transfers}
    best: dict[str, dict[str, float]] = {name: {} for name in (*measures, "establish")}
    for _ in range(rounds):
        for stack, pair in STACKS.items():
            spent = await establish(pair)
            best["establish"][stack] = min(best["establish"].get(stack, spent), spent)
    async with AsyncExitStack() as contexts:
        pairs = {stack: await contexts.enter_async_context(pair()) for stack, pair in STACKS.items()}
        for _ in range(rounds):
            for name, measure in measures.items():
                for stack, ends in pairs.items():
                    spent = await measure(ends)
                    best[name][stack] = min(best[name].get(stack, spent), spent)
    return best


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def report(best: dict[str, dict[str, float]]) -> bool:
    reached = True
    for name in ("streamed", "one by one"):
        stock, ours = best[name]["stock"], best[name]["ours"]
        good = ours / stock <= CPU_RATIO_MAX
        reached &= good
        say(
            f"{len(MESSAGE)} B {name:12} CPU a message and hop: stock {stock:6.1f} us, ours {ours:6.1f} us, "
            f"{ours / stock:5.2f}   goal <= {CPU_RATIO_MAX:.2f}   {'reached' if good else 'MISSED'}"
        )
    stock, ours = 1 / best["transfers"]["stock"], 1 / best["transfers"]["ours"]
    good = ours / stock >= THROUGHPUT_RATIO_MIN
    say(
        f"1 MiB transfers: stock {stock:6.1f} MiB/s, ours {ours:6.1f} MiB/s, {ours / stock:5.2f}   "
        f"goal >= {THROUGHPUT_RATIO_MIN:.2f}   {'reached' if good else 'MISSED'}"
    )
    stock, ours = best["establish"]["stock"], best["establish"]["ours"]
    say(f"two hosts, a connection and a stream, CPU: stock {stock:.0f} ms, ours {ours:.0f} ms")
    return reached and good


def profile(stack: str, name: str) -> None:
    """Where the time goes, in one stack and measure."""
    measure = {"streamed": streamed, "one": one_by_one, "transfers": transfers}[name]

    async def run() -> None:
        async with STACKS[stack]() as pair:
            await measure(pair)
            profiler = cProfile.Profile()
            profiler.enable()
            await measure(pair)
            profiler.disable()
            pstats.Stats(profiler).sort_stats("tottime").print_stats(32)

    trio.run(run)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--profile", nargs=2, metavar=("STACK", "MEASURE"), help="stock|ours streamed|one|transfers"
    )
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    if options.profile:
        profile(*options.profile)
        return 0
    return 0 if report(trio.run(measure_all, options.rounds)) else 1


if __name__ == "__main__":
    sys.exit(main())
