"""An auditor's question on its way: who is dialled, what binds the answer, and how long it may take."""

import dataclasses

import pytest
import trio

from node.exchange.audit_asking import NotAnswered, ask_miner
from node.exchange.protocols import OPENINGS_PROTOCOL
from p2p.stream_errors import RemoteAborted
from protocol.errors import InvalidMessage, Refusal
from protocol.tensor import NO_TENSOR, tensor_hash
from protocol.trace import OpeningRequest, TraceLeaf, open_leaves, steps_root
from tests.node.exchange.answers import answer
from tests.node.exchange.test_openings import (
    AUDITOR,
    FINAL,
    KEPT,
    MINER,
    ROWS,
    STRANGER,
    TASK,
    address,
    committed,
    open_world,
)
from tests.p2p.nodes import until


class Lookup:
    """Knows where the miner is, if it is told. :ivar asked: addresses that were looked up."""

    def __init__(self, host=None, miner=None):
        self.asked, self.host, self.miner = [], host, miner

    async def connect(self, account):
        self.asked.append(account)
        if self.miner is None:
            raise Refusal("no peer of that address is known")
        return await self.host.connect(self.miner)


async def ask(world, asker, lookup=None, *, root=None, timeout_ms=60_000):
    commitment = committed(TASK, root or world.root)
    return await ask_miner(world.hosts[asker], lookup or Lookup(), TASK, commitment, (1, 3), timeout_ms)


async def test_the_answer_is_the_work_and_its_opening_and_has_one_hash(tmp_path):
    async with open_world(tmp_path) as world:
        lookup = Lookup()
        made = await ask(world, AUDITOR, lookup)
        assert (made.task, made.work, lookup.asked) == (TASK, KEPT, [])
        assert made.trace.tensors == {step: ROWS[step] for step in (1, 3)}
        assert [place.index for place in made.trace.opening.leaves] == [0, 1, 2, 3]
        assert made.bundle == (await ask(world, AUDITOR)).bundle


def test_whatever_was_opened_is_in_the_bundle():
    made = answer(1, 3, source=True)
    others = [
        answer(1, source=True),
        dataclasses.replace(made, work=dataclasses.replace(made.work, picture=b"")),
        *(
            dataclasses.replace(made, trace=dataclasses.replace(made.trace, **{field: b"\1\0"}))
            for field in ("final", "source")
        ),
    ]
    assert len({other.bundle for other in (made, *others)}) == 1 + len(others)


async def test_who_is_not_connected_is_looked_up_by_the_key_that_signed(tmp_path):
    async with open_world(tmp_path) as world:
        host, miner = world.hosts[AUDITOR], world.hosts[MINER]
        await host.disconnect(miner.peer_id)
        await until(lambda: not host.is_connected(miner.peer_id))
        with pytest.raises(Refusal, match=r"^no peer of that address is known$"):
            await ask(world, AUDITOR, lookup := Lookup())
        assert lookup.asked == [address(MINER)]
        made = await ask(world, AUDITOR, Lookup(host, miner.addresses()[0]))
        assert made.work == KEPT


async def test_a_refusal_and_another_trace_are_told_apart(tmp_path):
    async with open_world(tmp_path) as world:
        with pytest.raises(RemoteAborted, match="neither an auditor nor the coordinator"):
            await ask(world, STRANGER)
        with pytest.raises(InvalidMessage, match="opening is not of the committed trace"):
            await ask(world, AUDITOR, root=bytes(32))


async def test_attack_a_miner_that_trickles_its_answer_is_not_waited_for(tmp_path):
    """Each byte may come in time, and the answer never ends."""
    async with open_world(tmp_path) as world:

        async def trickle(stream, _peer):
            await stream.receive()
            await stream.send(KEPT.task_input.encode())
            await trio.sleep_forever()

        world.hosts[MINER].handle_direct_streams(OPENINGS_PROTOCOL, trickle)
        with pytest.raises(NotAnswered, match=r"^the miner is too slow$"):
            await ask(world, AUDITOR, timeout_ms=100)


@pytest.mark.parametrize("missing", [(0,), (1,), (2,), (0, 1), (0, 1, 2)])
@pytest.mark.parametrize("has_final", [True, False])
async def test_attack_a_miner_that_committed_to_tensors_that_are_not_there(tmp_path, missing, has_final):
    """They arrive as empty, each in its own place, and fail no node: the check finds and proves them."""
    rows = [tuple(b"" if place in missing else part for place, part in enumerate(row)) for row in ROWS]
    leaves = [TraceLeaf.of(*row) for row in rows]
    final = FINAL if has_final else b""

    async def serve(stream, _peer):
        request = OpeningRequest.decode(await stream.receive())
        opening = open_leaves(TASK.digest, leaves, tensor_hash(final), request.steps, NO_TENSOR)
        opened = [part for step in request.steps for part in rows[step]]
        for payload in (*KEPT.payloads(), opening.encode(), *opened, final):
            if payload:
                await stream.send(payload)

    async with open_world(tmp_path) as world:
        world.hosts[MINER].handle_direct_streams(OPENINGS_PROTOCOL, serve)
        root = world.binding.root(steps_root(leaves), tensor_hash(final), NO_TENSOR)
        made = await ask(world, AUDITOR, root=root)
    assert made.trace.tensors == {step: rows[step] for step in (1, 3)}
    assert made.trace.final == final
