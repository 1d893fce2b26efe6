"""`receipt verify`: what holds, what does not, and what cannot be read."""

import dataclasses
import json

import pytest

from node.commands import receipt as receipt_cli
from protocol.errors import CuckooError, DecodeError, InvalidMessage, LocalError
from protocol.hashing import sha256
from protocol.receipt import to_document
from tests.protocol import builders
from tests.protocol.builders import FIRST_RANKED, sealed

IMAGE = b"the picture"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(to_document(builders.receipt())))
    return path


def test_a_receipt_that_holds(file, capsys):
    receipt_cli.verify(file)
    receipt = builders.receipt()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        f"valid: task 0x{receipt.announcement.digest.hex()}",
        f"  coordinator 0x{receipt.announcement.signer.address.hex()}",
        f"  miner       0x{receipt.commitment.signer.address.hex()}, at rank 0",
    ]
    assert lines[-1].startswith(f"  for chain {receipt.domain.chain_id}, Slashing contract 0x")


def test_another_picture_than_the_committed_one(file, tmp_path):
    (tmp_path / "picture.png").write_bytes(IMAGE)
    with pytest.raises(InvalidMessage, match="the picture is not the one that the miner committed to"):
        receipt_cli.verify(file, image=tmp_path / "picture.png")
    with pytest.raises(LocalError, match=r"none.png cannot be read: No such file or directory"):
        receipt_cli.verify(file, image=tmp_path / "none.png")


def test_the_committed_picture(tmp_path, capsys):
    path, picture = tmp_path / "receipt.json", tmp_path / "picture.png"
    picture.write_bytes(IMAGE)
    honest = builders.receipt().commitment.message
    commitment = sealed(FIRST_RANKED, dataclasses.replace(honest, output_hash=sha256(IMAGE)))
    document = to_document(builders.receipt()) | {"commitment": commitment.hex()}
    path.write_text(json.dumps(document))
    receipt_cli.verify(path, image=picture)
    assert f"SHA-256 0x{sha256(IMAGE).hex()}, which {picture} has" in capsys.readouterr().out


def test_a_changed_receipt_does_not_hold(file):
    document = json.loads(file.read_text())
    file.write_text(json.dumps(document | {"chain_id": document["chain_id"] + 1}))
    with pytest.raises(CuckooError):
        receipt_cli.verify(file)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff"])
def test_what_is_not_json(tmp_path, content):
    path = tmp_path / "receipt.json"
    path.write_bytes(content)
    with pytest.raises(DecodeError, match="is not JSON"):
        receipt_cli.verify(path)


def test_a_file_that_is_too_long_is_not_read(file, monkeypatch):
    monkeypatch.setattr(receipt_cli, "RECEIPT_BYTES_MAX", 10)
    with pytest.raises(DecodeError, match="is longer than 10 bytes"):
        receipt_cli.verify(file)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(LocalError, match="cannot be read: No such file or directory"):
        receipt_cli.verify(tmp_path / "none.json")
