import dataclasses
from contextlib import suppress

import pytest

from protocol.audit_draw import draw_audit
from protocol.errors import GossipReject
from protocol.evidence import TwoStatements, verify_evidence
from protocol.keeping import WORKS_MAX
from protocol.rules import evidence, offers, results, tasks, verdicts, view
from protocol.rules.view import Equivocation, Seen, View, check_slot_is_free, slot_key
from protocol.terms import PPM, AuditTerms, TaskTerms
from tests.protocol import builders
from tests.protocol.builders import (
    DOMAIN,
    FIRST_RANKED,
    MINERS,
    NOW_MS,
    STRANGER,
    TERMS,
    offer,
    opened,
    sealed,
)

ANN = MINERS["ann"]


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("messages", view.SEEN_MESSAGES_MAX),
        ("statements", view.SEEN_STATEMENTS_MAX),
        ("task_ids", view.SEEN_TASKS_MAX),
        ("followers", view.SEEN_TASKS_MAX),
        ("last_tasks", view.SEEN_TASKS_MAX),
        ("commitments", view.SEEN_COMMITMENTS_MAX),
        ("audits", view.SEEN_AUDITS_MAX),
        ("audit_seeds", view.SEEN_AUDITS_MAX),
        ("tasks", view.SEEN_TASKS_MAX),
        ("offers", view.SEEN_OFFERS_MAX),
        ("offenders", view.SEEN_EVIDENCE_MAX),
    ],
)
def test_everything_that_a_peer_remembers_has_a_limit(name, limit):
    assert len(dataclasses.fields(Seen)) == 11
    remembered = getattr(Seen(), name)
    for number in range(limit + 1):
        remembered[number] = None
    assert len(remembered) == limit
    assert 0 not in remembered
    assert limit in remembered


def test_what_is_remembered_of_a_task_lasts_as_long_as_its_audit():
    """A miner keeps no work that its peers have forgotten, and they none that it has."""
    tasks_an_hour, terms = 4 * 3_600, AuditTerms()
    audited_ms = TaskTerms(1_000, 300_000).life_ms_max + terms.window_ms
    assert tasks_an_hour * audited_ms / 3_600_000 <= view.SEEN_TASKS_MAX == WORKS_MAX
    assert view.SEEN_COMMITMENTS_MAX == view.SEEN_AUDITS_MAX == 2 * view.SEEN_TASKS_MAX
    # Two verdicts on each commitment of a newcomer that the dice select.
    verdicts_each = 2 * terms.newcomer_ppm / PPM
    each = 1 + 2 * (1 + verdicts_each)
    assert each * view.SEEN_TASKS_MAX <= view.SEEN_STATEMENTS_MAX <= view.SEEN_MESSAGES_MAX


def test_the_latest_epoch_is_the_one_with_the_highest_number():
    assert builders.view().latest == builders.EPOCH
    assert View(DOMAIN, {7: builders.EPOCH, 6: builders.epoch_view(6)}, TERMS).latest == builders.EPOCH
    assert View(DOMAIN, {}, TERMS).latest is None


def test_a_slot_belongs_to_a_kind_and_a_signer():
    statement = opened(ANN, offer())
    assert slot_key(statement) == (1, ANN.address, bytes(31) + b"\x03")
    others = [
        opened(MINERS["bob"], offer()),
        opened(ANN, offer(sequence=4)),
        opened(ANN, builders.announcement(3, epoch=0)),
    ]
    assert len({slot_key(other) for other in [statement, *others]}) == 4


def test_a_rank_starts_when_the_head_starts_before_it_are_over():
    task = builders.announcement()
    assert [TERMS.starts_at_ms(task, rank) - NOW_MS for rank in range(3)] == [0, 3_000, 6_000]


def test_an_equivocation_carries_evidence_that_verifies():
    seen = Seen()
    one, other = sealed(ANN, offer()), sealed(ANN, offer(capacity=2))
    offers.validate_offer(seen, builders.view(), one, NOW_MS)
    with pytest.raises(Equivocation) as caught:
        offers.validate_offer(seen, builders.view(), other, NOW_MS)
    assert caught.value.evidence == TwoStatements.pair(one, other)
    assert verify_evidence(DOMAIN, caught.value.evidence, {}).signer == ANN.address


def test_the_same_words_under_another_signature_are_no_equivocation():
    """ECDSA allows many signatures of one statement; only another body is a contradiction."""
    seen, statement = Seen(), opened(FIRST_RANKED, builders.commitment())
    check_slot_is_free(seen, statement)
    seen.statements[slot_key(statement)] = statement.encoded[:-1] + b"\x00"
    with pytest.raises(view.GossipIgnore, match="statement was seen before") as caught:
        check_slot_is_free(seen, statement)
    assert not isinstance(caught.value, Equivocation)


def test_one_signer_may_fill_many_slots_without_an_end_to_memory(monkeypatch):
    """A flood by a staked miner costs this peer no more than its limit."""
    monkeypatch.setattr(view, "SEEN_STATEMENTS_MAX", 5)
    seen = Seen()
    for sequence in range(12):
        offers.validate_offer(seen, builders.view(), sealed(ANN, offer(sequence=sequence)), NOW_MS)
    assert len(seen.statements) == 5
    assert list(seen.offers) == [ANN.address]
    assert seen.offers[ANN.address].message.sequence == 11


