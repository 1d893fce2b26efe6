"""A code opens one session, once, for a minute; nothing else opens any."""

import re
import secrets

import pytest

from node.portal import sessions
from node.portal.errors import PortalRefusal
from node.portal.sessions import CODE_LIFE_MS, CODES_MAX, SESSION_LIFE_MS, SESSIONS_MAX, Sessions


class Clock:
    now_ms = 1_000

    def __call__(self):
        return self.now_ms


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def own(clock):
    return Sessions(clock)


def refused(work, code):
    with pytest.raises(PortalRefusal) as error:
        work()
    assert error.value.code == code
    return True


def test_a_code_opens_a_session(own):
    code = own.new_code()
    secret = own.exchange(code)
    assert own.require(secret) == SESSION_LIFE_MS
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", code)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", secret)
    assert code != secret
    assert (own.status().codes, own.status().begun, own.status().open) == (1, 1, 1)


def test_code_twice__the_second_gets_nothing_and_the_first_stays(own):
    code = own.new_code()
    secret = own.exchange(code)
    assert refused(lambda: own.exchange(code), "bad_code")
    assert own.require(secret)
    assert own.status().refused == 1


def test_expired_code__opens_nothing(own, clock):
    code = own.new_code()
    clock.now_ms += CODE_LIFE_MS - 1
    assert own.exchange(code)
    late = own.new_code()
    clock.now_ms += CODE_LIFE_MS
    assert refused(lambda: own.exchange(late), "bad_code")
    assert own._codes == {}


def test_guess_flood__opens_nothing_and_keeps_the_owner_not_out(own):
    code = own.new_code()
    for length in (0, 1, 43, 64, 10_000):
        for _ in range(200):
            guess = secrets.token_urlsafe(length)[:length]
            assert refused(lambda guess=guess: own.exchange(guess), "bad_code")
            assert refused(lambda guess=guess: own.require(guess), "no_session")
    assert refused(lambda: own.exchange("\ud800"), "bad_code")
    assert own.require(own.exchange(code))
    assert own.status().refused == 2_001


def test_a_code_is_no_secret__nor_the_other_way_round(own):
    code = own.new_code()
    assert refused(lambda: own.require(code), "no_session")
    secret = own.exchange(code)
    assert refused(lambda: own.exchange(secret), "bad_code")


def test_codes_and_sessions_beyond_the_bound_end_the_oldest(own):
    codes = [own.new_code() for _ in range(CODES_MAX + 1)]
    assert refused(lambda: own.exchange(codes[0]), "bad_code")
    opened = [own.exchange(code) for code in codes[1:]]
    while len(opened) <= SESSIONS_MAX:
        opened.append(own.exchange(own.new_code()))
    assert refused(lambda: own.require(opened[0]), "no_session")
    assert all(own.require(secret) for secret in opened[1:])
    assert (len(own._codes), len(own._secrets)) == (0, SESSIONS_MAX)


def test_a_session_ends_by_itself_and_by_its_owner(own, clock):
    first, second = own.exchange(own.new_code()), own.exchange(own.new_code())
    own.end(first)
    assert refused(lambda: own.require(first), "no_session")
    assert refused(lambda: own.end(first), "no_session")
    clock.now_ms += SESSION_LIFE_MS
    assert refused(lambda: own.require(second), "no_session")
    assert own.status().open == 0


def test_all_that_is_kept_is_compared_in_constant_time__and_nothing_is_kept_as_it_is(own, monkeypatch):
    compared = []
    real = sessions.hmac.compare_digest

    def compare(one, other):
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(sessions.hmac, "compare_digest", compare)
    codes = [own.new_code() for _ in range(5)]
    own.exchange(codes[0])
    assert compared == [(32, 32)] * 5
    secret = own.exchange(codes[1])
    kept = b"".join([*own._codes, *own._secrets])
    assert not any(text.encode() in kept for text in (*codes, secret))
