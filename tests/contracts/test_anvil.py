from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from contracts import anvil
from contracts.anvil import Anvil, AnvilFailed, AnvilOptions, AnvilProcess, anvil_process, run_anvil
from contracts.errors import ChainUnreachable
from contracts.rpc import connect
from contracts.transactions import Sender
from tests.limits import CHILD_TIMEOUT_S, HANG_S


def is_alive(process_id: int) -> bool:
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text("ascii")
        return stat.rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.process
async def test_it_starts_with_funded_accounts_and_ends_with_its_block():
    async with run_anvil(AnvilOptions(chain_id=133_742, accounts=3)) as chain:
        assert chain.rpc.chain_id == 133_742
        accounts = chain.accounts()
        assert len(accounts) == 3
        assert await chain.rpc.balance(accounts[2].address) == 10_000 * 10**18
        process_id = chain.process_id
    assert not is_alive(process_id)


@pytest.mark.process
async def test_an_exception_in_the_block_comes_out_as_it_is_and_leaves_no_orphan():
    process_ids = []

    async def fail():
        async with run_anvil() as chain:
            process_ids.append(chain.process_id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert not is_alive(process_ids[0])


@pytest.mark.process
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_states_of_old_blocks_are_gone_with_the_process_however_it_ends(sent):
    async def mine(process):
        async with connect(process.endpoint) as rpc:
            await Anvil(rpc, process).mine(2_000)

    with anvil_process() as process:
        trio.run(mine, process)
        assert any(process.states_folder.iterdir())
        os.kill(process.process_id, sent)
    assert not process.states_folder.exists()


def test_a_start_that_fails_leaves_no_folder(monkeypatch, tmp_path):
    def fail(tool, options, states_folder):
        assert states_folder == states
        raise BlockingIOError("no process is left")

    states = tmp_path / "states"
    monkeypatch.setattr(anvil, "find_tool", lambda _name: tmp_path / "anvil")
    monkeypatch.setattr(anvil.tempfile, "mkdtemp", lambda **_: states.mkdir() or str(states))
    monkeypatch.setattr(anvil, "_start", fail)
    with pytest.raises(BlockingIOError, match=r"^no process is left$"):
        AnvilProcess(AnvilOptions())
    assert not states.exists()


@pytest.mark.process
async def test_a_cancelled_block_leaves_no_orphan():
    process_id = 0
    with trio.move_on_after(60) as scope:
        async with run_anvil() as chain:
            process_id = chain.process_id
            scope.cancel()
            await trio.sleep_forever()
    assert process_id
    assert not is_alive(process_id)


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_it_dies_with_a_killed_parent():
    script = (
        "import time\n"
        "from contracts.anvil import anvil_process\n"
        "with anvil_process() as process:\n"
        "    print(process.process_id, flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        process_id = int(parent.stdout.readline())
        assert is_alive(process_id)
    finally:
        parent.kill()
        parent.wait(CHILD_TIMEOUT_S)
        parent.stdout.close()
    deadline = time.monotonic() + 30
    while is_alive(process_id) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(process_id)


@pytest.mark.process
async def test_blocks_come_by_the_clock_if_wanted():
    async with run_anvil(AnvilOptions(block_time_s=0.2)) as chain:
        start = await chain.rpc.block_number()
        with trio.fail_after(HANG_S):
            while await chain.rpc.block_number() < start + 2:
                await trio.sleep(0.05)


@pytest.mark.process
async def test_blocks_and_time_go_on_when_told():
    async with run_anvil() as chain:
        before, block = await chain.time_s(), await chain.rpc.block_number()
        await chain.mine(5)
        assert await chain.rpc.block_number() == block + 5
        await chain.pass_time(1000)
        assert await chain.time_s() >= before + 1000


@pytest.mark.process
async def test_a_snapshot_brings_the_state_back():
    async with run_anvil() as chain:
        account = chain.accounts()[0]
        snapshot = await chain.snapshot()
        await Sender(chain.rpc, account).send(chain.accounts()[1].address, b"", value_wei=1)
        await chain.revert(snapshot)
        assert await chain.rpc.balance(account.address) == 10_000 * 10**18
        with pytest.raises(AnvilFailed):
            await chain.revert("0x99")


@pytest.mark.process
async def test_a_state_file_survives_a_kill(tmp_path):
    options = AnvilOptions(state_file=tmp_path / "chain.json")
    async with run_anvil(options) as chain:
        one, other = chain.accounts()[:2]
        await Sender(chain.rpc, one).send(other.address, b"", value_wei=5)
        await trio.sleep(1.5)  # it writes every second
        os.kill(chain.process_id, signal.SIGKILL)
    async with run_anvil(options) as chain:
        assert await chain.rpc.balance(other.address) == 10_000 * 10**18 + 5


@pytest.mark.process
async def test_an_outage_has_a_type():
    async with run_anvil() as chain:
        os.kill(chain.process_id, signal.SIGKILL)
        with trio.fail_after(HANG_S):
            while is_alive(chain.process_id):
                await trio.sleep(0.01)
        with pytest.raises(ChainUnreachable):
            await chain.rpc.block_number()


@pytest.mark.process
async def test_a_port_in_use_is_told_in_anvil_s_words():
    async with run_anvil() as chain:
        port = int(chain.endpoint.rpartition(":")[2])
        with pytest.raises(AnvilFailed, match="did not start"):
            async with run_anvil(AnvilOptions(port=port)):
                pass


@pytest.mark.process
def test_a_chain_that_does_not_come_up_is_given_up(monkeypatch, tmp_path):
    silent = tmp_path / "anvil"
    silent.write_text("#!/bin/sh\nexec sleep 60\n", "utf-8")
    silent.chmod(0o755)
    monkeypatch.setattr(anvil, "find_tool", lambda _name: silent)
    monkeypatch.setattr(anvil, "START_TIMEOUT_S", 0.3)
    with anvil_process() as process, pytest.raises(AnvilFailed, match="did not start"):
        _ = process.endpoint
