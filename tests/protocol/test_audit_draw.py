"""The dice of audits: laws of the draw, and who can know and change what, and when."""

import dataclasses
from collections import Counter
from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import audit_draw
from protocol.audit_draw import (
    AUDITOR_PLACES_MAX,
    AuditedWork,
    BeaconBlock,
    dice_of,
    draw_audit,
    drawn_steps,
    selected_ppm,
    selects,
    steps_each,
)
from protocol.draw import EpochView, Snapshot, ranking
from protocol.errors import GossipIgnore
from protocol.hashing import keccak256
from protocol.registrations import Registrations
from protocol.rules.results import validate_result
from protocol.rules.tasks import validate_task
from protocol.rules.view import Seen
from protocol.terms import PPM, AuditTerms
from tests.protocol import builders
from tests.protocol.strategies import lawful

ALL_WORK = AuditTerms(selected_ppm=PPM, newcomer_ppm=PPM)
USUAL = AuditTerms()
COORDINATOR = b"\xc0" * 20
hashes = st.binary(min_size=32, max_size=32)


def miner(number: int) -> bytes:
    return bytes([number]) * 20


def work(number: int = 0, commitment: bytes = bytes(32), steps: int = 20) -> AuditedWork:
    return AuditedWork(COORDINATOR, miner(number), commitment, steps)


def block_of(name: bytes, number: int = 1_000_000) -> BeaconBlock:
    return BeaconBlock(number, keccak256(name), 0)


def epoch_of(owners: dict[int, bytes], stakes: dict[int, int] | None = None, block: int = 0) -> EpochView:
    """Miners by number with their owners, registered in one block; of equal stakes unless said otherwise."""
    stakes = stakes or dict.fromkeys(owners, 1)
    return EpochView(
        7,
        bytes(32),
        Snapshot.of((miner(number), stake * 10**18) for number, stake in stakes.items()),
        Snapshot.of([(COORDINATOR, 10**24)]),
        Registrations.of(
            [
                *((miner(number), owner, block) for number, owner in owners.items()),
                (COORDINATOR, b"C" * 20, 0),
            ]
        ),
    )


EPOCH = epoch_of({number: bytes([100 + number]) * 20 for number in range(12)})


# Selection


def test_dice_are_the_hash_of_what_nobody_and_everybody_knows():
    assert dice_of(b"b" * 32, b"c" * 32) == keccak256(b"cuckoo/audit/1" + b"b" * 32 + b"c" * 32)


@lawful
@given(hashes, st.integers(0, PPM), st.integers(0, PPM))
def test_what_is_selected_at_some_rate_is_selected_at_every_higher_one(dice, one, other):
    low, high = sorted((one, other))
    assert selects(dice, low) <= selects(dice, high)
    assert not selects(dice, 0)
    assert selects(dice, PPM)


@pytest.mark.parametrize("ppm", [1, 20_000, 200_000, 999_999])
def test_the_first_eight_bytes_decide_exactly(ppm):
    """thrown < p * 2^64, with p a fraction of a million."""
    edge = -(-(ppm << 64) // PPM)
    for thrown, expected in ((0, True), (edge - 1, True), (edge, False), (2**64 - 1, False)):
        assert selects(thrown.to_bytes(8, "big") + b"\xff" * 24, ppm) is expected


def test_a_newcomers_work_is_audited_more_often():
    old, new = epoch_of({1: bytes(20)}, block=800_000), epoch_of({1: bytes(20)}, block=1_000_000)
    month = dataclasses.replace(USUAL, newcomer_ms=200_000 * 12_000, origin_block=100, origin_ms=5_000)
    at = {
        number: BeaconBlock(number, bytes(32), 5_000 + 12_000 * (number - 100))
        for number in (999_999, 1_000_000, 1_199_999, 1_200_000)
    }
    assert selected_ppm(old, miner(1), at[999_999], month) == 200_000
    assert selected_ppm(old, miner(1), at[1_000_000], month) == 20_000
    assert selected_ppm(new, miner(1), at[1_199_999], month) == 200_000
    assert selected_ppm(new, miner(1), at[1_200_000], month) == 20_000
    # Who is in no list is nobody that one knows.
    assert selected_ppm(new, miner(2), at[1_200_000], month) == 200_000


@pytest.mark.parametrize("block_ms", [250, 1_000, 12_000, 60_000])
def test_thirty_days_are_thirty_days_on_every_chain(block_ms):
    """A number of blocks would be a day and a half on a chain of a block a second."""
    origin = BeaconBlock(7_000_000, bytes(32), 1_700_000_000_000)
    terms = dataclasses.replace(USUAL, origin_block=origin.number, origin_ms=origin.time_ms)
    day = 24 * 3_600_000 // block_ms
    epoch = epoch_of({1: bytes(20)}, block=origin.number + 50 * day)

    def at(days):
        blocks = 50 * day + days * day
        return BeaconBlock(origin.number + blocks, bytes(32), origin.time_ms + blocks * block_ms)

    assert selected_ppm(epoch, miner(1), at(29), terms) == USUAL.newcomer_ppm
    assert selected_ppm(epoch, miner(1), at(30), terms) == USUAL.selected_ppm


def test_on_a_network_younger_than_thirty_days_everybody_is_a_newcomer():
    terms = dataclasses.replace(USUAL, origin_block=1_000, origin_ms=0)
    epoch = epoch_of({1: bytes(20)}, block=1_000)
    for number, time_ms in ((1_000, 0), (999, 0), (200_000, USUAL.newcomer_ms - 1)):
        assert selected_ppm(epoch, miner(1), BeaconBlock(number, bytes(32), time_ms), terms) == 200_000
    assert selected_ppm(epoch, miner(1), BeaconBlock(1_001, bytes(32), USUAL.newcomer_ms), terms) == 20_000


# Auditors and steps


@lawful
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=14),
    st.integers(0, 13),
    hashes,
    st.booleans(),
)
def test_auditors_are_the_first_of_the_ranking_without_the_parties(owned, of, commitment, coordinator_mines):
    """Some owner has every node; the coordinator's may have miners too."""
    owners = {number: bytes([owner]) * 20 for number, owner in enumerate(owned)}
    if coordinator_mines:
        owners[0] = b"C" * 20
    epoch = epoch_of(owners, {number: 1 + number for number in owners})
    made = work(of, commitment)
    draw = draw_audit(epoch, made, block_of(b"beacon"), ALL_WORK)
    dice = dice_of(keccak256(b"beacon"), commitment)
    parties = {owners.get(of, miner(of)), b"C" * 20}
    eligible = [
        address
        for address in ranking(epoch.miners, keccak256(b"auditors" + dice))
        if address != miner(of) and owners[address[0]] not in parties
    ]
    assert [auditor for auditor, _ in draw.auditors] == eligible[:2]
    assert (draw.dice, draw.selected_ppm, draw.is_selected) == (dice, PPM, True)
    for auditor, steps in draw.auditors:
        assert draw.steps_of(auditor) == steps
    assert draw.steps_of(miner(of)) is None


