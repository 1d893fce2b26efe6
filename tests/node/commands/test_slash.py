"""`cuckoo-slash` without a chain: what it says of evidence files and of a folder of them."""

import json

import pytest

from node.commands import slash
from node.commands.errors import show_errors
from node.peer.evidence_store import EvidenceStore
from protocol.evidence import JUDGED_BY_CONTRACT, Fault, verify_evidence
from tests.protocol import builders
from tests.protocol.builders import AUDITOR, COORDINATOR, DOMAIN, FIRST_RANKED

EPOCHS = builders.view().epochs
PIECES = {piece.FAULT: piece for piece in builders.all_evidence()}


@pytest.fixture
def folder(tmp_path):
    """A folder as a node keeps it, with a piece of each fault."""
    store = EvidenceStore(tmp_path / "evidence", DOMAIN)
    for piece in PIECES.values():
        assert store.add(piece, verify_evidence(DOMAIN, piece, EPOCHS), EPOCHS)
    return tmp_path / "evidence"


@pytest.fixture
def run(capsys):
    """A command in this process: its exit status, and the lines that it prints or complains with."""

    def command(*words):
        try:
            status = show_errors(lambda: slash.app([str(word) for word in words]), name="cuckoo-slash")
        except SystemExit as ended:
            status = ended.code
        said = capsys.readouterr()
        return status, (said.out + said.err).splitlines()

    return command


def file_of(folder, fault):
    return next(folder.glob(f"{fault.name.lower()}-*.json"))


def test_show_says_a_false_step_in_numbers(folder, run):
    found = verify_evidence(DOMAIN, PIECES[Fault.FALSE_STEP], {}).finding
    assert run("show", file_of(folder, Fault.FALSE_STEP)) == (
        0,
        [
            f"false step by 0x{FIRST_RANKED.address.hex()}",
            f"  step 1, number 70: committed {found.committed:.5g}, the scheduler gives {found.expected:.5g}",
        ],
    )


@pytest.mark.parametrize("fault", Fault)
def test_each_fault_is_shown_and_verified(folder, run, fault):
    status, shown = run("show", file_of(folder, fault))
    assert (status, len(shown)) == (0, 2)
    status, verified = run("verify", file_of(folder, fault))
    assert status == 0
    assert verified[0].startswith("valid: ")
    told = "  the contract cannot judge this offence; people can" in verified
    assert told == (fault not in JUDGED_BY_CONTRACT)


def test_list_names_first_what_the_contract_judges(folder, run):
    (folder / "broken.json").write_text("{}")
    (folder / "notes.txt").write_text("mine")
    status, lines = run("list", folder)
    assert status == 0
    assert len(lines) == len(Fault) + 1
    assert [line.endswith(", for the contract") for line in lines] == (
        [True] * len(JUDGED_BY_CONTRACT) + [False] * (len(Fault) + 1 - len(JUDGED_BY_CONTRACT))
    )
    assert lines[-1] == "broken.json: no evidence: not a cuckoo-evidence/1 document"
    for fault, signer, judge in [
        (Fault.WRONG_RANKING, COORDINATOR, "people"),
        (Fault.FALSE_VERDICT, AUDITOR, "the contract"),
    ]:
        name = f"{fault.name.lower()}-{signer.address.hex()}.json"
        words = fault.name.lower().replace("_", " ")
        assert f"{name}: {words} by 0x{signer.address.hex()}, for {judge}" in lines


def test_what_is_no_folder_or_no_evidence_is_a_clear_error(tmp_path, run):
    assert run("list", tmp_path / "nowhere") == (
        1,
        [f"cuckoo-slash: {tmp_path / 'nowhere'} is not a folder"],
    )
    status, (line,) = run("show", tmp_path / "nowhere.json")
    assert (status, line.startswith("cuckoo-slash: ")) == (1, True)


def test_an_altered_file_shows_nothing(folder, run):
    path = file_of(folder, Fault.FALSE_STEP)
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"number": 71, "step": 2}))
    assert run("show", path) == (1, ["cuckoo-slash: the row is not the one of this step"])
