"""A flood of logs of the staking contract on a development chain, thousands in a transaction.

Is: `Flood.sol` put in front of the contract's own code, and transactions that order logs of it.
Is not: what somebody could do on a network: there each introduction takes an active node and an epoch, and
each registration 20,000 CAI. The question is what logs cost a node that are there, however they came.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import trio
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from contracts.rpc import Rpc
from contracts.toolchain import CONTRACTS_FOLDER
from tests.limits import CHILD_TIMEOUT_S

SOURCE = Path(__file__).with_name("Flood.sol")
BLOCK_GAS = 1 << 40
"""Of each block from the first flood on: a network's 30 million would make the floods take hours."""
ORIGINAL = bytes.fromhex("0f100d" * 6 + "0f10")
"""Where the contract's own code is moved."""
LOGS_A_TRANSACTION = 10_000
SEND_TIMEOUT_S = 600.0


def _compiled(name: str = "Flood") -> bytes:
    """Its code as it stands on the chain, but for the address of the original."""
    settings = {"optimizer": {"enabled": True}, "evmVersion": "cancun"}
    settings["outputSelection"] = {"*": {name: ["evm.bytecode.object"]}}
    document = {"language": "Solidity", "sources": {name: {"content": SOURCE.read_text("utf-8")}}}
    run = subprocess.run(
        ["node", "tools/solc.js", "--standard-json"],
        input=json.dumps(document | {"settings": settings}).encode(),
        cwd=CONTRACTS_FOLDER,
        capture_output=True,
        check=True,
        timeout=CHILD_TIMEOUT_S,
    )
    return bytes.fromhex(json.loads(run.stdout)["contracts"][name][name]["evm"]["bytecode"]["object"])


class Flooder:
    """The staking contract of one chain, made to write logs. The chain's first account pays the gas."""

    def __init__(self, rpc: Rpc, staking: bytes) -> None:
        self._rpc = rpc
        self._staking = "0x" + staking.hex()
        self._payer = ""

    async def open(self) -> None:
        """Put the flooder in front of the contract, unless it is. Nodes that run notice nothing."""
        self._payer = (await self._rpc.request("eth_accounts"))[0]
        if await self._rpc.code(ORIGINAL):
            return
        creation = await trio.to_thread.run_sync(_compiled)
        creation += encode(["address"], ["0x" + ORIGINAL.hex()])
        # What a creation would leave on the chain is what its call returns.
        code = await self._rpc.request("eth_call", {"data": "0x" + creation.hex()}, "latest")
        original = await self._rpc.request("eth_getCode", self._staking, "latest")
        await self._rpc.request("anvil_setCode", "0x" + ORIGINAL.hex(), original)
        await self._rpc.request("anvil_setCode", self._staking, code)
        await self._rpc.request("evm_setBlockGasLimit", hex(BLOCK_GAS))

    async def metadata(self, node: bytes, count: int, text: str) -> int:
        """So many introductions of a node. Returns the gas that they took."""
        gas = 0
        for some in portions(count):
            gas += await self._order("floodMetadata(address,uint256,string)", "0x" + node.hex(), some, text)
        return gas

    async def registrations(self, first: int, count: int) -> int:
        """Miners that nobody has registered, by consecutive addresses. Returns the gas that they took."""
        gas = 0
        for some in portions(count):
            gas += await self._order("floodRegistrations(uint160,uint256)", first, some)
            first += some
        return gas

    async def _order(self, signature: str, *arguments: object) -> int:
        types = signature.partition("(")[2].removesuffix(")").split(",")
        data = keccak(signature.encode())[:4] + encode(types, arguments)
        sent = await self._rpc.request(
            "eth_sendTransaction",
            {
                "from": self._payer,
                "to": self._staking,
                "data": "0x" + data.hex(),
                "gas": hex(BLOCK_GAS // 4),
            },
        )
        with trio.fail_after(SEND_TIMEOUT_S):
            while (receipt := await self._rpc.request("eth_getTransactionReceipt", sent)) is None:
                await trio.sleep(0.02)
        assert receipt["status"] == "0x1", receipt
        return int(receipt["gasUsed"], 16)


def portions(count: int) -> list[int]:
    whole, rest = divmod(count, LOGS_A_TRANSACTION)
    return [LOGS_A_TRANSACTION] * whole + [rest] * (rest != 0)


def registered_topic() -> str:
    """What the log of a registration begins with."""
    return "0x" + keccak(b"NodeRegistered(address,address,uint8,uint32,uint256,uint64)").hex()
