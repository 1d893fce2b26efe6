"""Addresses as people type them, times as they read them, and where flags come from."""

import pytest

from node import cli
from node.commands import chain_access
from node.commands import slash as slash_cli
from node.commands.chain_access import parse_address
from node.system.clock import format_time
from protocol.errors import LocalError


def test_addresses():
    assert parse_address("0x" + "aB" * 20) == b"\xab" * 20


@pytest.mark.parametrize("text", ["", "0x", "0x12", "zz" * 20, "0x" + "ab" * 21])
def test_bad_addresses(text):
    with pytest.raises(LocalError, match="is not an address: 0x and 40 hexadecimal digits"):
        parse_address(text)


def test_times():
    assert format_time(1_765_744_380) == "2025-12-14 20:33:00 UTC"
    assert format_time(2**256 - 1) == f"Unix time {2**256 - 1}"


@pytest.fixture
def asked(monkeypatch):
    """What commands were asked with; nothing is opened."""
    found = []
    for module in ("chain_access", "chain", "stake", "escrow", "slash"):
        monkeypatch.setattr(
            f"node.commands.{module}.run_on_chain", lambda options, work: found.append(options)
        )
    return found


def test_one_set_of_flags_for_all_commands(asked, monkeypatch):
    node = "0x" + "11" * 20
    cli.app(["chain", "balance", node, "--network", "here"], result_action="return_value")
    monkeypatch.setenv("CUCKOO_OWNER_KEY", "owner.json")
    monkeypatch.setenv("CUCKOO_NETWORK", "there")
    cli.app(["chain", "claim", node, "--password-file", "word"], result_action="return_value")
    looks, signs = asked
    assert (looks.network, looks.rpc_url) == ("here", ())
    assert not isinstance(looks, chain_access.SignerOptions)
    assert (signs.network, str(signs.key_file), str(signs.password_file)) == ("there", "owner.json", "word")


def test_who_reports_has_a_flag_of_its_own(asked, tmp_path, monkeypatch):
    monkeypatch.setattr("node.commands.evidence_reports.read_evidence", lambda file: (None, None, None))
    slash_cli.app(["submit", "evidence.json", "--reporter-key", "mine.json"], result_action="return_value")
    (options,) = asked
    assert isinstance(options, slash_cli.ReporterOptions)
    assert str(options.key_file) == "mine.json"
