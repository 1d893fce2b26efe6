"""The portal's routes, in process, on a peer and a chain that answer as they are told."""

import json
from contextlib import asynccontextmanager
from importlib import metadata
from types import SimpleNamespace

import httpx2
import numpy as np
import pytest
import trio
import trio.testing

from contracts.errors import ChainUnreachable, ContractReverted
from contracts.records import Commission, RewardStream, Role
from contracts.registry_store import Entry
from node.portal import reading
from node.portal.app import Portal
from node.portal.pulse import READERS_MAX
from node.portal.questions import BURST_MAX
from node.system.events import EventBus, NodeSlashed
from node.system.observable import Observable
from node.system.readiness import Readiness
from protocol.draw import EpochView, Snapshot
from tests.node.portal.builders import ACCOUNT, CALLS, DEPLOYMENT, NODE, OWNER, TERMS, info
from tests.node.portal.test_pulse import task

URL = "http://127.0.0.1:8440"
NODES = [Entry(number, 0, bytes([number]) * 20, OWNER, Role.MINER) for number in range(1, 61)]


class Chain:
    """Answers as told, and counts. :ivar fault: raised instead."""

    def __init__(self):
        self.asked = 0
        self.fault = None
        self.found = {}

    def __getattr__(self, name):
        async def answer(*arguments):
            self.asked += 1
            if self.fault is not None:
                raise self.fault
            value = self.found[name]
            return value(*arguments) if callable(value) else value

        return answer


class NoPositions:
    pairs = next_block = head = passed_over = 0
    is_caught_up = True

    def of(self, account):
        return {NODE: frozenset({1})} if account == ACCOUNT else {}

    async def advance(self):
        pass


def peer_of(chain):
    addresses = b"".join(entry.address for entry in NODES[:50])
    miners = Snapshot.of_arrays(addresses, np.arange(1, 51, dtype=np.uint64))
    view = SimpleNamespace(latest=EpochView(7, b"s" * 32, miners, miners))
    observable = Observable()
    context = SimpleNamespace(observable=observable, readiness=Readiness(), events=EventBus())
    watcher = SimpleNamespace(unreachable=None, behind=None, disagreement=None)
    watcher.nodes = lambda role=None: tuple(entry for entry in NODES if role in {None, entry.role})
    rpc = chain
    rpc.disagreement = lambda: None
    clients = SimpleNamespace(
        rpc=rpc, token=chain, staking=chain, rewards=chain, metadata=chain, calls=CALLS,
        deployment=DEPLOYMENT, positions=NoPositions,
    )  # fmt: skip
    parameters = SimpleNamespace(name="devnet", default_rpc_url="http://127.0.0.1:8545")
    return SimpleNamespace(
        key=SimpleNamespace(address=NODE),
        clients=clients,
        chain=watcher,
        view=view,
        context=context,
        network=SimpleNamespace(parameters=parameters, deployment=DEPLOYMENT),
        listen=lambda topic, listener: None,
        evidence=SimpleNamespace(status=lambda: SimpleNamespace(files=3, slashable=2)),
    )


@pytest.fixture
def chain(monkeypatch):
    async def terms(rpc, deployment):
        return TERMS

    monkeypatch.setattr(reading, "read_terms", terms)
    chain = Chain()
    chain.found = {
        "block_number": 99,
        "head_time_s": 1_000,
        "stream": RewardStream(wei_per_s=5, end_time_s=9, remaining_wei=1, carried_wei=0),
        "node_info": lambda node: info() if node == NODE else None,
        "commission": Commission(now=100, next=0, next_from_s=0),
        "read": "\u202e<script>",
        "balance": 11,
        "stake_of": 12,
        "shares": 12,
        "claimable": 13,
        "unbonding": None,
        "allowance": 0,
        "base_fee_wei": 1,
        "estimate_gas": 40_000,
    }
    return chain


@pytest.fixture
def portal(chain):
    return Portal(peer_of(chain), "miner")


@asynccontextmanager
async def visitor(portal):
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=portal.frontier), base_url=URL) as http:
        yield http


async def get(portal, path, status=200):
    async with visitor(portal) as http:
        response = await http.get(path)
    assert response.status_code == status, response.text
    return response.json()


