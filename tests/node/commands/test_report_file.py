"""The file of a report: written before anything is sent, private, and refused when it is not ours."""

import re

import pytest

from node.commands.report_file import ReportFileUnusable, begin_report, begun_report, end_report, report_path
from node.peer.evidence_store import EvidenceStore
from protocol.errors import LocalError
from protocol.statement import Domain

ME, OTHER = b"\x01" * 20, b"\x02" * 20


@pytest.fixture
def evidence(tmp_path):
    return tmp_path / f"equivocation-{'ab' * 20}.json"


def test_a_report_that_was_begun_is_found_again_and_forgotten_at_its_end(evidence):
    assert begun_report(evidence, ME) is None
    begun = begin_report(evidence, ME)
    assert begun_report(evidence, ME) == begun
    assert len(begun.salt) == 32
    assert begin_report(evidence, ME).salt != begun.salt
    assert report_path(evidence).stat().st_mode & 0o777 == 0o600
    end_report(evidence)
    assert begun_report(evidence, ME) is None


def test_an_account_does_not_go_on_with_another_ones_report(evidence):
    begin_report(evidence, OTHER)
    message = (
        f"{report_path(evidence)}: 0x{OTHER.hex()} has begun to report this; use its key, or remove the file"
    )
    with pytest.raises(ReportFileUnusable, match=re.escape(message)):
        begun_report(evidence, ME)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff", b'{"format": 1}', b"[" * 1_000, b'{"reporter": 1}']
)
def test_a_file_that_is_no_report_is_a_clear_error(evidence, content):
    report_path(evidence).write_bytes(content)
    with pytest.raises(ReportFileUnusable, match="is not the file of a report"):
        begun_report(evidence, ME)


def test_a_salt_that_is_too_short_is_no_report(evidence):
    begin_report(evidence, ME)
    path = report_path(evidence)
    path.write_text(path.read_text().replace('"salt": "', '"salt": "" , "old": "'))
    with pytest.raises(ReportFileUnusable, match="is not the file of a report"):
        begun_report(evidence, ME)


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(LocalError, match="cannot be written"):
        begin_report(tmp_path / "folder" / "evidence.json", ME)


def test_a_node_takes_no_notice_of_it(evidence):
    begin_report(evidence, ME)
    assert EvidenceStore(evidence.parent, Domain(1, bytes(20))).files() == []
