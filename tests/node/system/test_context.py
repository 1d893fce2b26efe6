"""node/system/context.py: what every node has, opened together, and who may see which part of it."""

import json
import os
from dataclasses import dataclass
from functools import partial
from importlib import metadata

import httpx2
import pytest
import trio

from node.settings import BootstrapSettings, MinerSettings
from node.system.context import open_context
from node.system.control_client import NodeDown, ask
from node.system.readiness import FREE_BYTES_MIN
from protocol.errors import LocalError


@dataclass(frozen=True)
class Money:
    earned_wei: int = 1 << 70


async def get(url):
    async with httpx2.AsyncClient(trust_env=False) as client:
        return await client.get(url)


async def test_a_node_that_starts__is_alive_and_not_ready(tmp_path):
    async with open_context(MinerSettings(data_dir=tmp_path)) as context:
        assert (await get(f"{context.health_url}/healthz")).status_code == 200
        answer = await get(f"{context.health_url}/readyz")
        assert (answer.status_code, answer.json()) == (
            503,
            {"ready": False, "reasons": {"starting": "the node is starting"}},
        )
        context.started()
        assert (await get(f"{context.health_url}/readyz")).status_code == 200
        context.readiness.register("no_deposit", lambda: "nothing is free")
        assert (await get(f"{context.health_url}/readyz")).json()["reasons"] == {
            "no_deposit": "nothing is free"
        }


@pytest.mark.parametrize(
    ("kind", "shows_all"),
    [(BootstrapSettings, True), (MinerSettings, False)],
)
async def test_money_is_shown_to_its_user_alone(tmp_path, kind, shows_all):
    async with open_context(kind(data_dir=tmp_path, health_address="127.0.0.1:0")) as context:
        context.observable.register("pay", Money)
        page = (await get(f"{context.health_url}/status")).json()
        own = await trio.to_thread.run_sync(partial(ask, tmp_path, "status"))
    assert own["pay"] == {"earned_wei": str(1 << 70)}
    assert ("pay" in page) is shows_all
    assert own["node"] == page["node"] | {"uptime_s": own["node"]["uptime_s"]}
    assert (own["node"]["role"], own["node"]["process"]) == (kind.role, os.getpid())
    assert own["node"]["version"] == metadata.version("cuckoo-peer")
    assert json.loads(json.dumps(own)) == own


async def test_without_an_address__there_is_no_page_and_the_socket_is_there(tmp_path):
    async with open_context(MinerSettings(data_dir=tmp_path, health_address="")) as context:
        assert context.health_url is None
        assert "node" in await trio.to_thread.run_sync(partial(ask, tmp_path, "status"))
    with pytest.raises(NodeDown):
        ask(tmp_path, "status")


async def test_a_full_disk__is_a_reason(tmp_path, monkeypatch):
    monkeypatch.setattr("node.system.readiness._free_bytes", lambda folder: FREE_BYTES_MIN - 1)
    async with open_context(MinerSettings(data_dir=tmp_path, health_address="")) as context:
        context.started()
        with trio.fail_after(60):
            while context.readiness.status().ready:
                await trio.lowlevel.checkpoint()
        assert list(context.readiness.status().reasons) == ["disk_full"]


async def test_a_page_whose_address_is_taken__is_our_own_fault(tmp_path):
    async with open_context(MinerSettings(data_dir=tmp_path)) as context:
        address = context.health_url.removeprefix("http://")
        (tmp_path / "other").mkdir()
        with pytest.RaisesGroup(LocalError, flatten_subgroups=True):
            async with open_context(MinerSettings(data_dir=tmp_path / "other", health_address=address)):
                pass
