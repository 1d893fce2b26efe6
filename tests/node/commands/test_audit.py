"""`cuckoo-peer audit` in words; that it checks real work is shown in `tests/market/test_readme.py`."""

from node.commands.audit import in_words
from node.coordinator.buyer_auditing import Report
from node.system.observable import to_document


def test_a_finding_in_words():
    report = Report(b"\x01" * 32, b"\x02" * 20, (3, 7), "false", "its buyer looked", 12_345, accused=True)
    assert in_words(to_document(report)).splitlines() == [
        f"task      0x{'01' * 32}",
        f"miner     0x{'02' * 20}",
        "finding   false",
        "          its buyer looked",
        "distance  12345 parts per billion at most",
        "accused   the evidence is in the folder `evidence`, and with all peers",
    ]
    silent = Report(b"\x01" * 32, b"\x02" * 20, (3,), "not_opened", "its buyer looked")
    assert in_words(to_document(silent)).splitlines()[2:] == [
        "finding   not opened",
        "          its buyer looked",
    ]
