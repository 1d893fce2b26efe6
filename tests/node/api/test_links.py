"""Links to pictures: how long they lead somewhere, and how much they hold."""

import pytest

from node.api import links
from node.api.links import LINK_BYTES_MAX, LINK_LIFETIME_MS, LINKS_MAX, LinkStatus, PictureLinks


def test_a_link_leads_to_its_picture_for_an_hour():
    kept = PictureLinks()
    kept.keep("a", b"123", "image/png", "ann", 1_000)
    picture = kept.find("a", 1_000 + LINK_LIFETIME_MS - 1)
    assert (picture.data, picture.media_type) == (b"123", "image/png")
    assert kept.find("b", 1_000) is None
    assert kept.find("a", 1_000 + LINK_LIFETIME_MS) is None
    assert kept.status() == LinkStatus(links=0, size_bytes=0, given=1, dropped=0)


def test_attack_more_links_than_there_is_room_for():
    kept = PictureLinks()
    for number in range(LINKS_MAX + 2):
        kept.keep(str(number), b"x", "image/png", "ann", number)
    assert [kept.find(str(number), LINKS_MAX) is None for number in range(4)] == [True, True, False, False]
    assert kept.status() == LinkStatus(LINKS_MAX, LINKS_MAX, LINKS_MAX + 2, 2)


@pytest.mark.parametrize(("size", "left"), [(50, 2), (51, 1), (101, 0)])
def test_attack_larger_pictures_than_there_is_room_for(monkeypatch, size, left):
    monkeypatch.setattr(links, "LINK_BYTES_MAX", 100)
    kept = PictureLinks()
    for number in range(2):
        kept.keep(str(number), bytes(size), "image/png", "ann", 0)
    assert kept.status() == LinkStatus(left, left * size, 2, 2 - left)


@pytest.mark.parametrize(("size", "count"), [(1, LINKS_MAX), (LINK_BYTES_MAX // 2, 2)])
def test_attack_one_token_drops_its_own_links_and_nobody_elses(size, count):
    kept, data = PictureLinks(), bytes(size)
    kept.keep("bob's", b"x", "image/png", "bob", 0)
    for number in range(count + 5):
        kept.keep(str(number), data, "image/png", "ann", 1)
    assert kept.find("bob's", 2)
    assert kept.find("0", 2) is None
    assert kept.find(str(count + 4), 2)
    assert kept.status().dropped == 6
