"""Why a task went as it did: over the API, over the node's socket, and in words."""

from types import SimpleNamespace

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from node.api.explaining import ExplainAct, ExplainTask, UnknownTask
from node.api.histories import TASKS_MAX, UNWRITTEN_MAX, WRITE_S, Histories, History, Turn
from node.api.readers import READERS
from node.commands.explain import in_words
from node.coordinator.buyer_audits import Finding, Found
from node.coordinator.coordinator import Coordinator
from node.coordinator.told import ToldTask
from node.system.events import (
    EventBus,
    MinerLost,
    Published,
    TaskAccepted,
    TaskAnnounced,
    TaskDelivered,
    TaskFailed,
    TaskPaid,
)
from protocol.audit import Audits, Verdict
from protocol.audit_words import explain_audit
from protocol.evidence import JUDGED_BY_CONTRACT, verify_evidence
from protocol.messages import PassedOver, RankedMiner
from protocol.rules.view import Seen
from tests.node.api.desk import FakeCoordinator, api, client_of, new_token
from tests.node.builders import announcement
from tests.protocol import builders

MINERS = [bytes([number]) * 20 for number in range(1, 6)]
RANKING = [RankedMiner(miner, kind) for miner, kind in zip(MINERS, reversed(PassedOver), strict=True)]
TASK, OTHER = b"\x01" * 32, b"\x02" * 32


class Known(FakeCoordinator):
    """A coordinator with one order, drawn twice."""

    def __init__(self):
        super().__init__()
        order = SimpleNamespace(
            order_id=b"o", placed_at_ms=100, task=SimpleNamespace(message=announcement(*RANKING))
        )
        self.engine.book = SimpleNamespace(tasks={TASK: order, OTHER: order})


def told(histories, *happened):
    for at_ms, event in happened:
        histories.note(Published(1, at_ms, event))


def a_long_story(histories):
    told(
        histories,
        (150, TaskAnnounced(OTHER, b"m", ())),
        (160, TaskFailed(OTHER, "every drawn miner has had its turn")),
        (200, TaskAnnounced(TASK, b"m", (MINERS[4],))),
        (250, TaskAccepted(TASK, MINERS[4], 4)),
        (260, TaskPaid(TASK, MINERS[4], 5)),
        (300, MinerLost(TASK, MINERS[4], "I am out of memory")),
        (310, TaskAccepted(TASK, MINERS[0], 0)),
        (320, TaskPaid(TASK, MINERS[0], 7)),
        (330, TaskPaid(TASK, MINERS[0], 9)),
        (400, TaskDelivered(TASK, MINERS[0])),
        (500, TaskPaid(b"of another", MINERS[0], 9)),
    )


async def test_who_was_drawn_passed_over_and_paid_and_what_they_said():
    built = api(Known())
    a_long_story(built.services.histories)
    async with client_of(built) as http:
        document = (await http.get(f"/v1/cuckoo/tasks/{TASK.hex()}/explain")).json()
        unknown = await http.get(f"/v1/cuckoo/tasks/{'03' * 32}/explain")
    assert unknown.status_code == 404
    assert document["outcome"] == f"delivered by 0x{MINERS[0].hex()}"
    assert document["tasks_of_the_order"] == [f"0x{OTHER.hex()}", f"0x{TASK.hex()}"]
    assert [place["decision"].partition(":")[0] for place in document["ranking"]] == ["passed over"] * 4 + [
        "assigned"
    ]
    assert [(turn["came_to"], turn["paid_wei"]) for turn in document["turns"]] == [
        ("lost: I am out of memory", "5"),
        ("delivered", "9"),
    ]
    assert document["paid_wei"] == "14"
    assert document["phases_ms"] == {"waited": 100, "until_accepted": 50, "worked": 90, "in_all": 300}
    assert document["readers"] == READERS


async def test_attack_the_story_of_another_tokens_task():
    built = api(Known())
    a_long_story(built.services.histories)
    async with client_of(built, new_token(built)) as http:
        assert (await http.get(f"/v1/cuckoo/tasks/{TASK.hex()}/explain")).status_code == 404


