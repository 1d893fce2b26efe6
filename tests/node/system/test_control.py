"""control.sock on real sockets: who is heard, what is answered, and what a killed node leaves behind."""

import json
import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from functools import partial

import pytest
import trio
import trio.lowlevel

from node.system import control as control_module
from node.system.control import CONNECTIONS_MAX, REQUEST_BYTES_MAX, open_control
from node.system.control_client import SOCKET_FILE, NodeDown, RequestRefused, ask, follow
from node.system.events import EventBus, PeerJoined, PeerLeft
from node.system.observable import Observable
from protocol.errors import LocalError, Refusal
from tests.limits import HANG_S

OTHER_USER = 65_534


@dataclass(frozen=True)
class Counts:
    heard: int = 3


@dataclass(frozen=True)
class TaskToCancel:
    task_id: bytes
    reason: str


async def cancel(argument):
    if not argument.reason:
        raise Refusal("this task is over")
    if argument.reason == "local":
        raise LocalError("the journal cannot be written")
    if argument.reason == "bug":
        raise ZeroDivisionError
    return {"cancelled": argument.task_id}


@pytest.fixture
async def node(tmp_path, nursery):
    """A running node's control end in `tmp_path`."""
    observable, events = Observable(), EventBus(clock_ms=lambda: 7)
    observable.register("calls", Counts)
    async with open_control(tmp_path, observable, events) as control:
        control.register("cancel", TaskToCancel, cancel)
        control.events = events
        yield control


def asking(folder, *arguments, **named):
    return trio.to_thread.run_sync(partial(ask, folder, *arguments, **named))


async def talk(folder, data, answers=1):
    """What the node answers to raw bytes: so many lines."""
    said = b""
    async with await trio.open_unix_socket(folder / SOCKET_FILE) as stream:
        await stream.send_all(data)
        with trio.fail_after(HANG_S):
            while said.count(b"\n") < answers:
                said += await stream.receive_some(65536)
    return [json.loads(line) for line in said.splitlines()]


async def test_status_is_the_observable(node, tmp_path):
    assert await asking(tmp_path, "status") == {"calls": {"heard": 3}}


async def test_an_act_gets_its_typed_argument(node, tmp_path):
    answer = await asking(tmp_path, "cancel", {"task_id": "0xabcd", "reason": "too long"})
    assert answer == {"cancelled": "0xabcd"}


@pytest.mark.parametrize(
    ("reason", "code", "message"),
    [
        ("", "refused", "this task is over"),
        ("local", "failed", "the journal cannot be written"),
        ("bug", "internal", "the node failed; its log says why"),
    ],
)
async def test_an_act_that_fails__says_whose_fault_it_was(node, tmp_path, reason, code, message):
    with pytest.raises(RequestRefused) as caught:
        await asking(tmp_path, "cancel", {"task_id": "0x", "reason": reason})
    assert (caught.value.code, str(caught.value)) == (code, message)
    assert await asking(tmp_path, "status")  # and the node goes on


@pytest.mark.parametrize(
    ("do", "argument", "message"),
    [
        (
            "fly",
            None,
            "this node knows: status, events, cancel; tasks are explained and audited by their coordinator",
        ),
        ("cancel", None, "the argument has the members: reason, task_id"),
        (
            "cancel",
            {"task_id": "0x", "reason": "", "more": 1},
            "the argument has the members: reason, task_id",
        ),
        ("cancel", {"task_id": "zz", "reason": ""}, "task_id must be 0x and hexadecimal digits"),
        ("cancel", {"task_id": "0xz", "reason": ""}, "task_id must be 0x and hexadecimal digits"),
        ("cancel", {"task_id": "0x", "reason": 1}, "reason must be of the type str"),
    ],
)
async def test_a_request_that_makes_no_sense__is_told_what_would(node, tmp_path, do, argument, message):
    with pytest.raises(RequestRefused) as caught:
        await asking(tmp_path, do, argument)
    assert (caught.value.code, str(caught.value)) == ("bad_request", message)


async def test_lines_that_are_not_requests__and_several_in_one_piece(node, tmp_path):
    answers = await talk(tmp_path, b'nonsense\n[]\n{"do":1}\n' + b"[" * 9_000 + b'\n{"do": "status"}\n', 5)
    bad = "a request is a line with a JSON object"
    shape = 'a request is a JSON object that says what to "do"'
    assert answers == [
        {"error": {"code": "bad_request", "message": bad}},
        {"error": {"code": "bad_request", "message": shape}},
        {"error": {"code": "bad_request", "message": shape}},
        {"error": {"code": "bad_request", "message": bad}},
        {"answer": {"calls": {"heard": 3}}},
    ]


async def test_a_line_without_an_end__is_hung_up_on(node, tmp_path):
    stream = await trio.open_unix_socket(tmp_path / SOCKET_FILE)
    async with stream:
        with pytest.raises(trio.BrokenResourceError):  # noqa: PT012 - by how much the kernel takes
            for _ in range(100):
                await stream.send_all(b"x" * REQUEST_BYTES_MAX)
                await trio.lowlevel.checkpoint()
    assert await asking(tmp_path, "status")


async def test_a_caller_that_says_nothing__is_hung_up_on(node, tmp_path, monkeypatch):
    monkeypatch.setattr(control_module, "REQUEST_TIMEOUT_MS", 10)
    stream = await trio.open_unix_socket(tmp_path / SOCKET_FILE)
    async with stream:
        with trio.fail_after(HANG_S):
            assert await stream.receive_some(1) == b""