async def test_the_network_says_whose_page_it_is_and_keeps_the_operators_endpoints_to_itself(portal):
    portal._peer.context.observable.snapshot = None  # which costs too much for a stranger to have it made
    document = await get(portal, "/api/network")
    assert document["node"] == {
        "address": "0x" + NODE.hex(),
        "role": "miner",
        "version": metadata.version("cuckoo-peer"),
        "url": "",
    }
    assert document["rpc_url"] == "http://127.0.0.1:8545"
    assert document["terms"]["faucet_limit_wei"] == str(TERMS.faucet_limit_wei)
    assert document["contracts"]["staking"] == "0x" + DEPLOYMENT.staking.hex()


async def test_the_overview_names_the_heaviest_miners_and_sums_up_the_rest(portal):
    document = await get(portal, "/api/overview")
    draw = document["draw"]
    assert (draw["epoch"], draw["total"], len(draw["miners"])) == (7, str(51 * 25), 40)
    assert draw["miners"][0] == {"address": "0x" + NODES[49].address.hex(), "weight": "50"}
    assert draw["others"] == {"count": 10, "weight": "55"}
    assert document["chain"] == {"head_block": 99, "head_time_s": 1_000, "epoch": 7, "fault": None}
    watched = document["watched"]
    assert watched.pop("since_ms") == portal.pulse.began_ms
    assert watched == {"audits": 0, "audits_failed": 0, "faults": 3, "slashable": 2}
    assert (len(document["tasks"]["per_minute"]), document["stream"]["wei_per_s"]) == (60, 5)


async def test_the_list_of_nodes_has_pages__the_most_stake_first(portal):
    first, second = await get(portal, "/api/nodes"), await get(portal, "/api/nodes?offset=50")
    assert (first["total"], len(first["nodes"]), len(second["nodes"])) == (60, 50, 10)
    assert first["nodes"][0]["weight"] == "50"
    assert second["nodes"][-1] == {
        "address": "0x" + NODES[59].address.hex(),
        "owner": "0x" + OWNER.hex(),
        "role": "miner",
        "block": 60,
        "weight": "0",
    }
    for query in ("offset=60", "offset=-1", "offset=x", "offset=9999999", "role=king"):
        assert await get(portal, f"/api/nodes?{query}", 400) == {"error": {"code": "bad_query"}}
    assert (await get(portal, "/api/nodes?role=coordinator"))["nodes"] == []


async def test_a_node_with_its_owners_words_as_they_are(portal):
    document = await get(portal, f"/api/nodes/0x{NODE.hex()}")
    assert document["introduction"] == "\u202e<script>"
    assert (document["role"], document["own_stake_wei"]) == ("miner", str(30_000 * 10**18))
    assert (document["weight"], document["miners_weight"]) == ("3", "1275")
    missing = await get(portal, f"/api/nodes/0x{OWNER.hex()}", 404)
    assert missing == {"error": {"code": "not_registered", "node": "0x" + OWNER.hex()}}
    assert await get(portal, "/api/nodes/0x12", 400) == {"error": {"code": "bad_node"}}


async def test_an_account_with_its_positions(portal):
    document = await get(portal, f"/api/accounts/0x{ACCOUNT.hex()}")
    assert document["positions"] == [
        {
            "node": "0x" + NODE.hex(),
            "role": "miner",
            "is_owner": False,
            "active": True,
            "stake_wei": "12",
            "claimable_wei": "13",
            "unbonding": [],
        }
    ]
    assert (document["cai_wei"], document["owns"]) == ("11", [])
    owner = await get(portal, f"/api/accounts/0x{OWNER.hex()}")
    assert len(owner["owns"]) == reading.PAGE_NODES


async def test_an_account_with_more_withdrawals_than_the_burst_is_shown_all_the_same(chain, monkeypatch):
    monkeypatch.setattr(NoPositions, "of", lambda self, account: {NODE: frozenset(range(BURST_MAX))})
    document = await get(Portal(peer_of(chain), "miner"), f"/api/accounts/0x{ACCOUNT.hex()}")
    assert document["total"] == 1


async def plan(portal, document, status=200, **named):
    async with visitor(portal) as http:
        response = await http.post("/api/plan", json=document, **named)
    assert response.status_code == status, response.text
    return response.json()


WISH = {"action": "vote", "account": "0x" + ACCOUNT.hex(), "node": "0x" + NODE.hex(), "amount": "1"}


