"""The contracts' arithmetic is numpy's; with ``CUCKOO_LONG=1`` in a million cases of it."""

from __future__ import annotations

import json
import os
import subprocess

import numpy as np
import pytest
import trio

from contracts.libraries import Web3
from contracts.rpc import connect
from contracts.toolchain import CONTRACTS_FOLDER
from tests.contracts import soft_floats
from tests.limits import HANG_S

CASES = 1_000_000 if os.environ.get("CUCKOO_LONG") else 12_000
CASES_IN_A_CALL = 4_000
GAS_OF_A_CALL = 1_000_000_000
HARNESS = "0x" + "5f" * 20
ABI = [
    {
        "type": "function",
        "name": "compute",
        "stateMutability": "pure",
        "inputs": [{"name": "operation", "type": "uint256"}, {"name": "cases", "type": "bytes"}],
        "outputs": [{"name": "results", "type": "bytes"}],
    }
]


def test_the_cases_of_the_solidity_tests_are_numpys():
    forms = json.loads(soft_floats.FIXTURE.read_text("utf-8"))
    assert tuple(forms) == soft_floats.OPERATIONS
    for operation, form in forms.items():
        operands = np.frombuffer(bytes.fromhex(form["cases"][2:]), dtype=">u4").astype(np.uint32)
        first, second = np.ascontiguousarray(operands[0::2]), np.ascontiguousarray(operands[1::2])
        wanted = soft_floats.results(operation, first, second).astype(">u4").tobytes()
        assert len(first) == soft_floats.FIXTURE_CASES
        assert form["results"] == "0x" + wanted.hex(), operation


@pytest.mark.parametrize("operation", soft_floats.OPERATIONS)
def test_the_cases_reach_every_sort_of_result(operation):
    """Zeros, numbers of both signs, the subnormal, infinite and NaN, where the operation can have them."""
    found = soft_floats.results(operation, *soft_floats.cases(operation, CASES_IN_A_CALL, 1))
    fraction, infinity = (10, 0x7C00) if operation == "toHalf" else (23, 0x7F80_0000)
    magnitudes = found & np.uint32(0x7FFF if operation == "toHalf" else 0x7FFF_FFFF)
    sorts = {
        "zero": magnitudes == 0,
        "subnormal": (magnitudes > 0) & (magnitudes < 1 << fraction),
        "number": (magnitudes >= 1 << fraction) & (magnitudes < infinity),
        "infinite": magnitudes == infinity,
        "not a number": magnitudes > infinity,
    }
    missing = {name for name, where in sorts.items() if not where.any()}
    impossible = {"fromHalf": {"subnormal"}, "thousandths": {"subnormal", "infinite", "not a number"}}
    assert missing == impossible.get(operation, set())


def compiled_harness() -> str:
    """The harness's code, compiled as the contracts are."""
    paths = ("src/libraries/SoftFloat.sol", "test/SoftFloatHarness.sol")
    request = {
        "language": "Solidity",
        "sources": {path: {"content": (CONTRACTS_FOLDER / path).read_text("utf-8")} for path in paths},
        "settings": {
            "evmVersion": "cancun",
            "viaIR": True,
            "optimizer": {"enabled": True, "runs": 200},
            "outputSelection": {paths[1]: {"SoftFloatHarness": ["evm.deployedBytecode.object"]}},
        },
    }
    run = subprocess.run(
        ["node", "tools/solc.js", "--standard-json"],
        cwd=CONTRACTS_FOLDER,
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
        timeout=HANG_S,
    )
    answer = json.loads(run.stdout)
    code: str = answer["contracts"][paths[1]]["SoftFloatHarness"]["evm"]["deployedBytecode"]["object"]
    return "0x" + code


async def differences(endpoint: str, code: str) -> dict[str, int]:
    """How many results are not numpy's, by operation."""
    found = dict.fromkeys(soft_floats.OPERATIONS, 0)
    async with connect(endpoint) as rpc:
        await rpc.request("anvil_setCode", HARNESS, code)
        contract = Web3().eth.contract(address=Web3.to_checksum_address(HARNESS), abi=ABI)
        calls = CASES // len(soft_floats.OPERATIONS) // CASES_IN_A_CALL + 1
        for number, operation in enumerate(soft_floats.OPERATIONS):
            for seed in range(calls):
                first, second = soft_floats.cases(operation, CASES_IN_A_CALL, 100 + seed)
                data = contract.encode_abi("compute", args=[number, soft_floats.packed(first, second)])
                asked = {"to": HARNESS, "data": data, "gas": hex(GAS_OF_A_CALL)}
                answer = bytes.fromhex((await rpc.request("eth_call", asked, "latest"))[2:])[64:]
                results = np.frombuffer(answer, dtype=">u4")
                wanted = soft_floats.results(operation, first, second)
                assert len(results) == len(wanted)
                found[operation] += int((results != wanted).sum())
    return found


@pytest.mark.process
def test_the_arithmetic_is_numpys(chain_process):
    found = trio.run(differences, chain_process.endpoint, compiled_harness())
    assert found == dict.fromkeys(soft_floats.OPERATIONS, 0)
