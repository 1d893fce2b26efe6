"""Model packages between real hosts: whole, continued, refused, and never more transfers than allowed."""

from contextlib import asynccontextmanager

import pytest
import trio

from node.exchange import models as subject
from node.exchange.model_pull import pull_package
from node.exchange.models import ModelServer, ModelServerCounts, PeerSource
from node.exchange.protocols import MODELS_PROTOCOL
from node.inference.packages.download import SourceFailed, WrongContent, download
from node.inference.packages.manifest import MANIFEST_NAME
from node.inference.packages.package import pack, verify
from p2p.stream_errors import RemoteAborted
from protocol.transfer import ModelRequest
from tests.limits import HANG_S
from tests.node.inference.builders import SETTINGS, write_parts
from tests.p2p.nodes import connect, open_hosts

WEIGHTS = bytes(range(256)) * 4000


@pytest.fixture
def package(tmp_path):
    root = tmp_path / "original"
    write_parts(root)
    (root / "unet" / "weights.safetensors").write_bytes(WEIGHTS)
    (root.parent / "secret.json").write_text("not for others")
    return pack(root, SETTINGS)


@asynccontextmanager
async def open_pair(package):
    """A server, the host it is on, and a source on another host."""
    async with open_hosts(2) as (miner, newcomer):
        server = ModelServer([package])
        miner.handle_direct_streams(MODELS_PROTOCOL, server.handle)
        await connect(newcomer, miner)
        yield server, miner, newcomer


def quiet(*_):
    pass


async def test_a_package_from_a_peer(package, tmp_path):
    async with open_pair(package) as (server, miner, newcomer):
        source = PeerSource(newcomer, miner.peer_id, package.model_id)
        verify(await download(source, package.model_id, tmp_path / "copy", quiet))
        assert server.counts.served == 7
        manifest_bytes = (package.folder / MANIFEST_NAME).stat().st_size
        assert server.counts.sent_bytes == package.size_bytes + manifest_bytes


async def test_by_address_with_a_key_of_the_moment(package, tmp_path):
    async with open_pair(package) as (_, miner, _newcomer):
        address = str(miner.listen_addresses()[0])
        found = await pull_package(address, package.model_id, tmp_path / "models", None, quiet)
        assert found.folder.name == package.model_id.hex()[:8]


async def test_files_longer_than_one_answer_and_broken_transfers_are_continued(
    package, tmp_path, monkeypatch
):
    monkeypatch.setattr(subject, "RANGE_BYTES_MAX", 300_000)
    (tmp_path / "copy.partial" / "unet").mkdir(parents=True)
    (tmp_path / "copy.partial" / "unet" / "weights.safetensors").write_bytes(WEIGHTS[:123_456])
    async with open_pair(package) as (server, miner, newcomer):
        source = PeerSource(newcomer, miner.peer_id, package.model_id)
        verify(await download(source, package.model_id, tmp_path / "copy", quiet))
        # Three small files, and the rest of the weights in four answers.
        assert server.counts.served == 3 + 7


async def test_attack_one_flipped_byte(package, tmp_path):
    (package.folder / "unet" / "weights.safetensors").write_bytes(WEIGHTS[:-1] + b"x")
    async with open_pair(package) as (_, miner, newcomer):
        source = PeerSource(newcomer, miner.peer_id, package.model_id)
        with pytest.raises(WrongContent, match="is not the file of the manifest"):
            await download(source, package.model_id, tmp_path / "copy", quiet)


@pytest.mark.parametrize(
    "path", ["../secret.json", "/etc/passwd", "unet", "", "unet/../model_index.json", "manifest.json.partial"]
)
async def test_attack_path_outside_the_manifest(package, path):
    async with (
        open_pair(package) as (server, miner, newcomer),
        newcomer.open_direct_stream(miner.peer_id, MODELS_PROTOCOL) as stream,
    ):
        await stream.send(ModelRequest(package.model_id, path, 0).encode())
        with pytest.raises(RemoteAborted, match="no such model or file"):
            await stream.receive()
        assert server.counts == ModelServerCounts(unknown=1)


async def test_refusals(package, tmp_path):
    async with open_pair(package) as (_, miner, newcomer):
        other = PeerSource(newcomer, miner.peer_id, bytes(32))
        with pytest.raises(SourceFailed, match="no such model"):
            await download(other, bytes(32), tmp_path / "copy", quiet)
        source = PeerSource(newcomer, miner.peer_id, package.model_id)
        with pytest.raises(SourceFailed, match="ends before"):
            async with source.read(MANIFEST_NAME, 10**9) as pieces:
                _ = [piece async for piece in pieces]


async def test_attack_more_transfers_than_allowed(package, monkeypatch):
    monkeypatch.setattr(subject, "TRANSFERS_MAX", 1)
    async with (
        open_pair(package) as (server, miner, newcomer),
        newcomer.open_direct_stream(miner.peer_id, MODELS_PROTOCOL) as slow,
    ):
        await slow.send(ModelRequest(package.model_id, "unet/weights.safetensors", 0).encode())
        with trio.fail_after(HANG_S):
            while not server._transfers:
                await trio.sleep(0.005)
        source = PeerSource(newcomer, miner.peer_id, package.model_id)
        with pytest.raises(SourceFailed, match="too many"):
            async with source.read(MANIFEST_NAME, 0) as pieces:
                _ = [piece async for piece in pieces]
        assert server.counts.busy == 1
        while await slow.receive() is not None:
            pass
    assert server._transfers == 0
