"""Peers on the same local network, by multicast DNS: no bootnode, no configuration. Off by default.

Is: libp2p's mDNS (specs/discovery/mdns.md) over zeroconf: a service ``_p2p._udp.local`` whose TXT records are
``dnsaddr=<multiaddr with /p2p/>``; who is found is dialled, and noise proves who it is.
Is not: py-libp2p's own wrapper of zeroconf, which blocks the event loop for seconds while it registers,
changes the peer store from a foreign thread, and tells a global list of handlers.

Anybody on the network may have sent what comes by multicast. So only addresses of private networks are
dialled, so many at once, and each peer three times a minute at most; the rest is counted and dropped.
"""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import trio
from multiaddr import Multiaddr
from zeroconf import InterfaceChoice, ServiceBrowser, ServiceInfo, ServiceListener, Zeroconf

from p2p.multiaddrs import parse_multiaddr
from p2p.records import ADDRESSES_KEPT_MAX, DIRECT, ip_of, is_circuit, names_of, peer_of, without_peer
from protocol.errors import ProtocolError, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trio_typing import TaskStatus  # its stubs shadow trio's own types, which know this name too

    from p2p.host import Host
    from p2p.identity import PeerId

SERVICE_TYPE: Final = "_p2p._udp.local."
NAME_BYTES: Final = 16
"""Randomness of our service's name, which is thrown away with the process."""
FOUND_MAX: Final = 64
"""Findings that wait to be dialled; further ones are dropped."""
DIALS_PARALLEL_MAX: Final = 4
"""Dials at once."""
DIAL_TIMEOUT_MS: Final = 3_000
"""Time for one dial."""
DIAL_ATTEMPTS_MAX: Final = 3
"""Dials of one finding: a peer is announced once, and its machine or ours may be busy just then."""
DIAL_PAUSE_S: Final = 2.0
"""Between two of them."""
REPEAT_MS: Final = 60_000
"""Time within which a peer that was dialled is not dialled again, milliseconds."""
REMEMBERED_MAX: Final = 256
"""Peers dialled lately that are remembered."""
RESOLVE_TIMEOUT_MS: Final = 2_000
"""Time for a service that was seen to say its addresses."""

_log = logging.getLogger(__name__)


def local_addresses(properties: Mapping[bytes, bytes | None]) -> list[Multiaddr]:
    """The addresses in a service's TXT records that may be dialled: of secp256k1 peers in private networks.

    At most 4; whatever else is there is passed over.
    """
    found: list[Multiaddr] = []
    for name, value in properties.items():
        if not name.startswith(b"dnsaddr") or value is None or len(found) == ADDRESSES_KEPT_MAX:
            continue
        try:
            address = parse_multiaddr(value.decode())
            peer_of(address)
        except (UnicodeDecodeError, ProtocolError) as error:
            _log.debug("mDNS record passed over: %r", error)
            continue
        if names_of(without_peer(address)) in DIRECT:
            ip = ip_of(address)
            if not ip.is_global and not ip.is_unspecified:
                found.append(address)
    return found


@dataclass(slots=True)
class LocalDiscoveryCounts:
    """Findings since the start. :ivar found: with addresses that may be dialled.

    :ivar dialled: addresses; :ivar dial_failed: of them, those where nobody answered at any attempt.
    :ivar dropped: found while too many waited.
    """

    found: int = 0
    dialled: int = 0
    dial_failed: int = 0
    dropped: int = 0


