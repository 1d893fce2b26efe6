"""The draw: who gets a task, by stake, in a way that every peer can re-compute.

Is: an epoch's snapshot, a task's seed, the rankings of its miners and of its auditors; integers only.
Is not: where stakes come from (`contracts`) or who is online (offers; see `rank_for_task`).

Draw j takes ``Keccak-256(seed || j) mod remaining total`` and walks the cumulative stakes, skipping the
intervals of earlier winners. So winners are distinct, and each draw is proportional to stake among those
that are left. The coordinator chooses neither the epoch's seed nor its own next sequence number.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, islice

from protocol.hashing import keccak256
from protocol.messages import RANKING_MAX, RankedMiner
from protocol.signature import ADDRESS_BYTES

WEI_PER_MICRO_CAI = 10**12
AUDITORS_DOMAIN = b"auditors"
MINERS_MAX = 1 << 20
"""Most miners of one snapshot."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Active miners of one epoch, sorted by address, with their weights.

    :ivar miners: addresses, 20 bytes each, ascending, no address twice.
    :ivar weights: whole micro-CAI of stake (own and voted), each at least 1.
    :ivar cumulative: sums of `weights` up to and including each.
    """

    miners: tuple[bytes, ...]
    weights: tuple[int, ...]
    cumulative: tuple[int, ...]

    @classmethod
    def of(cls, stakes_wei: Iterable[tuple[bytes, int]]) -> Snapshot:
        """Snapshot of (address, stake in wei) pairs in any order; those below a micro-CAI are left out.

        :raises ValueError: an address twice, not of 20 bytes, or more than `MINERS_MAX` of them.
        """
        pairs = sorted((miner, wei // WEI_PER_MICRO_CAI) for miner, wei in stakes_wei)
        pairs = [(miner, weight) for miner, weight in pairs if weight > 0]
        miners = tuple(miner for miner, _ in pairs)
        if len(set(miners)) != len(miners) or any(len(miner) != ADDRESS_BYTES for miner in miners):
            message = "a snapshot names each miner once, by its address"
            raise ValueError(message)
        if len(miners) > MINERS_MAX:
            message = f"{len(miners)} miners where at most {MINERS_MAX} are allowed"
            raise ValueError(message)
        weights = tuple(weight for _, weight in pairs)
        return cls(miners, weights, tuple(accumulate(weights)))

    @property
    def total(self) -> int:
        """Sum of all weights, micro-CAI."""
        return self.cumulative[-1] if self.cumulative else 0

    def weight_of(self, miner: bytes) -> int:
        """Weight of `miner` in micro-CAI; 0 when it is not in the snapshot."""
        index = bisect.bisect_left(self.miners, miner)
        found = index < len(self.miners) and self.miners[index] == miner
        return self.weights[index] if found else 0


@dataclass(frozen=True, slots=True)
class EpochView:
    """One epoch as the chain tells it.

    :ivar number: of the epoch.
    :ivar seed: 32 bytes, recorded on chain after the snapshot's block.
    :ivar miners: active miners at the snapshot's block.
    :ivar coordinators: active coordinators at the snapshot's block.
    """

    number: int
    seed: bytes
    miners: Snapshot
    coordinators: Snapshot


def task_seed(epoch_seed: bytes, coordinator: bytes, sequence: int) -> bytes:
    """Seed of a task's draw: Keccak-256 of 32 + 20 + 8 bytes, sequence big-endian."""
    return keccak256(epoch_seed + coordinator + sequence.to_bytes(8, "big"))


def auditors_seed(seed: bytes) -> bytes:
    """Seed of the draw of a task's auditors: Keccak-256 of "auditors" and the task's seed."""
    return keccak256(AUDITORS_DOMAIN + seed)


def auditors(snapshot: Snapshot, seed: bytes, assigned: Container[bytes], wanted: int) -> tuple[bytes, ...]:
    """The first `wanted` of a task's second draw, in its order; nobody audits what may be its own work.

    :param seed: of the task, as for its first draw.
    :param assigned: miners of the task; they are skipped.
    """
    drawn = (miner for miner in ranking(snapshot, auditors_seed(seed)) if miner not in assigned)
    return tuple(islice(drawn, wanted))


def ranking(snapshot: Snapshot, seed: bytes) -> Iterator[bytes]:
    """Addresses in the order of the draw, all of the snapshot's, computed as they are asked for.

    Draw j costs O(j + log n): winners' intervals are kept sorted and skipped.
    """
    drawn: list[int] = []  # indices of winners, ascending
    remaining = snapshot.total
    for j in range(len(snapshot.miners)):
        point = int.from_bytes(keccak256(seed + j.to_bytes(4, "big")), "big") % remaining
        # Shift the point past every winner's interval at or below it: ascending order makes it exact.
        for winner in drawn:
            if snapshot.cumulative[winner] - snapshot.weights[winner] <= point:
                point += snapshot.weights[winner]
        index = bisect.bisect_right(snapshot.cumulative, point)
        bisect.insort(drawn, index)
        remaining -= snapshot.weights[index]
        yield snapshot.miners[index]


def rank_for_task(
    snapshot: Snapshot, seed: bytes, is_live: Callable[[bytes], bool], wanted: int
) -> tuple[RankedMiner, ...]:
    """The ranking for an announcement: down to the `wanted`-th live miner, others marked passed over.

    :param is_live: whether the coordinator holds a live offer of this miner for the model.
    :returns: at most `RANKING_MAX` places; without one live miner the caller has nobody to announce to.
    """
    places: list[RankedMiner] = []
    live = 0
    for miner in ranking(snapshot, seed):
        if live == wanted or len(places) == RANKING_MAX:
            break
        passed_over = not is_live(miner)
        live += not passed_over
        places.append(RankedMiner(miner, int(passed_over)))
    return tuple(places)


def follows_draw(snapshot: Snapshot, seed: bytes, places: tuple[RankedMiner, ...]) -> bool:
    """Whether `places` are the first of the draw, in its order. Passing over is the coordinator's claim."""
    drawn = ranking(snapshot, seed)
    return len(places) <= len(snapshot.miners) and all(place.miner == next(drawn) for place in places)
