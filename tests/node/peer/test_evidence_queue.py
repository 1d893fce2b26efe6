"""The queue of evidence: its order, its bound, and that it loses first what cannot be slashed."""

import trio

from node.peer.evidence_queue import EvidenceQueue
from tests.node.peer.test_evidence_desk import found
from tests.node.peer.test_evidence_store import doubled
from tests.protocol import builders
from tests.protocol.builders import MINERS


async def test_what_waits_is_bounded_and_loses_first_what_cannot_be_slashed():
    queue = EvidenceQueue(2)
    ranking, part = found(builders.wrong_ranking()), found(builders.false_part())
    one, two, three = (found(doubled(MINERS[name])) for name in ("ann", "bob", "cid"))
    assert [queue.put(item) for item in (ranking, one, one, part)] == [True, True, True, False]
    assert await queue.first() is one
    assert queue.put(two)
    assert not queue.put(three)
    assert (len(queue), queue.dropped) == (2, 3)
    queue.done(one)
    assert await queue.first() is two
    queue.done(two)
    assert len(queue) == 0


async def test_what_comes_while_somebody_waits_is_taken(nursery):
    queue, taken = EvidenceQueue(2), []

    async def take():
        taken.append(await queue.first())

    nursery.start_soon(take)
    await trio.testing.wait_all_tasks_blocked()
    item = found(builders.false_part())
    queue.put(item)
    await trio.testing.wait_all_tasks_blocked()
    assert taken == [item]
    assert len(queue) == 1
