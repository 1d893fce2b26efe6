"""Two houses behind real NAT (network namespaces, nftables): their nodes reach each other through a relay."""

import time

import pytest

from tests.p2p.nat import INTERNET, Node, internet, why_not

pytestmark = pytest.mark.process
PORT = 4001
TIMEOUT_S = 60


def wait_until(condition):
    started = time.monotonic()
    while not (found := condition()):
        assert time.monotonic() - started < TIMEOUT_S, found
        time.sleep(0.2)
    return found


def bootnodes_of(*nodes):
    return [f"/ip4/{INTERNET}.{number}/tcp/{PORT}/p2p/{node.peer}" for number, node in nodes]


def test_nodes_in_two_houses__learn_that_nobody_can_dial_them_and_reach_each_other():
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with internet() as (world, nodes):
        first = Node(world.machine("first", 2), 2, str(PORT), "--relaying")
        nodes.append(first)
        second = Node(world.machine("second", 3), 3, str(PORT), "--relaying", *bootnodes_of((2, first)))
        nodes.append(second)
        bootnodes = bootnodes_of((2, first), (3, second))
        alice = Node(world.house("alice", 10), 10, str(PORT), *bootnodes)
        nodes.append(alice)
        bob = Node(world.house("bob", 20), 20, str(PORT), *bootnodes)
        nodes.append(bob)
        carol = Node(world.house("carol", 30, forwarded_port=PORT), 30, str(PORT), *bootnodes)
        nodes.append(carol)

        # Asked from outside, the routers of Alice and Bob let nobody in; Carol's forwards her port.
        for node in (alice, bob):
            wait_until(lambda node=node: node.ask()["reachable"] == "no")
            wait_until(lambda node=node: sum("p2p-circuit" in item for item in node.ask()["addresses"]) == 2)
        wait_until(lambda: carol.ask()["reachable"] == "yes")
        at_carol = f"/ip4/{INTERNET}.30/tcp/{PORT}/p2p/{carol.peer}"
        wait_until(lambda: carol.ask()["addresses"][0] == at_carol)
        # What is behind a router is nowhere else.
        assert not any(f"{INTERNET}.10/" in item for item in alice.ask()["addresses"])
        nowhere = f"/ip4/{INTERNET}.10/tcp/{PORT}/p2p/{alice.peer}"
        assert carol.ask(f"connect {nowhere}")["result"].startswith("DialFailed")

        # Bob calls Alice at the address that she announces.
        address = next(item for item in alice.ask()["addresses"] if "p2p-circuit" in item)
        assert bob.ask(f"connect {address}")["result"] == alice.peer
        assert bob.ask(f"echo {alice.peer} 500000")["result"] is True
        # They dial each other at the same moment, and need the relay no longer.
        for node, other in ((alice, bob), (bob, alice)):
            wait_until(lambda node=node, other=other: node.ask()["connected"].get(other.peer) is False)
        assert bob.ask(f"echo {alice.peer} 500000")["result"] is True

        # Carol finds her by her on-chain address alone.
        assert carol.ask(f"find {alice.ask()['account']}")["result"] == alice.peer
        assert carol.ask(f"echo {alice.peer} 500000")["result"] is True

        # A relay that dies takes its circuits and addresses with it; the other one stays.
        relays = sum(node.ask()["relaying"]["counts"]["circuits"] for node in (first, second))
        assert relays >= 2
        nodes.remove(first)
        first.end()
        wait_until(lambda: len([item for item in alice.ask()["addresses"] if "p2p-circuit" in item]) == 1)
        (address,) = [item for item in alice.ask()["addresses"] if "p2p-circuit" in item]
        assert second.peer in address
        assert bob.ask(f"connect {address}")["result"] == alice.peer
        assert bob.ask(f"echo {alice.peer} 1000")["result"] is True
