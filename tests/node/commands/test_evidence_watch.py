"""`cuckoo-slash watch`: what is told of nodes' folders, and what is handed on to be reported."""

import pytest
import trio

from contracts.errors import ChainUnreachable, ContractReverted
from node.commands import evidence_watch
from node.commands.evidence_submission import RewardLost
from node.commands.evidence_watch import RETRY_S, Finder, watch
from node.peer.evidence_store import EvidenceStore
from protocol.bounded import Bounded
from protocol.errors import LocalError
from protocol.evidence import JUDGED_BY_CONTRACT, Fault, verify_evidence
from tests.node.commands.test_slash import run
from tests.protocol import builders
from tests.protocol.builders import DOMAIN

__all__ = ["run"]
EPOCHS = builders.view().epochs
PIECES = {piece.FAULT: piece for piece in builders.all_evidence()}
JUDGED = [fault for fault in Fault if fault in JUDGED_BY_CONTRACT]


@pytest.fixture
def node(tmp_path):
    """Makes a node's data directory with evidence of some faults, or adds to it."""

    def make(name, *faults):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        store = EvidenceStore(folder / "evidence", DOMAIN)
        for fault in faults:
            offence = verify_evidence(DOMAIN, PIECES[fault], EPOCHS)
            assert store.add(PIECES[fault], offence, EPOCHS)
        return folder

    return make


def found(finder, refused=None):
    return [piece.offence.fault for piece in finder.look((refused if refused is not None else []).append)]


def test_an_offence_that_two_nodes_know_is_found_once_and_a_new_one_when_it_comes(node):
    finder = Finder([node("one", Fault.FALSE_STEP), node("other", Fault.FALSE_STEP), node("no evidence yet")])
    assert found(finder) == [Fault.FALSE_STEP]
    assert found(finder) == []
    node("no evidence yet", Fault.STEP_COUNT)
    assert found(finder) == [Fault.STEP_COUNT]


def test_a_file_that_is_no_evidence_is_told_once_until_it_is_written_anew(node):
    folder = node("one", Fault.FALSE_STEP)
    broken, refused = folder / "evidence" / "broken.json", []
    broken.write_text("{}")
    finder = Finder([folder])
    for _ in range(2):
        found(finder, refused)
    assert refused == [f"{broken}: no evidence: not a cuckoo-evidence/1 document"]
    broken.unlink()
    found(finder, refused)
    broken.write_text("[]")
    found(finder, refused)
    assert len(refused) == 2


def test_no_more_offences_are_remembered_than_the_bound(node, monkeypatch):
    monkeypatch.setattr(evidence_watch, "TOLD_MAX", 2)
    finder = Finder([node("one", *Fault)])
    assert found(finder) == sorted(Fault, key=lambda fault: fault.name)
    assert isinstance(finder.told, Bounded)
    assert len(finder.told) == 2


def test_no_more_files_are_looked_at_than_a_node_keeps(node, monkeypatch):
    monkeypatch.setattr(evidence_watch, "FILES_MAX", 2)
    assert len(found(Finder([node("one", *Fault)]))) == 2


def test_what_is_no_folder_is_a_clear_error(tmp_path):
    with pytest.raises(LocalError, match="nowhere is not a folder"):
        Finder([tmp_path / "nowhere"])


def test_without_a_folder_or_with_the_one_of_evidence_itself_it_says_what_to_name(node, run):
    folder = node("one", Fault.FALSE_STEP)
    assert run("watch") == (1, ["cuckoo-slash: name the data directories of nodes of yours"])
    assert run("watch", folder / "evidence", "--count", 1) == (
        1,
        [f"cuckoo-slash: {folder}/evidence is a node's evidence; name its data directory, {folder}"],
    )
    inner = node("evidence", Fault.FALSE_STEP)  # a data directory may have this name
    assert found(Finder([inner])) == [Fault.FALSE_STEP]


async def test_what_the_contract_judges_is_reported_and_all_is_told(node):
    folder, lines, reported = node("one", *Fault), [], []

    async def report(piece):
        await trio.lowlevel.checkpoint()
        reported.append(piece.offence.fault)

    await watch(Finder([folder]), lines.append, report, count=len(Fault))
    assert sorted(reported) == JUDGED
    offence = verify_evidence(DOMAIN, PIECES[Fault.STEP_COUNT], EPOCHS)
    at = lines.index(f"step count by 0x{offence.signer.hex()}")
    assert lines[at + 1] == "  committed to 3 steps of 4 that were announced"
    assert lines[at + 2] == f"  {folder}/evidence/step_count-{offence.signer.hex()}.json"
    assert sum(line.endswith("; the contract cannot judge this, people can") for line in lines) == (
        len(Fault) - len(JUDGED)
    )


async def test_it_ends_after_so_many_offences_and_not_before_their_reports(node, autojump_clock):
    ended = []

    async def report(piece):
        await trio.sleep(100)
        ended.append(piece.offence.fault)

    await watch(Finder([node("one", *JUDGED)]), print, report, count=2)
    assert len(ended) == 2


async def test_as_many_reports_as_the_bound_run_at_a_time(node, monkeypatch, autojump_clock):
    monkeypatch.setattr(evidence_watch, "REPORTS_MAX", 2)
    running, most = 0, 0

    async def report(_):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(1)
        running -= 1

    await watch(Finder([node("one", *JUDGED)]), print, report, count=len(JUDGED))
    assert most == 2


async def test_a_chain_that_does_not_answer_is_asked_again_and_a_no_is_told(node, autojump_clock):
    lines = []
    answers = [
        ChainUnreachable("http://rpc", "gone"),
        ContractReverted("OffenceSpent", {"signer": b"\x07" * 20}, b""),
        RewardLost("theirs"),
    ]
    times = []

    async def report(_):
        await trio.lowlevel.checkpoint()
        times.append(trio.current_time())
        raise answers.pop(0)

    await watch(Finder([node("one", JUDGED[0])]), lines.append, report, count=1)
    await watch(Finder([node("one")]), lines.append, report, count=1)
    name = f"{JUDGED[0].name.lower()}-"
    said = [line.partition(".json: ")[2] for line in lines if line.startswith(name)]
    assert said == [
        "the chain fails us; trying again: the chain's RPC at http://rpc cannot be reached: gone",
        f"this offence of 0x{'07' * 20} was reported already",
        "theirs",
    ]
    assert times[1] - times[0] == pytest.approx(RETRY_S)


def test_the_command_needs_neither_chain_nor_key_to_tell(node, run):
    folder = node("one", Fault.FALSE_STEP)
    (file,) = (folder / "evidence").iterdir()
    status, lines = run("watch", folder, "--count", 1)
    assert (status, lines) == (0, [*run("show", file)[1], f"  {file}"])


def test_to_submit_without_an_account_is_a_clear_error(node, run):
    assert run("watch", node("one"), "--submit") == (
        1,
        ["cuckoo-slash: --submit needs the account that reports: --reporter-key"],
    )


def test_an_account_without_submit_is_a_clear_error(node, run, tmp_path):
    assert run("watch", node("one"), "--reporter-key", tmp_path / "key.json", "--count", 1) == (
        1,
        ["cuckoo-slash: --reporter-key reports nothing without --submit"],
    )
