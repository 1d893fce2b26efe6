"""Cards and request files between real hosts: verified by the id alone, never weights; hostile servers."""

import dataclasses

import pytest
import trio

from node.exchange import model_cards as subject
from node.exchange.model_cards import fetch_card, fetch_request_files
from node.exchange.models import ModelServer, ModelServerCounts
from node.exchange.protocols import MODELS_PROTOCOL
from node.inference.packages.download import SourceFailed, WrongContent
from node.inference.packages.package import pack
from protocol.errors import InvalidMessage, ProtocolError
from protocol.model_card import CARD_BYTES_MAX
from tests.node.inference.builders import SETTINGS, write_parts
from tests.p2p.nodes import connect, open_hosts
from tests.protocol.builders import model_card

TOKENIZER = b'{"vocabulary": {}}' * 20_000


@pytest.fixture
def package(tmp_path):
    root = tmp_path / "original"
    write_parts(root)
    (root / "tokenizer").mkdir()
    (root / "unet" / "weights.safetensors").write_bytes(bytes(1_000_000))
    (root / "tokenizer" / "tokenizer.json").write_bytes(TOKENIZER)
    return pack(root, SETTINGS)


async def test_the_card_alone_is_fetched(package):
    async with open_hosts(2) as (miner, coordinator):
        server = ModelServer([package])
        miner.handle_direct_streams(MODELS_PROTOCOL, server.handle)
        await connect(coordinator, miner)
        assert await fetch_card(coordinator, miner.peer_id, package.model_id) == package.card
        assert server.counts == ModelServerCounts(cards=1)
        with pytest.raises(SourceFailed, match="no such model or file is here"):
            await fetch_card(coordinator, miner.peer_id, bytes(32))


async def test_request_files_and_no_weights(package, tmp_path):
    folder = tmp_path / "files"
    async with open_hosts(2) as (miner, coordinator):
        server = ModelServer([package])
        miner.handle_direct_streams(MODELS_PROTOCOL, server.handle)
        await connect(coordinator, miner)
        for _ in range(2):
            await fetch_request_files(coordinator, miner.peer_id, package, folder)
    assert [path.name for path in folder.rglob("*.*")] == ["tokenizer.json"]
    assert (folder / "tokenizer" / "tokenizer.json").read_bytes() == TOKENIZER
    # The second time everything was there.
    assert (server.counts.served, server.counts.sent_bytes) == (1, len(TOKENIZER))


async def test_attack_a_request_file_with_one_byte_changed(package, tmp_path):
    (package.folder / "tokenizer" / "tokenizer.json").write_bytes(b"[" + TOKENIZER[1:])
    async with open_hosts(2) as (miner, coordinator):
        miner.handle_direct_streams(MODELS_PROTOCOL, ModelServer([package]).handle)
        await connect(coordinator, miner)
        with pytest.raises(WrongContent, match=r"tokenizer/tokenizer\.json is not the file"):
            await fetch_request_files(coordinator, miner.peer_id, package, tmp_path / "files")
    assert not (tmp_path / "files" / "tokenizer" / "tokenizer.json").exists()


async def answered(package, answer):
    """The outcome of a fetch from a server that answers with such payloads."""

    async def handle(stream, _peer_id):
        await stream.receive()
        for payload in answer:
            await stream.send(payload)

    async with open_hosts(2) as (miner, coordinator):
        miner.handle_direct_streams(MODELS_PROTOCOL, handle)
        await connect(coordinator, miner)
        return await fetch_card(coordinator, miner.peer_id, package.model_id)


async def test_attack_the_card_of_another_model(package):
    proved = package.proved_card()
    with pytest.raises(InvalidMessage, match="card is not that of the model"):
        await answered(package, [dataclasses.replace(proved, card=model_card().encode()).encode()])


async def test_attack_a_wrong_proof(package):
    proved = package.proved_card()
    for proof in ((), proved.proof[:-1], (*proved.proof, bytes(32)), (bytes(32),) * len(proved.proof)):
        with pytest.raises(InvalidMessage, match="card is not that of the model"):
            await answered(package, [dataclasses.replace(proved, proof=proof).encode()])


@pytest.mark.parametrize("payload", [bytes(2 * CARD_BYTES_MAX), b"no card at all"])
async def test_attack_what_is_no_card_or_too_long(package, payload):
    with pytest.raises(ProtocolError):
        await answered(package, [payload])


async def test_attack_nothing_but_the_end(package):
    with pytest.raises(ProtocolError, match="the peer gave no card"):
        await answered(package, [])


async def test_attack_silence(package, monkeypatch):
    monkeypatch.setattr(subject, "CARD_TIMEOUT_MS", 200)
    monkeypatch.setattr(subject, "REQUEST_FILES_TIMEOUT_MS", 200)

    async def handle(_stream, _peer_id):
        await trio.sleep_forever()

    async with open_hosts(2) as (miner, coordinator):
        miner.handle_direct_streams(MODELS_PROTOCOL, handle)
        await connect(coordinator, miner)
        with pytest.raises((SourceFailed, ProtocolError)):
            await fetch_card(coordinator, miner.peer_id, package.model_id)
        with pytest.raises(SourceFailed, match="did not give the request files in time"):
            await fetch_request_files(coordinator, miner.peer_id, package, package.folder.parent / "files")