async def test_callers_beyond_the_most__are_told_so(node, tmp_path):
    streams = [await trio.open_unix_socket(tmp_path / SOCKET_FILE) for _ in range(CONNECTIONS_MAX)]
    with trio.fail_after(HANG_S):
        while node.counts.callers < CONNECTIONS_MAX:
            await trio.lowlevel.checkpoint()
    with pytest.raises(RequestRefused) as caught:
        await asking(tmp_path, "status")
    assert (caught.value.code, node.counts.refused) == ("busy", 1)
    for stream in streams:
        await stream.aclose()
    with trio.fail_after(HANG_S):
        while node.counts.callers:
            await trio.lowlevel.checkpoint()
    assert await asking(tmp_path, "status")


async def test_events_come_as_they_happen_until_the_caller_goes(node, tmp_path):
    heard = []

    def read():
        for event in follow(tmp_path, ["peer_left"], timeout_s=HANG_S):
            heard.append(event)
            if len(heard) == 2:
                return

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, read)
        with trio.fail_after(HANG_S):
            while not node.events.counts.subscribers:
                await trio.sleep(0.001)
        node.events.publish(PeerJoined("p", outbound=True))
        node.events.publish(PeerLeft("p"))
        node.events.publish(PeerLeft("q"))
    assert heard == [
        {"event": "peer_left", "sequence": 2, "at_ms": 7, "peer": "p", "dropped": 0},
        {"event": "peer_left", "sequence": 3, "at_ms": 7, "peer": "q", "dropped": 0},
    ]
    with trio.fail_after(HANG_S):
        while node.events.counts.subscribers:
            await trio.sleep(0.001)


@pytest.mark.parametrize("kinds", [["nothing"], "peer_left", [[]]])
async def test_events_of_no_kind__are_refused(node, tmp_path, kinds):
    (answer,) = await talk(tmp_path, json.dumps({"do": "events", "kinds": kinds}).encode() + b"\n")
    assert answer["error"]["message"].startswith("kinds of events are: task_announced, task_accepted")


async def test_only_its_user_may_reach_it(node, tmp_path):
    assert stat.S_IMODE((tmp_path / SOCKET_FILE).stat().st_mode) == 0o600


@pytest.mark.process
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_another_user_is_not_heard__even_where_the_modes_let_it_in(node, tmp_path):
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    (tmp_path / SOCKET_FILE).chmod(0o666)
    program = f"""
import socket, os
os.setuid({OTHER_USER})
s = socket.socket(socket.AF_UNIX); s.connect("control.sock")
try:
    s.sendall(b'{{"do": "status"}}\\n')
    print(s.recv(100))
except (ConnectionResetError, BrokenPipeError):
    print(b"")
"""
    done = await trio.run_process(
        [sys.executable, "-c", program], capture_stdout=True, capture_stderr=True, cwd=tmp_path
    )
    assert done.stdout == b"b''\n"
    assert node.counts.strangers == 1


async def test_without_a_node__a_command_is_told_so(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(NodeDown) as caught:
            ask(folder, "status")
        assert str(caught.value) == f"no node of yours runs on {folder}"


async def test_a_second_node_on_a_data_directory__does_not_take_the_socket(node, tmp_path):
    with pytest.raises(LocalError) as caught:
        async with open_control(tmp_path, Observable(), EventBus()):
            pass
    assert str(caught.value) == f"another node runs on {tmp_path}; stop it first"
    assert await asking(tmp_path, "status")


@pytest.mark.process
async def test_what_a_killed_node_left__is_replaced(tmp_path):
    program = f"""
import sys, trio
from pathlib import Path
from node.system.control import open_control
from node.system.events import EventBus
from node.system.observable import Observable
async def main():
    async with open_control(Path({str(tmp_path)!r}), Observable(), EventBus()):
        print("up", flush=True)
        await trio.sleep_forever()
trio.run(main)
"""
    process = await trio.lowlevel.open_process([sys.executable, "-c", program], stdout=subprocess.PIPE)
    try:
        with trio.fail_after(HANG_S):
            assert (await process.stdout.receive_some(100)).strip() == b"up"
        with pytest.raises(LocalError, match="another node runs"):
            async with open_control(tmp_path, Observable(), EventBus()):
                pass
    finally:
        process.kill()
        await process.wait()
        await process.stdout.aclose()
    assert (tmp_path / SOCKET_FILE).exists()
    with pytest.raises(NodeDown):
        ask(tmp_path, "status")
    async with open_control(tmp_path, Observable(), EventBus()):
        assert await asking(tmp_path, "status") == {}
    assert not (tmp_path / SOCKET_FILE).exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no /proc")
async def test_a_path_that_no_socket_address_holds(tmp_path):
    folder = tmp_path / ("long" * 30) / ("longer" * 20)
    folder.mkdir(parents=True)
    assert len(os.fsencode(folder)) > 200
    async with open_control(folder, Observable(), EventBus()):
        assert await asking(folder, "status") == {}


def test_a_name_is_given_once(tmp_path):
    control = control_module.Control(Observable(), EventBus())
    control.register("cancel", TaskToCancel, cancel)
    for name in ("cancel", "status", "events"):
        with pytest.raises(ValueError, match=f"there is an act named {name} already"):
            control.register(name, TaskToCancel, cancel)


async def test_a_folder_that_is_not_there__is_our_own_fault(tmp_path):
    with pytest.raises(LocalError, match="the data directory cannot be read"):
        async with open_control(tmp_path / "nowhere", Observable(), EventBus()):
            pass