async def test_over_the_socket_and_in_words():
    histories = Histories(Known())
    a_long_story(histories)
    text = in_words(await ExplainAct(histories).explain(ExplainTask(f"0x{TASK.hex()}")))
    for line in (
        f"drawn     also as 0x{OTHER.hex()}",
        f"rank 1    0x{MINERS[1].hex()} passed over: it works on as many tasks",
        f"turn      0x{MINERS[4].hex()} lost: I am out of memory, paid 5 wei",
        "worked         90 ms",
        f"audits    0x{TASK.hex()} is audited by nobody",
    ):
        assert line in text
    for nonsense in ("", "zz", "03" * 32):
        with pytest.raises(UnknownTask, match="is remembered"):
            await ExplainAct(histories).explain(ExplainTask(nonsense))


def explained(coordinator):
    """What a node says that has just been started."""
    return Histories(coordinator).explain(TASK)


def test_after_a_restart_all_of_it_is_known():
    coordinator = Known()
    histories = Histories(coordinator)
    a_long_story(histories)
    before = histories.explain(TASK)
    histories.write()
    assert explained(coordinator) == before
    assert len(before["turns"]) == 2


def test_a_task_goes_on_in_its_story_after_a_restart():
    coordinator = Known()
    first = Histories(coordinator)
    told(first, (200, TaskAnnounced(TASK, b"m", (MINERS[4],))), (250, TaskAccepted(TASK, MINERS[4], 4)))
    first.write()
    second = Histories(coordinator)
    told(second, (900, TaskAnnounced(TASK, b"m", ())), (950, TaskDelivered(TASK, MINERS[4])))
    document = second.explain(TASK)
    assert document["phases_ms"] == {"waited": 100, "until_accepted": 50, "worked": 700, "in_all": 850}
    assert [turn["came_to"] for turn in document["turns"]] == ["delivered"]


async def test_news_is_written_after_a_while_and_at_the_end(nursery, autojump_clock):
    coordinator, bus = Known(), EventBus()
    nursery.start_soon(Histories(coordinator).run, bus)
    await trio.testing.wait_all_tasks_blocked()
    bus.publish(TaskAnnounced(TASK, b"m", ()))
    await trio.sleep(WRITE_S / 2)
    assert explained(coordinator) is None
    await trio.sleep(WRITE_S)
    assert explained(coordinator)["outcome"].startswith("under way")
    bus.publish(TaskDelivered(TASK, MINERS[0]))
    await trio.testing.wait_all_tasks_blocked()
    nursery.cancel_scope.cancel()
    with trio.CancelScope(shield=True):
        await trio.testing.wait_all_tasks_blocked()
    assert explained(coordinator)["outcome"] == f"delivered by 0x{MINERS[0].hex()}"


def test_attack_many_tasks_at_once_do_not_wait_in_memory():
    coordinator = Known()
    histories = Histories(coordinator)
    announced = [TaskAnnounced(number.to_bytes(32, "big"), b"", ()) for number in range(UNWRITTEN_MAX)]
    told(histories, *[(1, event) for event in announced])
    assert (coordinator.told.statistics().tasks, histories._unwritten) == (UNWRITTEN_MAX, {})


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b"{}", b'{"turns": 3}', b"\xff"])
def test_a_story_in_another_versions_form_is_forgotten(document):
    coordinator = Known()
    coordinator.told.keep([ToldTask(TASK, b"o", document)])
    assert explained(coordinator) is None


@given(
    st.builds(
        History,
        announced_at_ms=st.integers(0, 2**53),
        model_id=st.binary(max_size=32),
        placed_at_ms=st.integers(0, 2**53),
        order_id=st.binary(max_size=32),
        price_micro_cai=st.integers(0, 2**64),
        ranking=st.lists(st.builds(RankedMiner, st.binary(max_size=20), st.sampled_from(PassedOver))).map(
            tuple
        ),
        turns=st.dictionaries(
            st.binary(max_size=20),
            st.builds(
                Turn, st.none() | st.integers(0, 255), words=st.text(), paid_wei=st.integers(0, 2**128)
            ),
        ),
        failure=st.text(),
        audits=st.sampled_from(Audits),
    )
)
def test_law_what_is_written_is_read(history):
    assert History.decode(history.encode()) == history