def test_work_that_is_not_selected_has_no_auditors():
    nothing = AuditTerms(selected_ppm=0, newcomer_ppm=0)
    draw = draw_audit(EPOCH, work(), block_of(b"beacon"), nothing)
    assert (draw.is_selected, draw.auditors) == (False, ())


@lawful
@given(hashes, st.integers(1, 200))
def test_auditors_check_different_steps_as_far_as_there_are_any(dice, steps):
    each = steps_each(steps)
    assert each == max(1, min(3, steps // 6))
    one, other = (drawn_steps(dice, steps, place) for place in (0, 1))
    for drawn in (one, other):
        assert list(drawn) == sorted(set(drawn))
        assert len(drawn) == each
        assert all(0 <= step < steps for step in drawn)
    assert set(one).isdisjoint(other) == (steps > 1)


@lawful
@given(hashes, st.integers(1, 40), st.integers(0, 3))
def test_steps_are_those_of_the_definition(dice, steps, place):
    left, order, seed = list(range(steps)), [], keccak256(b"steps" + dice)
    for j in range(steps):
        point = int.from_bytes(keccak256(seed + j.to_bytes(4, "big")), "big") % len(left)
        order.append(left.pop(point))
    each = steps_each(steps)
    mine = {order[at % steps] for at in range(each * place, each * (place + 1))}
    assert drawn_steps(dice, steps, place) == tuple(sorted(mine))


def test_every_step_is_drawn_as_often_as_every_other():
    drawn = Counter(
        step
        for trial in range(4_000)
        for step in drawn_steps(keccak256(trial.to_bytes(4, "big")), 20, trial % 2)
    )
    # 3 of 20 in 4,000 trials: 600 a step, a deviation of 23.
    assert set(drawn) == set(range(20))
    assert all(abs(times - 600) < 5 * 23 for times in drawn.values())


def test_auditors_are_drawn_by_stake():
    """Four of five parts of the stake that may audit: 80 % of the first places."""
    epoch = epoch_of({0: b"m" * 20, 1: b"a" * 20, 2: b"b" * 20}, {0: 50, 1: 40, 2: 10})
    first = Counter(
        draw_audit(epoch, work(0, keccak256(bytes([n % 256, n // 256]))), block_of(b""), ALL_WORK).auditors[
            0
        ][0]
        for n in range(3_000)
    )
    assert abs(first[miner(1)] - 2_400) < 5 * 22


def test_attack_an_owner_with_a_thousand_nodes_is_looked_past_only_so_far(monkeypatch):
    """The search for auditors ends; two that are not of the owner are found all the same."""
    crowd = dict.fromkeys(range(150), b"w" * 20) | {201: b"a" * 20, 202: b"b" * 20}
    epoch = epoch_of(crowd, {number: 9 if number < 150 else 100 for number in crowd})
    asked = []
    monkeypatch.setattr(
        audit_draw, "ranking", lambda *_: (asked.append(n) or miner(n % 150) for n in count())
    )
    draw = draw_audit(epoch, work(0), block_of(b""), ALL_WORK)
    assert (draw.is_selected, draw.auditors) == (True, ())
    assert len(asked) == AUDITOR_PLACES_MAX
    monkeypatch.undo()
    found = [
        len(draw_audit(epoch, work(0, keccak256(bytes([n]))), block_of(b""), ALL_WORK).auditors)
        for n in range(40)
    ]
    assert set(found) == {2}


# Who can change what, and when


VARIANTS = 10_000
"""So many commitments a miner tries for one task, by other pictures or traces: more than it has time for."""


def test_attack_ten_thousand_variants_before_the_commitment_change_nothing():
    """Miner and coordinator choose the variant that looks best to them, by whatever rule, before the block.

    Its dice are as good as any other's: over 20,000 blocks 2 % are selected, and the audits fall to whom they
    would have fallen.
    """
    variants = [keccak256(number.to_bytes(4, "big")) for number in range(VARIANTS)]
    guessed = keccak256(b"the block that they expect")
    chosen = {
        "the smallest": min(variants),
        "the luckiest by the block before": max(variants, key=lambda one: dice_of(guessed, one)),
        "the first": variants[0],
    }
    trials = 20_000
    for name, commitment in chosen.items():
        hits = sum(
            selects(dice_of(keccak256(n.to_bytes(4, "big")), commitment), 20_000) for n in range(trials)
        )
        # 400 expected; the deviation is 19.8.
        assert abs(hits - 400) < 5 * 20, name
    friend = miner(1)
    for name, commitment in chosen.items():
        drawn = Counter(
            friend
            in dict(
                draw_audit(
                    EPOCH, work(0, commitment), block_of(bytes([n % 256, n // 256])), ALL_WORK
                ).auditors
            )
            for n in range(2_000)
        )
        # Two of eleven with equal stakes: 363.6 expected, deviation 17.3.
        assert abs(drawn[True] - 2_000 * 2 / 11) < 5 * 17.3, name


def test_attack_who_knows_the_block_would_never_be_audited():
    """Why the block comes after the commitment: with the hash at hand, a few variants are enough."""
    known = keccak256(b"a block that is known")
    variants = (keccak256(number.to_bytes(4, "big")) for number in range(VARIANTS))
    tries = next(place for place, one in enumerate(variants) if not selects(dice_of(known, one), 20_000))
    assert tries < 5


def test_attack_a_commitment_made_a_second_before_everybody_knows_the_block():
    """Whoever knows the block early is too late all the same: commitments end a margin before its time."""
    deadline_ms = builders.TASK.message.deadline_ms
    beacon_ms = USUAL.beacon_from_ms(deadline_ms)
    early = builders.commitment(output_hash=keccak256(b"chosen by the dice"))
    data = builders.sealed(builders.FIRST_RANKED, early)
    for knows_ms, newest_ms, reason in (
        (beacon_ms - 1_000, 0, "task is over"),
        # Also a peer whose clock is so slow that the task goes on for it.
        (deadline_ms - 1, beacon_ms, "dice of the audit may be known"),
    ):
        seen = Seen()
        validate_task(seen, builders.view(), builders.TASK.encoded, builders.NOW_MS)
        known = dataclasses.replace(builders.view(), newest_block_ms=newest_ms)
        with pytest.raises(GossipIgnore, match=reason):
            validate_result(seen, known, data, knows_ms)
        assert not seen.commitments


def test_a_block_producer_that_throws_blocks_away_saves_itself_an_audit_at_the_price_of_blocks():
    """What the specification states: with t blocks to spare, p^(1 + t) of its work is audited, not p."""
    trials, ppm = 20_000, 200_000
    for spare, expected in ((0, 0.2), (1, 0.04), (2, 0.008)):
        audited = 0
        for trial in range(trials):
            own = (
                dice_of(keccak256(bytes([one]) + trial.to_bytes(4, "big")), bytes(32))
                for one in range(spare + 1)
            )
            audited += all(selects(dice, ppm) for dice in own)
        deviation = (trials * expected * (1 - expected)) ** 0.5
        assert abs(audited - trials * expected) < 5 * deviation


def test_another_block_after_a_reorganisation_is_another_draw():
    draws = [draw_audit(EPOCH, work(), block_of(name), ALL_WORK) for name in (b"before", b"after")]
    assert draws[0].dice != draws[1].dice
    assert draws[0].auditors != draws[1].auditors
    again = draw_audit(EPOCH, work(), block_of(b"before"), ALL_WORK)
    assert again == draws[0]


def test_two_works_for_one_task_have_their_own_dice():
    one, other = (
        draw_audit(EPOCH, work(number, keccak256(bytes([number]))), block_of(b"beacon"), ALL_WORK)
        for number in (0, 1)
    )
    assert one.dice != other.dice


def test_times_of_an_audit():
    terms = AuditTerms(beacon_margin_ms=1_000, window_ms=60_000)
    assert (terms.beacon_from_ms(5_000), terms.ends_at_ms(5_000)) == (6_000, 65_000)
    assert list(islice(map(steps_each, (1, 5, 6, 11, 12, 17, 18, 50)), 8)) == [1, 1, 1, 1, 2, 2, 3, 3]
