"""`cuckoo-peer portal open` against a node's socket: a link whose code opens a session."""

from types import SimpleNamespace

import pytest
import trio

from node.commands import portal as commands
from node.portal.own import OpenPortal, Own
from node.system.control import open_control
from node.system.control_client import NodeDown, RequestRefused
from node.system.events import EventBus
from node.system.observable import Observable
from protocol.errors import LocalError, Refusal


async def run(tmp_path):
    await trio.to_thread.run_sync(lambda: commands.open_(tmp_path))


async def test_the_link_opens_a_session__and_has_its_code_where_no_request_shows_it(tmp_path, capsys):
    async with open_control(tmp_path, Observable(), EventBus()) as control:
        own = Own(SimpleNamespace(context=SimpleNamespace(control=control)), "miner")
        own.register("https://node.example/")
        await run(tmp_path)
        address, _, code = capsys.readouterr().out.strip().partition("#open=")
        assert address == "https://node.example/"
        assert own.sessions.require(own.sessions.exchange(code))


async def test_a_node_without_a_portal_has_no_link__and_says_what_to_do(tmp_path):
    async with open_control(tmp_path, Observable(), EventBus()):
        with pytest.raises(LocalError) as error:
            await run(tmp_path)
    assert str(error.value) == (
        f"the node on {tmp_path} serves no portal; start it without --portal-port -1; "
        "a bootstrap peer has none"
    )


async def test_a_refusal_of_another_sort_is_said_as_it_is(tmp_path):
    async def refuse(wish):
        raise Refusal("not now")

    async with open_control(tmp_path, Observable(), EventBus()) as control:
        control.register("portal_open", OpenPortal, refuse)
        with pytest.raises(RequestRefused, match="not now"):
            await run(tmp_path)


def test_without_a_node_there_is_none(tmp_path):
    with pytest.raises(NodeDown, match="no node of yours runs on"):
        commands.open_(tmp_path)
