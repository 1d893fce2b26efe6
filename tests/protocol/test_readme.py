"""The specification says what the code does: its tables are compared, its examples run."""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import pytest

import protocol
from protocol import audit_draw, draw, epoch_document, evidence, messages, png, registrations, statement
from protocol.audit import AuditReason, Audits, CheckedStep, FaultPlace, TraceTensor
from protocol.audit_pay import AuditPay
from protocol.cbor import BYTES_MAX, DEPTH_MAX
from protocol.clock import QUESTIONS_PER_STREAM_MAX, ClockAnswer, ClockQuestion
from protocol.draw import ranking, task_seed
from protocol.evidence import trace_forms
from protocol.evidence.false_verdict import VERDICT_BYTES_MAX
from protocol.evidence.faults import COMMITMENT_BYTES_MAX
from protocol.hashing import keccak256
from protocol.merkle import LEAVES_MAX
from protocol.messages import (
    MESSAGE_OF,
    ChunkKind,
    DeclineKind,
    Kind,
    ModelOffer,
    PassedOver,
    PublicInput,
    RankedMiner,
    ReplyKind,
    SealedInput,
    Source,
    TaskCall,
    TaskDecline,
    TaskInput,
    TaskReply,
    WorkOffer,
)
from protocol.model_card import ModelCard, ProvedCard, RequestFile
from protocol.model_table import SCHEDULE_STEPS_MAX
from protocol.pay import SLICES_PER_TASK, SignedVoucher
from protocol.rules import evidence as evidence_rules
from protocol.rules import offers, results, tasks, verdicts, view
from protocol.schema import Bytes, Items, Text, Uint, _kind_of, _kinds
from protocol.statement import Envelope
from protocol.task import AUDITOR as AUDITOR_TABLE
from protocol.task import COORDINATOR as COORDINATOR_TABLE
from protocol.task import MINER as MINER_TABLE
from protocol.task import ORDER, TURN, mermaid
from protocol.tensor import NUMBERS_MAX
from protocol.trace import Opening, OpeningRequest, ProvedLeaf, TraceLeaf
from protocol.transfer import ModelRequest
from protocol.work import SPECS, UNITS_MAX, ImageDetails, ImageNumbers, Work
from tests.protocol.builders import COORDINATOR, EPOCH
from tests.protocol.rules.test_all_rules import CAUGHT

README = Path(protocol.__file__).with_name("README.md")
TEXT = README.read_text()
MODULES = {
    "offers": offers,
    "tasks": tasks,
    "results": results,
    "verdicts": verdicts,
    "evidence": evidence_rules,
}
STRUCTS = [
    *MESSAGE_OF.values(),
    ModelOffer,
    WorkOffer,
    RankedMiner,
    Work,
    ImageDetails,
    ImageNumbers,
    TaskCall,
    TaskInput,
    PublicInput,
    SealedInput,
    Source,
    TaskReply,
    TaskDecline,
    Envelope,
    ModelRequest,
    ClockQuestion,
    ClockAnswer,
    ModelCard,
    RequestFile,
    ProvedCard,
    OpeningRequest,
    Opening,
    ProvedLeaf,
    TraceLeaf,
    SignedVoucher,
    AuditPay,
    CheckedStep,
    FaultPlace,
    *evidence.FORM_OF.values(),
]


def words_of(kind) -> str:
    """A field's kind and bounds in words."""
    match kind:
        case Uint(maximum):
            bits = maximum.bit_length()
            whole = maximum == (1 << bits) - 1 and bits in {8, 16, 32, 64}
            return f"uint{bits}" if whole else f"uint, 0 to {maximum:,}"
        case Bytes(minimum, maximum):
            return f"bytes, {maximum:,}" if minimum == maximum else f"bytes, {minimum} to {maximum:,}"
        case Text(maximum):
            return f"text, up to {maximum:,} bytes"
        case Items(of, minimum, maximum):
            inner = _kind_of(of)
            name = inner.__name__ if isinstance(inner, type) else f"({words_of(inner)})"
            return f"array, {minimum} to {maximum} of {name}"
        case _:
            return kind.__name__


