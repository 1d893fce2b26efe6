"""A hub over a real socket: its download protocol, ranges and redirects, by a server of our own."""

import functools
import threading
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trio

from node.commands import model as model_cli
from node.exchange.model_pull import BadSource, pull_package
from node.inference.packages.download import SourceFailed, WrongContent, download
from node.inference.packages.model_sources import BadHubId, HubId, HubSource, open_http
from node.inference.packages.package import pack, verify
from tests.node.inference.builders import SETTINGS, write_parts

WEIGHTS = bytes(range(256)) * 2000


class Hub(BaseHTTPRequestHandler):
    """`/owner/name/resolve/rev/path` redirects to where the bytes are, as the hub does."""

    folder = None
    ranges = True
    cut_at = None
    seen: list[tuple[str, str | None]]

    def do_GET(self):
        prefix = "/owner/tiny/resolve/v1/"
        if self.path.startswith(prefix):
            self.send_response(302)
            self.send_header("Location", "/cdn/" + self.path.removeprefix(prefix))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path = self.folder / self.path.removeprefix("/cdn/")
        if not self.path.startswith("/cdn/") or not path.is_file():
            self.send_error(404)
            return
        wanted = self.headers["Range"]
        self.seen.append((path.name, wanted))
        data, status = path.read_bytes(), 200
        if wanted and self.ranges:
            data, status = data[int(wanted.removeprefix("bytes=").removesuffix("-")) :], 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if type(self).cut_at is not None and len(data) > self.cut_at:
            data, type(self).cut_at = data[: self.cut_at], None
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def package(tmp_path):
    root = tmp_path / "original"
    write_parts(root)
    (root / "unet" / "weights.safetensors").write_bytes(WEIGHTS)
    return pack(root, SETTINGS)


@pytest.fixture
def hub(package):
    """The handler class, which can be told to misbehave, and the server's address."""
    handler = type("OneHub", (Hub,), {"folder": package.folder, "seen": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=functools.partial(server.serve_forever, 0.01))
        thread.start()
        yield handler, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@asynccontextmanager
async def source(hub, text="owner/tiny@v1"):
    async with open_http() as http:
        yield HubSource(http, HubId.parse(text), hub[1])


def quiet(*_):
    pass


async def test_from_the_hub(package, hub, tmp_path):
    async with source(hub) as tiny:
        verify(await download(tiny, package.model_id, tmp_path / "copy", quiet))


@pytest.mark.parametrize("ranges", [True, False])
async def test_goes_on_after_a_cut_connection_with_ranges_and_without(package, hub, tmp_path, ranges):
    hub[0].cut_at, hub[0].ranges = 100_000, ranges
    async with source(hub) as tiny:
        verify(await download(tiny, package.model_id, tmp_path / "copy", quiet))
    asked = [wanted for name, wanted in hub[0].seen if name == "weights.safetensors"]
    assert asked[0] is None
    assert len(asked) == 2
    assert 0 < int(asked[1].removeprefix("bytes=").removesuffix("-")) <= 100_000


async def test_attack_one_flipped_byte(package, hub, tmp_path):
    path = package.folder / "unet" / "weights.safetensors"
    path.write_bytes(WEIGHTS[:-1] + b"x")
    async with source(hub) as tiny:
        with pytest.raises(WrongContent, match="is not the file of the manifest"):
            await download(tiny, package.model_id, tmp_path / "copy", quiet)
    assert not (tmp_path / "copy").exists()


async def test_what_the_hub_does_not_have(package, hub, tmp_path):
    async with source(hub, "owner/other") as other:
        with pytest.raises(SourceFailed, match="404"):
            await download(other, package.model_id, tmp_path / "copy", quiet)


async def test_no_hub_at_all(package, tmp_path):
    async with open_http() as http:
        nobody = HubSource(http, HubId.parse("a/b"), "http://127.0.0.1:9")
        with pytest.raises(SourceFailed, match="cannot be read"):
            await download(nobody, package.model_id, tmp_path / "copy", quiet)


@pytest.mark.parametrize("text", ["", "name", "a/b/c", "a/b@", "../b", "a/..", "a/b@..", "a b/c", "a/b?x=1"])
def test_what_is_no_hub_id(text):
    with pytest.raises(BadHubId):
        HubId.parse(text)


def test_hub_ids():
    assert HubId.parse("owner/na-me.1") == HubId("owner/na-me.1", "main")
    assert HubId.parse("owner/name@v1.0").revision == "v1.0"
    assert HubId.parse("owner/name").name == "name"


async def test_what_names_no_source(tmp_path):
    with pytest.raises(BadSource):
        await pull_package("/nonsense", bytes(32), tmp_path, None, quiet)


@pytest.mark.parametrize("model_id", ["", "zz", "00" * 31])
def test_what_is_no_model_id(model_id):
    with pytest.raises(model_cli.BadModelId):
        model_cli.pull("owner/tiny", model_id=model_id)


def test_the_command_pulls_lists_verifies_and_shows(package, hub, tmp_path, capsys):
    models = tmp_path / "models"
    model_cli.pull("owner/tiny@v1", model_id=package.model_id.hex(), folder=models, hub_url=hub[1])
    model_cli.list_(models)
    model_cli.verify(models / "tiny")
    model_cli.card(models / "tiny")
    printed = capsys.readouterr().out
    assert printed.count(package.model_id.hex()) == 4
    assert "0.6 of 0.6 MB" in printed
    assert "cuckoo-icons" in printed
    assert "sizes 32x32, 64x32" in printed


def test_a_card_does_not_steer_the_terminal(tmp_path, capsys):
    write_parts(tmp_path)
    (tmp_path / "README.md").write_text("# Card\n\x1b]0;title\x07 text\n")
    pack(tmp_path, SETTINGS)
    model_cli.card(tmp_path)
    printed = capsys.readouterr().out
    assert "# Card\n]0;title text\n" in printed


def test_trio_is_what_runs_it(package, hub, tmp_path):
    """The whole of it once more from the outside, as the command does."""
    told = []
    found = trio.run(
        pull_package, "owner/tiny@v1", package.model_id, tmp_path, hub[1], lambda *words: told.append(words)
    )
    assert found.folder == tmp_path / "tiny"
    assert told
