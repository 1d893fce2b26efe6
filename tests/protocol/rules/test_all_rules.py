"""What holds for every rule: any bytes are judged, and every reason in the code has its test."""

import ast
import inspect
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor
from protocol.audit import AuditVerdict
from protocol.errors import GossipIgnore, GossipReject
from protocol.evidence import TwoStatements
from protocol.messages import MESSAGE_OF, Offer, ResultCommitment, TaskAnnouncement
from protocol.rules import evidence, offers, results, tasks, verdicts, view
from protocol.rules.view import Seen
from tests.protocol import builders
from tests.protocol.builders import (
    AUDITOR,
    COMMITTED,
    COORDINATOR,
    FIRST_RANKED,
    MINERS,
    NOW_MS,
    STRANGER,
    TASK,
    changed,
    sealed,
)
from tests.protocol.strategies import lawful, mutations, structs, values
from tests.vectors.generate import TOPIC_TESTS, situations_of
from tests.vectors.situations import RULES, judge, memory

EVERY_TOPIC = pytest.mark.parametrize("topic", RULES)
MODULES = {
    "offers": offers,
    "tasks": tasks,
    "results": results,
    "verdicts": verdicts,
    "evidence": evidence,
}
CAUGHT = {
    "Equivocation": ("ignore", "signer has said something else in this slot"),
    "SequenceContradiction": ("ignore", "announcement contradicts its neighbour"),
    "Misranked": ("reject", "ranking is not the draw's"),
}
"""Exceptions of `view` that carry evidence, with their fixed reasons."""
KEYS = [*MINERS.values(), COORDINATOR, STRANGER]

signers = st.sampled_from(KEYS)
times = st.integers(NOW_MS - 10_000, NOW_MS + 10_000) | st.integers(0, 2**64 - 1)
plausible = st.one_of(
    st.builds(
        lambda made, at, life: changed(made, issued_at_ms=at, valid_until_ms=min(at + life, 2**64 - 1)),
        structs(Offer),
        times,
        st.integers(0, 700_000),
    ),
    st.builds(
        lambda made, at, life: changed(
            made, announced_at_ms=at, deadline_ms=min(at + life, 2**64 - 1), epoch=7
        ),
        structs(TaskAnnouncement),
        times,
        st.integers(0, 4_000_000),
    ),
    st.builds(lambda made: changed(made, task_id=TASK.digest), structs(ResultCommitment)),
    st.builds(
        lambda made: changed(
            made, task_id=TASK.digest, miner=FIRST_RANKED.address, commitment=COMMITTED.digest
        ),
        structs(AuditVerdict),
    ),
    st.one_of(*(structs(struct) for struct in MESSAGE_OF.values())),
)
statements = st.builds(sealed, signers, plausible | st.sampled_from(builders.messages()))
pairs = st.builds(lambda one, other: TwoStatements.pair(one, other).encode(), statements, statements)
valid = [
    sealed(key, message)
    for key, message in zip(
        [MINERS["ann"], COORDINATOR, FIRST_RANKED, FIRST_RANKED, AUDITOR, FIRST_RANKED],
        builders.messages(),
        strict=True,
    )
]
any_bytes = st.one_of(
    st.binary(max_size=80),
    values.map(cbor.encode),
    statements,
    pairs,
    mutations(st.sampled_from([*valid, *(piece.encode() for piece in builders.all_evidence())])),
)


@EVERY_TOPIC
def test_any_bytes_are_accepted_ignored_or_rejected(topic):
    @lawful
    @given(st.lists(any_bytes, min_size=1, max_size=3), times | st.just(NOW_MS))
    def law(messages, now_ms):
        seen = Seen()
        tasks.validate_task(seen, builders.view(), TASK.encoded, NOW_MS)
        results.validate_result(seen, builders.view(), COMMITTED.encoded, NOW_MS)
        for data in messages:
            before = memory(seen)
            try:
                RULES[topic](seen, builders.view(), data, now_ms)
            except (GossipIgnore, GossipReject):
                assert memory(seen) == before
            else:
                with pytest.raises(GossipIgnore):
                    RULES[topic](seen, builders.view(), data, now_ms)

    law()


@lawful
@given(st.lists(st.tuples(st.sampled_from(sorted(RULES)), statements | pairs), max_size=6))
def test_no_order_of_messages_makes_a_rule_fail(messages):
    seen = Seen()
    for topic, data in messages:
        with suppress(GossipIgnore, GossipReject):
            RULES[topic](seen, builders.view(), data, NOW_MS)


def reasons(module) -> set[tuple[str, str]]:
    """All (outcome, reason) that a module's source can raise, its helpers in `view` included."""
    found = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"GossipIgnore", "GossipReject"}
        ):
            (reason,) = node.args
            assert isinstance(reason, ast.Constant), "a reason is a fixed phrase"
            found.add((node.func.id.removeprefix("Gossip").lower(), reason.value))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CAUGHT:
            found.add(CAUGHT[node.func.id])
    return found


@EVERY_TOPIC
def test_every_reason_has_its_test_and_no_test_another(topic):
    expected = reasons(MODULES[topic])
    if topic == "evidence":
        expected |= {("reject", "message is too long"), ("ignore", "message was seen before")}
    else:
        expected |= reasons(view)
    outcomes = {judge(situation) for situation in situations_of(topic).values()}
    assert {(outcome.expected, outcome.reason) for outcome in outcomes} == expected | {("accept", "")}


@EVERY_TOPIC
def test_every_test_of_a_topic_is_a_vector(topic):
    tests = {name for name in vars(TOPIC_TESTS[topic]) if name.startswith("test_")}
    assert {f"test_{name}" for name in situations_of(topic)} == tests


@EVERY_TOPIC
def test_each_reason_of_a_rule_stands_under_a_comment_that_says_the_rule(topic):
    """`# [IGNORE] …` or `# [REJECT] …`: the table in the specification is made of these lines."""
    for module in (MODULES[topic], view):
        source = inspect.getsource(module)
        ignores, rejects = (sum(kind == one for kind, _ in reasons(module)) for one in ("ignore", "reject"))
        # The two lines about a slot are one sentence, under one mark.
        assert source.count("# [IGNORE] ") == ignores - (module is view)
        assert source.count("# [REJECT] ") == rejects
