"""Promises of a relay: reservations and circuits, counted against its limits.

Is: a pure table; time is an argument, and every answer is a status of the specification.
Is not: I/O; :mod:`p2p.relay.server` moves the bytes.

A relay is used by strangers, free of charge, so everything has two limits: one for all, and one for the
network (:func:`p2p.limits.network_of`) that asks. A reservation is for the peer that the connection belongs
to, never for one that the message names, and ends with that connection.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libp2p.relay.circuit_v2.pb.circuit_pb2 import Status

from p2p.limits import NetworkLimits
from protocol.errors import LocalError

if TYPE_CHECKING:
    from p2p.identity import PeerId


@dataclass(frozen=True, kw_only=True, slots=True)
class RelayLimits:
    """Numbers of a relay. :raises LocalError: one is not positive."""

    reservations_max: int = 256
    """Peers that may be reached through us at a time."""

    reservations_per_network_max: int = 16
    """Of them, those in one network: a house, an office, the customers behind one address of a provider."""

    reservation_s: int = 3_600
    """Life of a reservation, seconds; its peer renews it before."""

    circuits_max: int = 64
    """Circuits at a time. Each may hold two windows of a stream, 512 KiB, if both ends stall."""

    circuits_per_network_max: int = 8
    """Of them, those that one network has opened."""

    circuits_per_peer_max: int = 16
    """Of them, those that lead to one peer."""

    circuit_s: int = 1_800
    """Life of a circuit, seconds. Long enough for any task; who wants more opens another."""

    circuit_bytes_max: int = 32 * 1024 * 1024
    """Bytes that a circuit carries, each way: tasks and gossip, no model packages."""

    bytes_per_s_max: int = 4 * 1024 * 1024
    """Bytes that all circuits together carry in a second: what a relay's traffic may come to."""

    stall_ms: int = 10_000
    """Time that one end may take no bytes that the other has sent; then the circuit ends, milliseconds."""

    def __post_init__(self) -> None:
        """Check the values."""
        if min(getattr(self, name) for name in self.__slots__) <= 0:
            raise LocalError("limits of a relay are positive")


@dataclass(slots=True)
class RelayCounts:
    """A relay since the start.

    :ivar reserved: peers that may be reached through us; :ivar renewed: reservations that were made longer.
    :ivar reservation_refused: for lack of room, or the network's of it.
    :ivar circuits: that were opened.
    :ivar no_reservation: circuits to peers that have none.
    :ivar circuit_refused: for lack of room, or the network's of it.
    :ivar circuit_refused_peer_full: so many lead to that peer already.
    :ivar connection_failed: the peer that is wanted did not take the call.
    :ivar circuit_ended_bytes: had carried as much as one may, each way counted.
    :ivar circuit_ended_stalled: an end took nothing for too long, each way counted.
    :ivar circuit_ended_time: had lived as long as one may.
    :ivar circuit_broke: one of its streams broke.
    :ivar malformed: requests that were none.
    :ivar permission_denied: requests that came over a relay.
    :ivar unexpected: requests of another kind.
    :ivar carried_bytes: both ways, of all circuits.
    """

    reserved: int = 0
    renewed: int = 0
    reservation_refused: int = 0
    circuits: int = 0
    no_reservation: int = 0
    circuit_refused: int = 0
    circuit_refused_peer_full: int = 0
    connection_failed: int = 0
    circuit_ended_bytes: int = 0
    circuit_ended_stalled: int = 0
    circuit_ended_time: int = 0
    circuit_broke: int = 0
    malformed: int = 0
    permission_denied: int = 0
    unexpected: int = 0
    carried_bytes: int = 0


