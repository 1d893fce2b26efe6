"""The draw: who gets a task, by stake, in a way that every peer can re-compute.

Is: an epoch's snapshot, a task's seed, the ranking of its miners; integers only.
Is not: where stakes come from (`contracts`), who is online (offers; see `rank_for_task`), or who audits
(`audit_draw`).

Draw j takes ``Keccak-256(seed || j) mod remaining total`` and walks the cumulative stakes, skipping the
intervals of earlier winners. So winners are distinct, and each draw is proportional to stake among those
that are left. The coordinator chooses neither the epoch's seed nor its own next number.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import numpy.typing as npt

from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.hashing import keccak256
from protocol.messages import RANKING_MAX, PassedOver, RankedMiner
from protocol.registrations import Registrations
from protocol.signature import ADDRESS_BYTES

MINERS_MAX = 1 << 20
"""Most miners of one snapshot."""
TOTAL_MAX = (1 << 64) - 1
"""Most micro-CAI of all miners together: 18 million million CAI."""
_EACH_ONCE = "a snapshot names each miner once, by its address"
_TOO_MUCH = "a snapshot's stakes are below 2^64 micro-CAI together"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Active miners of one epoch, sorted by address, with their weights. Made by `of` or `of_arrays`.

    :ivar addresses: of the miners, 20 bytes each, ascending, no address twice, joined.
    :ivar weight_bytes: whole micro-CAI of stake (own and voted), each at least 1; 64-bit integers, joined.
    :ivar weights: the same as integers.
    :ivar cumulative: sums of `weights` up to and including each; a list, which a draw bisects fastest.
    """

    addresses: bytes
    weight_bytes: bytes
    weights: Sequence[int] = field(repr=False, compare=False)
    cumulative: Sequence[int] = field(repr=False, compare=False)

    @classmethod
    def of(cls, stakes_wei: Iterable[tuple[bytes, int]]) -> Snapshot:
        """Snapshot of (address, stake in wei) pairs in any order; those below a micro-CAI are left out.

        :raises ValueError: as `of_arrays`.
        """
        pairs = [(miner, wei // WEI_PER_MICRO_CAI) for miner, wei in stakes_wei]
        weights = [weight for _, weight in pairs]
        if any(len(miner) != ADDRESS_BYTES for miner, _ in pairs):
            raise ValueError(_EACH_ONCE)
        if any(not 0 <= weight <= TOTAL_MAX for weight in weights):
            raise ValueError(_TOO_MUCH)
        return cls.of_arrays(b"".join(miner for miner, _ in pairs), np.array(weights, dtype=np.uint64))

    @classmethod
    def of_arrays(cls, addresses: bytes, weights: npt.NDArray[np.uint64]) -> Snapshot:
        """Snapshot of joined addresses and their weights in micro-CAI, in any order; vectorised.

        :raises ValueError: an address twice, not of 20 bytes, more than `MINERS_MAX` of them, or more than
            `TOTAL_MAX` together.
        """
        table = np.frombuffer(addresses, dtype=np.uint8)
        if len(addresses) != ADDRESS_BYTES * len(weights):
            raise ValueError(_EACH_ONCE)
        kept = weights > 0
        table, weights = table.reshape(-1, ADDRESS_BYTES)[kept], weights[kept]
        if len(weights) > MINERS_MAX:
            message = f"{len(weights)} miners where at most {MINERS_MAX} are allowed"
            raise ValueError(message)
        order = _ascending(table)
        table, weights = table[order], weights[order]
        cumulative = np.cumsum(weights, dtype=np.uint64)
        # A sum that wrapped around is less than the one before it.
        if np.any(cumulative[1:] <= cumulative[:-1]):
            raise ValueError(_TOO_MUCH)
        return cls(table.tobytes(), weights.tobytes(), weights.data, cumulative.tolist())

    def __len__(self) -> int:
        """How many miners there are."""
        return len(self.weights)

    def miner(self, index: int) -> bytes:
        """Address at `index`, from 0."""
        return self.addresses[index * ADDRESS_BYTES : (index + 1) * ADDRESS_BYTES]

    @property
    def miners(self) -> tuple[bytes, ...]:
        """All addresses, 20 bytes each, ascending; made anew each time."""
        return tuple(map(self.miner, range(len(self))))

    @property
    def total(self) -> int:
        """Sum of all weights, micro-CAI."""
        return self.cumulative[-1] if len(self) else 0

    def weight_of(self, miner: bytes) -> int:
        """Weight of `miner` in micro-CAI; 0 when it is not in the snapshot."""
        index = bisect.bisect_left(range(len(self)), miner, key=self.miner)
        return self.weights[index] if index < len(self) and self.miner(index) == miner else 0


def _ascending(table: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """Order of the rows of an n by 20 table of bytes.

    :raises ValueError: a row is there twice.
    """
    first, second, third = (
        np.ascontiguousarray(table[:, start:end]).view(kind).ravel()
        for start, end, kind in ((0, 8, ">u8"), (8, 16, ">u8"), (16, 20, ">u4"))
    )
    first = first.astype(np.uint64)  # native order sorts several times faster
    order = np.argsort(first)
    ordered = first[order]
    if np.all(ordered[1:] > ordered[:-1]):
        return order
    # Addresses that begin alike are as rare as somebody takes the trouble to make them.
    order = np.lexsort((third, second, first))
    rows = table[order]
    if np.any(np.all(rows[1:] == rows[:-1], axis=1)):
        raise ValueError(_EACH_ONCE)
    return order


@dataclass(frozen=True, slots=True)
class EpochView:
    """One epoch as the chain tells it.

    :ivar number: of the epoch.
    :ivar seed: 32 bytes, recorded on chain after the snapshot's block.
    :ivar miners: active miners at the snapshot's block.
    :ivar coordinators: active coordinators at the snapshot's block.
    :ivar registrations: owners of nodes; empty where they do not matter, as in a receipt. Not compared.
    """

    number: int
    seed: bytes
    miners: Snapshot
    coordinators: Snapshot
    registrations: Registrations = field(default_factory=Registrations, compare=False)


def task_seed(epoch_seed: bytes, coordinator: bytes, number: int) -> bytes:
    """Seed of a task's draw: Keccak-256 of 32 + 20 + 8 bytes, the number in its epoch big-endian."""
    return keccak256(epoch_seed + coordinator + number.to_bytes(8, "big"))


def ranking(snapshot: Snapshot, seed: bytes) -> Iterator[bytes]:
    """Addresses in the order of the draw, all of the snapshot's, computed as they are asked for.

    Draw j costs O(j + log n): winners' intervals are kept sorted and skipped.
    """
    addresses, cumulative = snapshot.addresses, snapshot.cumulative
    drawn: list[tuple[int, int]] = []  # start and length of winners' intervals, ascending
    remaining = snapshot.total
    for j in range(len(snapshot)):
        point = int.from_bytes(keccak256(seed + j.to_bytes(4, "big")), "big") % remaining
        # Shift the point past every winner's interval at or below it: ascending order makes it exact.
        for start, weight in drawn:
            if start > point:
                break
            point += weight
        index = bisect.bisect_right(cumulative, point)
        start = cumulative[index - 1] if index else 0
        weight = cumulative[index] - start
        bisect.insort(drawn, (start, weight))
        remaining -= weight
        yield addresses[index * ADDRESS_BYTES : (index + 1) * ADDRESS_BYTES]


def drawn_numbers(seed: bytes, count: int, wanted: int) -> list[int]:
    """The first `wanted` of a draw among the numbers below `count`, all alike; all, if those are fewer.

    Draw j takes ``Keccak-256(seed || j) mod`` those left, and counts so far among them in ascending order.
    """
    order: list[int] = []
    ascending: list[int] = []
    for j in range(min(count, wanted)):
        point = int.from_bytes(keccak256(seed + j.to_bytes(4, "big")), "big") % (count - j)
        # Past every number at or below it that was drawn before: ascending order makes it exact.
        for taken in ascending:
            if taken > point:
                break
            point += 1
        bisect.insort(ascending, point)
        order.append(point)
    return order


def rank_for_task(
    snapshot: Snapshot, seed: bytes, judge: Callable[[bytes], PassedOver], wanted: int
) -> tuple[RankedMiner, ...]:
    """The ranking for an announcement: down to the `wanted`-th miner that may work, others with a reason.

    :param judge: why the coordinator passes over a miner, or `PassedOver.ASSIGNED`.
    :returns: at most `RANKING_MAX` places; without one that may work the caller has nobody to announce to.
    """
    places: list[RankedMiner] = []
    assigned = 0
    for miner in ranking(snapshot, seed):
        if assigned == wanted or len(places) == RANKING_MAX:
            break
        reason = judge(miner)
        assigned += reason == PassedOver.ASSIGNED
        places.append(RankedMiner(miner, int(reason)))
    return tuple(places)


def follows_draw(snapshot: Snapshot, seed: bytes, places: tuple[RankedMiner, ...]) -> bool:
    """Whether `places` are the first of the draw, in its order. Passing over is the coordinator's claim."""
    if len(places) > len(snapshot):
        return False
    drawn = islice(ranking(snapshot, seed), len(places))
    return [place.miner for place in places] == list(drawn)
