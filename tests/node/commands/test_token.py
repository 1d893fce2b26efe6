"""`cuckoo-peer token` against a node's socket: made once, listed without the secret, revoked."""

import json
import stat

import pytest
import trio

from node.api.tokens.acts import TokenActs
from node.commands import token as commands
from node.system.control import open_control
from node.system.control_client import NodeDown, RequestRefused
from node.system.events import EventBus
from node.system.observable import Observable
from tests.node.api.desk import token_store


@pytest.fixture
async def tokens(tmp_path):
    async with open_control(tmp_path, Observable(), EventBus()) as control:
        store = token_store()
        TokenActs(store).register(control)
        yield store


async def run(command, *arguments, **named):
    await trio.to_thread.run_sync(lambda: command(*arguments, **named))


async def test_made_listed_and_revoked(tokens, tmp_path, capsys):
    await run(commands.new, tmp_path, "ann", images_per_day=3, models=("a", "b"), expires_in_days=2)
    secret = capsys.readouterr().out.strip()
    caller = tokens.find(secret.encode(), 1)
    assert (caller.name, caller.limits.images_per_day, caller.limits.models) == ("ann", 3, ("a", "b"))
    await run(commands.list_, tmp_path)
    shown = capsys.readouterr().out
    assert secret not in shown
    assert json.loads(shown)[0]["limits"]["expires_at_ms"] == caller.limits.expires_at_ms > 0
    await run(commands.revoke, tmp_path, "ann")
    assert capsys.readouterr().out == "revoked: ann\n"
    assert tokens.find(secret.encode(), 1) is None
    with pytest.raises(RequestRefused, match="there is no token named 'ann'"):
        await run(commands.revoke, tmp_path, "ann")
    assert stat.S_ISSOCK((tmp_path / "control.sock").stat().st_mode)


def test_without_a_node_nothing_is_made(tmp_path):
    with pytest.raises(NodeDown, match=r"no node of yours runs on"):
        commands.new(tmp_path, "ann")