def test_after_a_restart_the_receipt_says_what_it_can():
    coordinator = Known()
    statement = SimpleNamespace(message=announcement(*RANKING))
    commitment = SimpleNamespace(signer=SimpleNamespace(address=MINERS[0]))
    coordinator.receipt = lambda task_id: SimpleNamespace(announcement=statement, commitment=commitment)
    document = Histories(coordinator).explain(TASK)
    assert document["outcome"].endswith("what happened on the way is forgotten")
    assert len(document["ranking"]) == 5
    assert document["audits"] == [f"0x{TASK.hex()} is audited by nobody"]


def test_audits_are_told_of_what_gossip_brought_or_else_of_the_receipt():
    coordinator = Coordinator.__new__(Coordinator)
    seen, view = Seen(), builders.view()
    coordinator._peer = SimpleNamespace(seen=seen, view=view)
    coordinator.buyer_audits = SimpleNamespace(findings={})
    coordinator.verdict_pay = SimpleNamespace(words={})
    receipts = {}
    coordinator._journal = SimpleNamespace(ended=SimpleNamespace(find_task=receipts.get))
    task_id = builders.TASK.digest
    assert coordinator.explain_audits(task_id) == ["nothing is known of this task's audits any more"]
    receipts[task_id] = SimpleNamespace(receipt=builders.receipt())
    words = list(explain_audit(view, builders.TASK.message, builders.COMMITTED))
    assert coordinator.explain_audits(task_id) == words
    seen.tasks[task_id] = builders.TASK
    unheard = ["no commitment was heard in time: its buyer alone audits such work"]
    assert coordinator.explain_audits(task_id) == unheard
    seen.commitments[task_id, builders.FIRST_RANKED.address] = builders.COMMITTED
    assert coordinator.explain_audits(task_id) == words
    coordinator.buyer_audits.findings[task_id] = Found(Finding.HONEST, "everything fits")
    coordinator.verdict_pay.words[task_id] = ("its auditor is paid",)
    assert coordinator.explain_audits(task_id) == [*words, "everything fits", "its auditor is paid"]


def test_what_is_heard_of_a_miner_has_its_work_checked_or_it_passed_over():
    coordinator = Coordinator.__new__(Coordinator)
    suspects, liars, judged = [], [], []
    seen = Seen()
    key = SimpleNamespace(address=builders.COORDINATOR.address)
    coordinator._peer = SimpleNamespace(seen=seen, key=key)
    seen.tasks[builders.TASK.digest] = builders.TASK
    coordinator.auditor = SimpleNamespace(heard=judged.append)
    coordinator.buyer_audits = SimpleNamespace(suspect=suspects.append)
    coordinator.engine = SimpleNamespace(
        experience=SimpleNamespace(note_false=lambda miner, now_ms: liars.append(miner))
    )
    for verdict in Verdict:
        said = builders.opened(builders.AUDITOR, builders.verdict(verdict=verdict))
        coordinator.note_verdict(said)
        assert judged[-1] == said
    assert suspects == [builders.FIRST_RANKED.address] * 2
    coordinator._peer.key = SimpleNamespace(address=builders.STRANGER.address)
    coordinator.note_verdict(said)
    assert len(judged) == len(Verdict)
    for piece in builders.all_evidence():
        coordinator.note_offence(piece, verify_evidence(builders.DOMAIN, piece, builders.view().epochs))
    assert len(liars) == len(JUDGED_BY_CONTRACT)


def test_histories_are_bounded():
    coordinator = Known()
    histories = Histories(coordinator)
    told(
        histories,
        *[(1, TaskAnnounced(number.to_bytes(32, "big"), b"", ())) for number in range(TASKS_MAX + 1)],
    )
    assert coordinator.told.statistics().tasks > TASKS_MAX - UNWRITTEN_MAX
    assert histories.explain((1).to_bytes(32, "big")) is not None
    assert len(histories._histories) == TASKS_MAX