class RelayBook:
    """The peers that may be reached through us, and those that are being reached.

    :ivar counts: see `RelayCounts`; those of requests and bytes are the server's to count.
    """

    def __init__(self, limits: RelayLimits, *, loopback_exempt: bool = False) -> None:
        """:param loopback_exempt: whether this machine counts as many networks (:mod:`p2p.limits`)."""
        self.limits = limits
        self.counts = RelayCounts()
        self._reserving = NetworkLimits(
            limits.reservations_max, limits.reservations_per_network_max, loopback_exempt=loopback_exempt
        )
        self._calling = NetworkLimits(
            limits.circuits_max, limits.circuits_per_network_max, loopback_exempt=loopback_exempt
        )
        self._reservations: dict[PeerId, tuple[int, str]] = {}
        self._circuits_to: Counter[PeerId] = Counter()

    @property
    def reservation_count(self) -> int:
        """Reservations now, those that nobody has looked at since they ended among them."""
        return len(self._reservations)

    @property
    def circuit_count(self) -> int:
        """Circuits now."""
        return self._calling.open_count

    def reserve(self, peer: PeerId, ip: str, now_s: int) -> Status.ValueType:
        """Let a peer be reached through us, or go on to be.

        :param ip: where the peer's connection comes from.
        :param now_s: wall clock, seconds.
        :return: OK or RESERVATION_REFUSED.
        """
        if peer in self._reservations:
            self._reservations[peer] = (now_s + self.limits.reservation_s, self._reservations[peer][1])
            self.counts.renewed += 1
            return Status.OK
        if self._reserving.open_count >= self.limits.reservations_max:
            self._expire(now_s)
        if not self._reserving.enter(ip):
            self.counts.reservation_refused += 1
            return Status.RESERVATION_REFUSED
        self._reservations[peer] = (now_s + self.limits.reservation_s, ip)
        self.counts.reserved += 1
        return Status.OK

    def expires_at_s(self, peer: PeerId) -> int:
        """When a peer's reservation ends. :raises KeyError: it has none."""
        return self._reservations[peer][0]

    def has_reservation(self, peer: PeerId) -> bool:
        """Whether a peer has one, or had one that nobody has looked at since it ended."""
        return peer in self._reservations

    def release(self, peer: PeerId) -> None:
        """A peer has gone, and its reservation with it; no error if it had none."""
        _, ip = self._reservations.pop(peer, (0, None))
        if ip is not None:
            self._reserving.leave(ip)

    def open_circuit(self, peer: PeerId, caller_ip: str, now_s: int) -> Status.ValueType:
        """Whether somebody may be led to a peer; if it is OK, call :meth:`close_circuit` at the end.

        :return: OK, NO_RESERVATION or RESOURCE_LIMIT_EXCEEDED.
        """
        if self._reservations.get(peer, (0, ""))[0] <= now_s:
            self.release(peer)
            self.counts.no_reservation += 1
            return Status.NO_RESERVATION
        if self._circuits_to[peer] >= self.limits.circuits_per_peer_max:
            self.counts.circuit_refused_peer_full += 1
            return Status.RESOURCE_LIMIT_EXCEEDED
        if not self._calling.enter(caller_ip):
            self.counts.circuit_refused += 1
            return Status.RESOURCE_LIMIT_EXCEEDED
        self._circuits_to[peer] += 1
        self.counts.circuits += 1
        return Status.OK

    def close_circuit(self, peer: PeerId, caller_ip: str) -> None:
        """A circuit has ended."""
        self._calling.leave(caller_ip)
        self._circuits_to[peer] -= 1
        if not self._circuits_to[peer]:
            del self._circuits_to[peer]

    def _expire(self, now_s: int) -> None:
        for peer in [peer for peer, (ends_at_s, _) in self._reservations.items() if ends_at_s <= now_s]:
            self.release(peer)


class Bandwidth:
    """A bucket of bytes that fills evenly, one second deep, for all circuits. Pure: time is an argument."""

    def __init__(self, bytes_per_s: int) -> None:
        self._bytes_per_s = bytes_per_s
        self._spent_until_s = 0.0

    def spend(self, count: int, now_s: float) -> float:
        """Take bytes out; returns how many seconds to wait before they may go on.

        :param now_s: of a clock that never goes back.
        """
        self._spent_until_s = max(self._spent_until_s, now_s - 1) + count / self._bytes_per_s
        return max(0.0, self._spent_until_s - now_s)
