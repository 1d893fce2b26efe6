"""A wallet without a screen: JSON lines in, JSON lines out; it signs with a key and sends to a chain.

Is: `eth_sendTransaction` as a wallet does it: its own nonce and fees, the page's recipient, data and gas.
Is not: a person. Whether it says yes is the play's business.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import httpx2
from eth_account import Account

PRIORITY_FEE_WEI = 10**9


class Wallet:
    """One key on one chain."""

    def __init__(self, rpc_url: str, secret: str) -> None:
        self._http = httpx2.Client(base_url=rpc_url, timeout=60, trust_env=False)
        self._signer = Account.from_key(secret)

    def answer(self, method: str, parameters: list[Any]) -> Any:
        match method:
            case "eth_requestAccounts" | "eth_accounts":
                return [self._signer.address]
            case "eth_chainId":
                return self._ask("eth_chainId")
            case "eth_sendTransaction":
                return self._send(parameters[0])
            case "chain":
                return self._ask(*parameters)
        raise ValueError(f"this wallet does not know {method}")

    def _send(self, wanted: dict[str, str]) -> str:
        address = self._signer.address
        assert wanted["from"].lower() == address.lower()
        base_fee = int(self._ask("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
        signed = self._signer.sign_transaction(
            {
                "type": 2,
                "chainId": int(wanted["chainId"], 16),
                "nonce": int(self._ask("eth_getTransactionCount", address, "pending"), 16),
                "to": bytes.fromhex(wanted["to"][2:]),
                "data": wanted["data"],
                "value": int(wanted["value"], 16),
                "gas": int(wanted["gas"], 16),
                "maxFeePerGas": 2 * base_fee + PRIORITY_FEE_WEI,
                "maxPriorityFeePerGas": PRIORITY_FEE_WEI,
            }
        )
        return self._ask("eth_sendRawTransaction", "0x" + signed.raw_transaction.hex())

    def _ask(self, method: str, *parameters: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        answer = self._http.post("/", json=body).json()
        if "error" in answer:
            raise ValueError(answer["error"]["message"])
        return answer["result"]


def main() -> None:
    wallet = Wallet(sys.argv[1], sys.stdin.readline().strip())
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer: dict[str, Any] = {"result": wallet.answer(question["method"], question["params"])}
        except (ValueError, KeyError, AssertionError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