async def test_a_plan_has_the_gas_that_its_first_step_took_when_it_was_tried(portal, chain):
    chain.found["balance"] = 10**30
    document = await plan(portal, WISH)
    assert document["obstacle"] is None
    assert document["steps"][0]["gas"] == 40_000 + 10_000 + 50_000
    assert document["chain_id"] == 1


async def test_a_contracts_refusal_is_found_by_the_trial(portal, chain):
    from contracts.errors import RpcError
    from contracts.libraries import Web3

    chain.found["balance"] = 10**30
    data = Web3.keccak(text="FaucetCoolingDown(uint256)")[:4] + (77).to_bytes(32, "big")

    def refuse(transaction):
        raise RpcError("eth_estimateGas", 3, "execution reverted", bytes(data))

    chain.found["estimate_gas"] = refuse
    document = await plan(portal, WISH | {"action": "faucet"})
    assert document["obstacle"] == {"name": "FaucetCoolingDown", "arguments": {"readyAt": "77"}}


async def test_a_form_of_another_page_makes_no_plan(portal):
    body = json.dumps(WISH).encode()
    async with visitor(portal) as http:
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            response = await http.post("/api/plan", content=body, headers={"content-type": kind})
            assert (response.status_code, response.json()) == (415, {"error": {"code": "not_json"}})


async def test_a_silent_chain_is_said__and_nothing_of_its_address(portal, chain):
    chain.fault = ChainUnreachable("secret-host", "gone")
    assert await get(portal, "/api/overview", 502) == {"error": {"code": "chain"}}
    chain.fault = ContractReverted("NodeInactive", {"node": NODE}, b"")
    document = await get(portal, f"/api/nodes/0x{NODE.hex()}", 422)
    assert document["error"] == {
        "code": "refused",
        "name": "NodeInactive",
        "arguments": {"node": "0x" + NODE.hex()},
    }


async def test_a_reader_in_a_hurry__cannot_have_the_chain_asked_without_end(portal, chain):
    refused = 0
    async with visitor(portal) as http:
        for number in range(BURST_MAX):
            response = await http.get(f"/api/accounts/0x{number:040x}")
            if response.status_code == 503:
                refused += 1
                assert response.headers["retry-after"] == str(response.json()["error"]["retry_after_s"])
    assert refused > BURST_MAX // 4
    assert chain.asked < 2 * BURST_MAX


async def test_paths_and_methods_that_are_not_there(portal):
    for path in ("/api/secret", "/../settings.py", "/static/main.js", "/main.js/x", "/strings.json%00"):
        assert await get(portal, path, 404) == {"error": {"code": "not_found"}}
    async with visitor(portal) as http:
        assert (await http.post("/api/overview")).json() == {"error": {"code": "method"}}
        assert (await http.get("/api/plan")).json() == {"error": {"code": "method"}}


async def test_a_file_comes_once_and_is_not_sent_again(portal):
    async with visitor(portal) as http:
        first = await http.get("/")
        assert first.headers["content-type"] == "text/html; charset=utf-8"
        again = await http.get("/", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_the_feed_is_a_stream_of_events_that_ends_with_its_reader(portal):
    sent, left = [], trio.Event()
    headers = [(b"host", b"127.0.0.1")]
    scope = {"type": "http", "method": "GET", "path": "/api/events", "headers": headers, "query_string": b""}

    async def receive():
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(portal.frontier, scope, receive, send)
        await trio.testing.wait_all_tasks_blocked()
        portal.pulse.hear_task(task(1))
        portal.pulse.hear_event(NodeSlashed(NODE, 5))
        await trio.testing.wait_all_tasks_blocked()
        assert portal.pulse.counts.readers == 1
        left.set()
    assert (sent[0]["status"], portal.pulse.counts.readers) == (200, 0)
    assert b"text/event-stream" in dict(sent[0]["headers"])[b"content-type"]
    told = [message["body"].decode() for message in sent[1:]]
    assert told[0] == "retry: 3000\n\n"
    assert json.loads(told[1].partition("data: ")[2])["event"] == "task_announced"
    assert json.loads(told[2].partition("data: ")[2])["amount_wei"] == "5"


async def test_readers_of_the_feed_beyond_the_bound_are_asked_to_come_again(portal):
    portal.pulse._readers += [None] * READERS_MAX
    assert (await get(portal, "/api/events", 503))["error"]["code"] == "busy"