def test_an_older_epoch_is_known_to_audits_alone():
    past = dataclasses.replace(
        builders.view(), epochs={8: builders.epoch_view(8)}, past_epochs={7: builders.EPOCH}
    )
    assert past.epoch_of(builders.announcement()) == builders.EPOCH
    assert past.epoch_of(builders.announcement(epoch=8)) == builders.epoch_view(8)
    assert past.epoch_of(builders.announcement(epoch=6)) is None


def committed(data: bytes) -> Seen:
    """A peer that has heard of the task, and of a commitment for it."""
    seen = Seen()
    tasks.validate_task(seen, builders.view(), builders.TASK.encoded, NOW_MS)
    results.validate_result(seen, builders.view(), data, NOW_MS)
    return seen


def test_a_draw_is_made_once_for_each_work_and_block():
    seen = committed(sealed(FIRST_RANKED, builders.commitment()))
    verdicts.validate_verdict(seen, builders.view(), sealed(builders.AUDITOR, builders.verdict()), NOW_MS)
    beacon = builders.beacon()
    assert dict(seen.audits) == {(builders.COMMITTED.digest, beacon.hash): builders.AUDIT}
    # It stands, also when the epoch is not to be had any more.
    other, steps = builders.AUDIT.auditors[1]
    verdict = builders.verdict(checked=builders.checked(*steps))
    nowhere = dataclasses.replace(builders.view(), epochs={})
    verdicts.validate_verdict(seen, nowhere, sealed(builders.KEY_OF[other], verdict), NOW_MS)
    assert len(seen.audits) == 1


@pytest.fixture
def draws(monkeypatch):
    """The epochs by whose stakes there was a draw."""
    made = []

    def noted(epoch, *arguments):
        made.append(epoch)
        return draw_audit(epoch, *arguments)

    monkeypatch.setattr(verdicts, "draw_audit", noted)
    return made


def judge(seen, signer, known=None, **changes):
    data = sealed(signer, dataclasses.replace(builders.verdict(), **changes))
    with suppress(GossipReject, view.GossipIgnore):
        verdicts.validate_verdict(seen, known or builders.view(), data, NOW_MS)


def test_attack_a_flood_of_verdicts_by_strangers_draws_once_for_each_work(draws):
    seen = committed(sealed(FIRST_RANKED, builders.commitment()))
    for number in range(50):
        judge(seen, STRANGER, worst_excess_ppb=number)
    assert len(draws) == 1
    # Also where the dice leave the work out.
    other = next(
        one for one in map(builders.block, map(str, range(99))) if not builders.audit(one).is_selected
    )
    known = dataclasses.replace(builders.view(), beacons={builders.TASK.message.deadline_ms: other})
    for number in range(50):
        judge(seen, STRANGER, known, worst_excess_ppb=number)
    assert len(draws) == 2


def test_attack_verdicts_without_a_signature_draw_nothing(draws):
    seen, data = committed(sealed(FIRST_RANKED, builders.commitment())), sealed(STRANGER, builders.verdict())
    with pytest.raises(GossipReject, match="signature is malformed"):
        verdicts.validate_verdict(seen, builders.view(), data[:-1] + b"\x00", NOW_MS)
    assert draws == []


def test_a_reorganisation_that_changes_an_epoch_draws_again(draws):
    seen = committed(sealed(FIRST_RANKED, builders.commitment()))
    judge(seen, STRANGER)
    other = dataclasses.replace(builders.EPOCH, seed=bytes(32))
    judge(seen, STRANGER, dataclasses.replace(builders.view(), epochs={7: other}), worst_excess_ppb=1)
    assert draws == [builders.EPOCH, other]


def test_attack_a_commitment_to_no_unit_at_all():
    """Steps are drawn among as many as were done; nothing that a miner signs stops a node."""
    nothing = opened(FIRST_RANKED, builders.commitment(units_done=0))
    seen = committed(nothing.encoded)
    all_work = AuditTerms(selected_ppm=PPM, newcomer_ppm=PPM)
    known = dataclasses.replace(builders.view(), audit_terms=all_work)
    data = sealed(STRANGER, builders.verdict(commitment=nothing.digest))
    with pytest.raises(GossipReject, match="not drawn"):
        verdicts.validate_verdict(seen, known, data, NOW_MS)


def test_attack_a_flood_of_evidence_about_keys_without_stake_is_not_judged(monkeypatch):
    """Nor a flood about one whose offence is known: one signature each, and no proof is followed."""
    judged = []

    def noted(domain, piece, epochs):
        judged.append(piece)
        return verify_evidence(domain, piece, epochs)

    monkeypatch.setattr(evidence, "verify_evidence", noted)
    seen = Seen()
    evidence.validate_evidence(seen, builders.view(), builders.evidence().encode(), NOW_MS)
    assert len(judged) == 1
    for signer in (STRANGER, FIRST_RANKED):
        for done in range(1, 20):
            pair = TwoStatements.pair(
                sealed(signer, builders.commitment()), sealed(signer, builders.commitment(units_done=done))
            )
            with suppress(view.GossipIgnore, GossipReject):
                evidence.validate_evidence(seen, builders.view(), pair.encode(), NOW_MS)
    assert len(judged) == 1
