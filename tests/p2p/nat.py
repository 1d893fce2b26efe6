"""Networks behind real NAT, of Linux network namespaces: an internet, machines on it, houses behind routers.

A router lets out whoever is behind it, under its own address, and lets in nothing that was not asked for, as
routers of homes do. Needs root, `ip` and `nft`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from tests.limits import CHILD_TIMEOUT_S

REPOSITORY = Path(__file__).parents[2]
# Addresses that count as public; they are this machine's own as long as the namespaces live.
INTERNET = "45.33.7"
ROUTER_RULES = """
table ip nat {{
    chain prerouting {{ type nat hook prerouting priority -100; {forward} }}
    chain postrouting {{ type nat hook postrouting priority 100; oif wan masquerade; }}
}}
table ip filter {{
    chain input {{ type filter hook input priority 0; iif wan ct state new drop; }}
    chain forward {{
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iif lan accept
        ct status dnat accept
    }}
}}
"""
RULES_TRIED = b"""
table ip nat {
    chain postrouting { type nat hook postrouting priority 100; masquerade; }
}
"""


def why_not() -> str | None:
    """Why there can be no such networks here; None if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [tool for tool in ("ip", "nft") if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (iproute2, nftables)"
    name = f"cuckoo-{os.getpid()}-try"
    try:
        _run("ip", "netns", "add", name)
        try:
            _run("ip", "netns", "exec", name, "nft", "-f", "-", stdin=RULES_TRIED)
        finally:
            _run("ip", "netns", "del", name)
    except subprocess.CalledProcessError as error:
        return f"network namespaces with NAT are not permitted here: {error.stderr.decode().strip()}"
    return None


class Internet:
    """A bridge, and what is plugged into it. Names are of this process alone."""

    def __init__(self) -> None:
        self._prefix = f"cuckoo-{os.getpid()}-"
        self._names: list[str] = []
        self._bridge = self._namespace("internet")
        _ip(self._bridge, "link", "add", "bridge", "type", "bridge")
        _ip(self._bridge, "link", "set", "bridge", "up")

    def machine(self, name: str, number: int) -> str:
        """A machine with the public address INTERNET.number; returns its namespace."""
        namespace = self._namespace(name)
        self._plug(namespace, "wan", number)
        return namespace

    def house(self, name: str, number: int, *, forwarded_port: int | None = None) -> str:
        """A machine behind a router whose public address is INTERNET.number; returns its namespace."""
        router, inside = self._namespace(f"{name}-router"), self._namespace(name)
        self._plug(router, "wan", number)
        _run(
            "ip",
            "link",
            "add",
            "lan",
            "netns",
            router,
            "type",
            "veth",
            "peer",
            "name",
            "lan",
            "netns",
            inside,
        )
        for namespace, host in ((router, 1), (inside, 2)):
            _ip(namespace, "address", "add", f"192.168.{number}.{host}/24", "dev", "lan")
            _ip(namespace, "link", "set", "lan", "up")
        _ip(inside, "route", "add", "default", "via", f"192.168.{number}.1")
        _run("ip", "netns", "exec", router, "tee", "/proc/sys/net/ipv4/ip_forward", stdin=b"1")
        forward = ""
        if forwarded_port is not None:
            forward = f"iif wan tcp dport {forwarded_port} dnat to 192.168.{number}.2:{forwarded_port};"
        rules = ROUTER_RULES.format(forward=forward).encode()
        _run("ip", "netns", "exec", router, "nft", "-f", "-", stdin=rules)
        return inside

    def close(self) -> None:
        """Take everything down. What runs in it must have ended."""
        for name in reversed(self._names):
            _run("ip", "netns", "del", name)

    def _namespace(self, name: str) -> str:
        namespace = self._prefix + name
        _run("ip", "netns", "add", namespace)
        self._names.append(namespace)
        _ip(namespace, "link", "set", "lo", "up")
        return namespace

    def _plug(self, namespace: str, interface: str, number: int) -> None:
        at_bridge = f"port{number}"
        _run(
            *("ip", "link", "add", interface, "netns", namespace),
            *("type", "veth", "peer", "name", at_bridge, "netns", self._bridge),
        )
        _ip(self._bridge, "link", "set", at_bridge, "master", "bridge", "up")
        _ip(namespace, "address", "add", f"{INTERNET}.{number}/24", "dev", interface)
        _ip(namespace, "link", "set", interface, "up")


class Node:
    """`tests.p2p.nat_node` in a namespace."""

    def __init__(self, namespace: str, number: int, *arguments: str) -> None:
        command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "tests.p2p.nat_node", str(number)]
        self.process = subprocess.Popen(
            [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY
        )
        self._send("report")

    @cached_property
    def peer(self) -> str:
        """Its PeerID, once it has started."""
        return self._answer()["peer"]

    def ask(self, command: str = "report") -> dict:
        """How it is, after a command."""
        assert self.peer
        self._send(command)
        return self._answer()

    def _send(self, command: str) -> None:
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        assert line, "the node has ended"
        return json.loads(line)

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait(CHILD_TIMEOUT_S)
        self.process.stdin.close()
        self.process.stdout.close()


@contextmanager
def internet():
    """An internet; at the end, the nodes that were put into the list are killed, and it is taken down."""
    nodes: list[Node] = []
    world = Internet()
    try:
        yield world, nodes
    finally:
        for node in nodes:
            node.end()
        world.close()


def _ip(namespace: str, *arguments: str) -> None:
    _run("ip", "-n", namespace, *arguments)


def _run(*command: str, stdin: bytes | None = None) -> None:
    subprocess.run(command, input=stdin, capture_output=True, check=True, timeout=CHILD_TIMEOUT_S)
