"""A chain's RPC with very many logs, in threads of its own: registrations, and metadata for who asks."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from contracts.artifacts import load_artifact
from contracts.libraries import event_abi_to_log_topic

STAKING = bytes(range(20))
CHAIN_ID = 31337
LOGS_MAX = 10_000
"""More are refused, as public RPCs do."""
BLOCKS_MAX = 2_000
_EVENTS = {item["name"]: item for item in load_artifact("Staking").abi if item["type"] == "event"}
REGISTERED, METADATA = (
    "0x" + event_abi_to_log_topic(_EVENTS[name]).hex() for name in ("NodeRegistered", "MetadataChanged")
)
_OWNER = "0x" + bytes(12).hex() + "22" * 20
_MINER = f"0x{1:064x}"


def _log(block, index):
    node = hashlib.sha256(f"{block} {index}".encode()).digest()[:20]
    return {
        "address": "0x" + STAKING.hex(),
        "topics": [REGISTERED, "0x" + bytes(12).hex() + node.hex(), _OWNER, _MINER],
        "data": "0x" + bytes(96).hex(),
        "blockNumber": hex(block),
        "logIndex": hex(index),
        "transactionHash": f"0x{block * 1_000 + index:064x}",
        "blockHash": _hash(block),
        "transactionIndex": "0x0",
        "removed": False,
    }


def _hash(block):
    return f"0x{block + 1:064x}"


class LogServer(ThreadingHTTPServer):
    """:ivar head: number of its newest block. :ivar asked: how often for which logs, by their topic."""

    daemon_threads = True

    def __init__(self, *, blocks, nodes_per_block, metadata_per_block=0):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.head, self.nodes_per_block, self.metadata_per_block = blocks, nodes_per_block, metadata_per_block
        self.asked = Counter()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        """A reader that has been told to stop is no error."""

    def answer(self, method, params):
        """:raises LookupError: refused."""
        if method == "eth_getLogs":
            return self._logs(params[0])
        if method == "eth_getBlockByNumber":
            return {"number": params[0], "hash": _hash(int(params[0], 16)), "extraData": "0x"}
        if method == "eth_call":
            return f"0x{self.head * self.nodes_per_block:064x}"
        return {"eth_chainId": hex(CHAIN_ID), "eth_blockNumber": hex(self.head)}[method]

    def _logs(self, query):
        first, last = (int(query[key], 16) for key in ("fromBlock", "toBlock"))
        topics = query["topics"][0]
        self.asked.update(topics)
        count = last - first + 1
        logs = count * sum(
            per_block
            for topic, per_block in (
                (REGISTERED, self.nodes_per_block),
                (METADATA, self.metadata_per_block),
            )
            if topic in topics
        )
        if count > BLOCKS_MAX or logs > LOGS_MAX:
            raise LookupError
        blocks = range(max(first, 1), last + 1)
        return [_log(block, index) for block in blocks for index in range(self.nodes_per_block)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        call = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            told = {"result": self.server.answer(call["method"], call["params"])}
        except LookupError:
            told = {"error": {"code": -32005, "message": "query returned more than 10000 results"}}
        body = json.dumps({"jsonrpc": "2.0", "id": call["id"], **told}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def log_server(**what):
    """A server that runs until the context ends."""
    server = LogServer(**what)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