def meanings_of(struct) -> dict[str, str]:
    """What `:ivar name: …` lines of a class say."""
    found = re.findall(r":ivar (\w+): (.*?)(?=\n:ivar|\n\n|\Z)", inspect.cleandoc(struct.__doc__), re.DOTALL)
    return {name: " ".join(meaning.split()).replace("``", "`") for name, meaning in found}


def table_of(struct) -> str:
    meanings = meanings_of(struct)
    rows = [f"| `{name}` | {words_of(kind)} | {meanings.get(name, '')} |" for name, kind in _kinds(struct)]
    return "\n".join(["| field | type | meaning |", "|---|---|---|", *rows])


def rules_of(function) -> list[tuple[str, str]]:
    """(verdict, reason) in the order in which a rule checks them, its helpers in `view` included."""
    found = []

    def walk(node):
        for child in ast.iter_child_nodes(node):
            walk(child)
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            return
        name = node.func.id
        if name in {"GossipIgnore", "GossipReject"}:
            found.append((name.removeprefix("Gossip").upper(), node.args[0].value))
        elif hasattr(view, name) and name.startswith(("read_", "verify_", "check_")):
            found.extend(rules_of(getattr(view, name)))
        elif name.startswith("check_"):
            found.extend(rules_of(getattr(inspect.getmodule(function), name)))
        elif name in CAUGHT:
            verdict, reason = CAUGHT[name]
            found.append((verdict.upper(), reason))

    walk(ast.parse(inspect.getsource(function)))
    return found