class LocalDiscovery:
    """Announces a host on the local network and dials those who announce themselves, while it runs."""

    def __init__(self, host: Host, *, interfaces: Sequence[str] | None = None) -> None:
        """Take a host. :param interfaces: IP addresses of the interfaces to use; all of them by default."""
        self._counts = LocalDiscoveryCounts()
        self._host = host
        self._interfaces: Any = InterfaceChoice.All if interfaces is None else list(interfaces)
        self._name = f"{secrets.token_hex(NAME_BYTES)}.{SERVICE_TYPE}"
        self._dialled_ms: OrderedDict[PeerId, int] = OrderedDict()

    def statistics(self) -> LocalDiscoveryCounts:
        """Findings since the start."""
        return replace(self._counts)

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Announce and listen until cancelled. A machine without multicast is a warning and no more."""
        send, receive = trio.open_memory_channel[list[Multiaddr]](FOUND_MAX)
        listener = _Listener(
            self._name, trio.lowlevel.current_trio_token(), lambda item: self._put(send, item)
        )
        try:
            zeroconf = await trio.to_thread.run_sync(lambda: Zeroconf(interfaces=self._interfaces))
        except OSError as error:
            _log.warning("this machine has no multicast: %s", error)
            task_status.started()
            return
        try:
            await trio.to_thread.run_sync(lambda: zeroconf.register_service(self._service()))
            ServiceBrowser(zeroconf, SERVICE_TYPE, listener=listener)
            task_status.started()
            async with trio.open_nursery() as nursery:
                for _ in range(DIALS_PARALLEL_MAX):
                    nursery.start_soon(self._dial_all, receive)
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(zeroconf.close)

    def _service(self) -> ServiceInfo:
        addresses = [address for address in self._host.addresses() if not is_circuit(address)]
        names = ["dnsaddr", *(f"dnsaddr{number}" for number in range(2, len(addresses) + 1))]
        return ServiceInfo(
            SERVICE_TYPE,
            self._name,
            port=1,  # none is meant: the addresses are in the TXT records, says the specification
            properties=dict(zip(names, map(str, addresses), strict=False)),
            # Nobody reads these, but zeroconf does not believe in a service without.
            parsed_addresses=[str(ip_of(address)) for address in addresses],
            server=f"{self._name.partition('.')[0]}.local.",
        )

    def _put(self, send: trio.MemorySendChannel[list[Multiaddr]], addresses: list[Multiaddr]) -> None:
        try:
            send.send_nowait(addresses)
        except (trio.WouldBlock, trio.BrokenResourceError):
            self._counts.dropped += 1

    async def _dial_all(self, receive: trio.MemoryReceiveChannel[list[Multiaddr]]) -> None:
        async for addresses in receive:
            self._counts.found += 1
            for address in addresses:
                await self._dial(address)

    async def _dial(self, address: Multiaddr) -> None:
        peer = peer_of(address)
        now_ms = int(trio.current_time() * 1000)
        last_ms = self._dialled_ms.get(peer)
        if peer == self._host.peer_id or self._host.is_connected(peer):
            return
        if last_ms is not None and now_ms - last_ms < REPEAT_MS:
            return
        self._dialled_ms[peer] = now_ms
        while len(self._dialled_ms) > REMEMBERED_MAX:
            self._dialled_ms.popitem(last=False)
        self._counts.dialled += 1
        for attempt in range(DIAL_ATTEMPTS_MAX):
            if attempt:
                await trio.sleep(DIAL_PAUSE_S)
                if self._host.is_connected(peer):
                    return
            try:
                await self._host.connect(address, timeout_ms=DIAL_TIMEOUT_MS)
            except (Refusal, ProtocolError) as error:
                _log.debug("dialling %s failed: %r", address, error)
            else:
                return
        self._counts.dial_failed += 1


class _Listener(ServiceListener):
    """Hears of services on zeroconf's thread, and hands what may be dialled to trio's."""

    def __init__(self, own_name: str, token: trio.lowlevel.TrioToken, put: Any) -> None:
        self._own_name = own_name
        self._token = token
        self._put = put

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """A service appeared."""
        if name == self._own_name:
            return
        try:
            info = zc.get_service_info(type_, name, timeout=RESOLVE_TIMEOUT_MS)
            addresses = [] if info is None else local_addresses(info.properties)
            if addresses:
                self._token.run_sync_soon(self._put, addresses)
        except Exception as error:  # noqa: BLE001 - on a foreign thread, about a stranger's packet
            _log.debug("mDNS service passed over: %r", error)

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """A service changed."""
        self.add_service(zc, type_, name)

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """A service disappeared: its connections say so themselves."""
