"""The file of tokens: hashes alone, use by day, owners of tasks, each within its bound."""

import pytest

from node.api.tokens import store as store_module
from node.api.tokens.caller import OPERATOR, Limits
from node.api.tokens.store import DAY_MS, DAYS_MAX, TOKENS_MAX, TokenRefused, Used, open_tokens
from tests.node.api.desk import token_store

NOW_MS = 20_000 * DAY_MS


def test_attack_the_file_holds_no_token(tmp_path):
    with open_tokens(tmp_path / "tokens.sqlite") as tokens:
        secret = tokens.new("ann", Limits(images_per_day=3, models=("a", "b")), NOW_MS)
        assert tokens.find(secret.encode(), NOW_MS).name == "ann"
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0
        assert secret.encode() not in path.read_bytes()
    with open_tokens(tmp_path / "tokens.sqlite") as tokens:
        caller = tokens.find(secret.encode(), NOW_MS)
    assert (caller.limits.images_per_day, caller.limits.models) == (3, ("a", "b"))


def test_only_a_whole_token_that_works_is_found():
    tokens = token_store()
    secret = tokens.new("ann", Limits(expires_at_ms=NOW_MS + 5), NOW_MS).encode()
    assert tokens.find(secret, NOW_MS + 4).name == "ann"
    for other in (b"", secret[:-1], secret + b"x", secret.upper()):
        assert tokens.find(other, NOW_MS) is None
    assert tokens.find(secret, NOW_MS + 5) is None


def test_a_revoked_token_is_none_and_ends_what_it_has_under_way():
    tokens = token_store()
    secret = tokens.new("ann", Limits(), NOW_MS).encode()
    caller = tokens.find(secret, NOW_MS)
    tokens.revoke("ann", NOW_MS + 1)
    assert caller.ended.is_set()
    assert tokens.find(secret, NOW_MS + 1) is None
    assert tokens.find(b"", NOW_MS + 1) is None
    with pytest.raises(TokenRefused, match="there is no token named 'ann'"):
        tokens.revoke("ann", NOW_MS + 2)
    # The name is free again, and what was used stays its own.
    tokens.new("ann", Limits(), NOW_MS + 3)
    assert [item.revoked_at_ms for item in tokens.listed()] == [NOW_MS + 1, 0]


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "ä", "x" * 65])
def test_names_have_a_form(name):
    with pytest.raises(TokenRefused, match="a token's name is up to 64 of"):
        token_store().new(name, Limits(), NOW_MS)


def test_tokens_are_bounded_and_the_oldest_revoked_go_first():
    tokens = token_store()
    for number in range(TOKENS_MAX):
        tokens.new(f"t{number}", Limits(), NOW_MS + number)
    with pytest.raises(TokenRefused, match="there are 256 tokens; revoke one first"):
        tokens.new("more", Limits(), NOW_MS)
    tokens.revoke("t0", NOW_MS)
    tokens.new("more", Limits(), NOW_MS + 1000)
    assert len(tokens.listed()) == TOKENS_MAX
    assert "t0" not in {item.caller.name for item in tokens.listed()}
    with pytest.raises(TokenRefused, match="there is a token named more"):
        tokens.new("more", Limits(), NOW_MS)


def test_use_is_counted_by_day():
    tokens = token_store()
    tokens.count("a", NOW_MS, requests=1, images=3)
    tokens.count("a", NOW_MS, images=-1)
    tokens.count("a", NOW_MS + DAY_MS, requests=1, images=1)
    assert tokens.used("a", NOW_MS) == Used(20_000, 0, 0, 0)  # the latest day is another
    assert tokens.used_by_day("a", 9) == [Used(20_001, 1, 1, 0), Used(20_000, 1, 2, 0)]
    assert tokens.used_by_day("a", 1)[0].date == "2024-10-05"
    tokens.count("a", NOW_MS + DAYS_MAX * DAY_MS, requests=1)
    assert [used.day for used in tokens.used_by_day("a", 9)] == [20_400, 20_001]


def test_what_is_paid_belongs_to_the_owner_of_the_task_and_counts_once():
    tokens = token_store()
    tokens.own(b"task", "a")
    for miner, paid_wei in ((b"m", 5), (b"m", 8), (b"m", 8), (b"n", 1 << 70), (b"m", 3)):
        tokens.note_paid(b"task", miner, paid_wei, NOW_MS)
    assert tokens.used("a", NOW_MS).spent_wei == 8 + (1 << 70)
    tokens.note_paid(b"of nobody known", b"m", 4, NOW_MS)
    assert tokens.used("", NOW_MS).spent_wei == 4


def test_a_task_is_seen_by_its_owner_and_the_operator(monkeypatch):
    monkeypatch.setattr(store_module, "TASKS_MAX", 3)
    tokens = token_store()
    ann = tokens.find(tokens.new("ann", Limits(), NOW_MS).encode(), NOW_MS)
    bob = tokens.find(tokens.new("bob", Limits(), NOW_MS).encode(), NOW_MS)
    tokens.own(b"1", ann.token_id)
    tokens.own(b"1", bob.token_id)
    assert [tokens.may_see(who, b"1") for who in (ann, bob, OPERATOR)] == [True, False, True]
    for number in (b"2", b"3", b"4"):
        tokens.own(number, ann.token_id)
    assert not tokens.may_see(ann, b"1")


def test_attack_promises_are_remembered_within_a_bound_whose_ever_they_are(monkeypatch):
    monkeypatch.setattr(store_module, "PAYS_MAX", 3)
    tokens = token_store()
    for number in range(9):
        for paid_wei in range(1, 9):  # told again, it pushes nothing out
            tokens.note_paid(bytes([number]), b"m", paid_wei, NOW_MS)
    assert tokens.status().pays == 3
    tokens.note_paid(b"\x06", b"m", 8, NOW_MS)
    assert tokens.used("", NOW_MS).spent_wei == 9 * 8