def section(title: str) -> str:
    """The text under a heading, up to the next heading of the same or a higher level."""
    match = re.search(rf"^(#+) {re.escape(title)}$", TEXT, re.MULTILINE)
    assert match, f"no section {title!r}"
    level = len(match.group(1))
    rest = TEXT[match.end() :]
    end = re.search(rf"^#{{1,{level}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_each_struct_has_its_table(struct):
    assert dataclasses.is_dataclass(struct)
    assert table_of(struct) in section(struct.__name__)


def test_the_table_of_kinds():
    for kind in Kind:
        name, slashable = MESSAGE_OF[kind].__name__, "yes" if kind.slashable else "no"
        pattern = rf"\| {int(kind)} \| \[`{name}`\]\(#\w+\) \|.*\| {slashable} \|"
        assert re.search(pattern, section("Kinds and slots")), kind
    assert len(re.findall(r"^\| \d", section("Kinds and slots"), re.MULTILINE)) == len(Kind)


@pytest.mark.parametrize(
    ("numbers", "title"),
    [
        (PassedOver, "RankedMiner"),
        (ChunkKind, "ResultChunk"),
        (ReplyKind, "TaskReply"),
        (DeclineKind, "TaskDecline"),
        (Audits, "TaskAnnouncement"),
        (AuditReason, "AuditVerdict"),
        (TraceTensor, "FaultPlace"),
    ],
)
def test_each_set_of_numbers_has_its_table(numbers, title):
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \| .+ \|$", section(title), re.MULTILINE)
    assert rows == [(str(int(one)), one.name) for one in numbers]


def row_of(kind) -> str:
    """A kind of work in the table of kinds."""
    spec = SPECS[kind]
    structs = [
        f"[`{struct.__name__}`](#{struct.__name__.lower()})" for struct in (spec.details, spec.numbers)
    ]
    lists = [[role.name for role in spec.roles], spec.priced, spec.priced[: spec.upfront]]
    cells = [str(int(kind)), spec.name, spec.unit, *structs, *(", ".join(each) or "none" for each in lists)]
    return f"| {' | '.join(cells)} | {'yes' if spec.may_end_early else 'no'} |"


def test_the_table_of_kinds_of_work():
    assert "\n".join(map(row_of, SPECS)) in section("Work")
    assert len(re.findall(r"^\| \d", section("Work"), re.MULTILINE)) == len(SPECS)


@pytest.mark.parametrize("topic", MODULES)
def test_each_topic_has_its_rules_in_order(topic):
    rows = re.findall(
        r"^\| \d+ \| (IGNORE|REJECT) \| .* \| (.*) \|$", section(f"Topic `{topic}`"), re.MULTILINE
    )
    functions = [function for name, function in vars(MODULES[topic]).items() if name.startswith("validate_")]
    assert len(functions) == 1
    assert rows == rules_of(functions[0])


@pytest.mark.parametrize("table", [ORDER, COORDINATOR_TABLE, TURN, MINER_TABLE, AUDITOR_TABLE])
def test_the_diagrams_are_the_generated_ones(table):
    assert f"```mermaid\n{mermaid(table)}\n```" in section("The life of a task")


def test_the_limits():
    limits = {
        "longest encoding": BYTES_MAX,
        "deepest nesting of arrays": DEPTH_MAX,
        "most leaves of one tree": LEAVES_MAX,
        "most numbers of one tensor": NUMBERS_MAX,
        "most steps of one schedule": SCHEDULE_STEPS_MAX,
        "longest gossip message": view.GOSSIP_BYTES_MAX,
        "longest statement within evidence": evidence.STATEMENT_BYTES_MAX,
        "longest body": statement.BODY_BYTES_MAX,
        "longest output": messages.OUTPUT_BYTES_MAX,
        "longest source": messages.SOURCE_BYTES_MAX,
        "most sources of one input": messages.SOURCES_MAX,
        "most units of one task": UNITS_MAX,
        "IDAT chunks of a picture": png.IDAT_CHUNKS_MAX,
        "most miners of one snapshot": draw.MINERS_MAX,
        "most miners of one receipt": epoch_document.MINERS_MAX,
        "slices of a task's pay": SLICES_PER_TASK,
        "questions of a stream about the time": QUESTIONS_PER_STREAM_MAX,
        "clock disparity in ms": view.CLOCK_DISPARITY_MS_MAX,
        "longest life of an offer in ms": offers.OFFER_LIFE_MS_MAX,
        "longest life of a task in ms": tasks.TASK_LIFE_MS_MAX,
        "longest statement of a chunk within evidence": evidence.CHUNK_STATEMENT_BYTES_MAX,
        "longest announcement within evidence about a trace": trace_forms.ANNOUNCEMENT_BYTES_MAX,
        "longest commitment within evidence about a trace": COMMITMENT_BYTES_MAX,
        "longest verdict within evidence": VERDICT_BYTES_MAX,
        "auditors of one piece of work": audit_draw.AUDITORS_PER_WORK,
        "places looked at for auditors": audit_draw.AUDITOR_PLACES_MAX,
        "nodes with owners of one epoch": registrations.REGISTRATIONS_MAX,
        "messages remembered": view.SEEN_MESSAGES_MAX,
        "statements remembered": view.SEEN_STATEMENTS_MAX,
        "announcements remembered": view.SEEN_TASKS_MAX,
        "commitments remembered": view.SEEN_COMMITMENTS_MAX,
        "audits remembered": view.SEEN_AUDITS_MAX,
        "offers remembered": view.SEEN_OFFERS_MAX,
        "offences remembered": view.SEEN_EVIDENCE_MAX,
    }
    for name, limit in limits.items():
        assert f"| {name} | {limit:,} |" in section("Limits"), f"| {name} | {limit:,} |"


def test_the_worked_draw_is_the_draws():
    """Every number of the example, computed again."""
    text = section("A worked draw")
    seed = task_seed(EPOCH.seed, COORDINATOR.address, 0)
    assert EPOCH.seed.hex() in text
    assert COORDINATOR.address.hex() in text
    assert seed.hex() in text
    remaining = EPOCH.miners.total
    for j, miner in enumerate(ranking(EPOCH.miners, seed)):
        point = int.from_bytes(keccak256(seed + j.to_bytes(4, "big")), "big") % remaining
        row = rf"^\| {j} \| {remaining:,} \| {point:,} \| .*`{miner.hex()[:8]}…` \|$"
        assert re.search(row, text, re.MULTILINE), (
            f"| {j} | {remaining:,} | {point:,} | … `{miner.hex()[:8]}…` |"
        )
        remaining -= EPOCH.miners.weight_of(miner)


def test_the_examples_run():
    """All blocks in order, as one program."""
    blocks = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    program = "\n".join(blocks)
    assert "assert" in program
    exec(compile(program, str(README), "exec"), {"__name__": "readme"})


def test_every_link_leads_somewhere():
    headings = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif not target.startswith("https://"):
            assert (README.parent / target).exists(), target


def test_each_decision_says_why():
    assert len(re.findall(r"^\*\*Why .*\?\*\*", TEXT, re.MULTILINE)) >= 20
