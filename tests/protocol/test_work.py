"""The table of kinds, and what work alone shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DecodeError, InvalidMessage
from protocol.work import (
    SPECS,
    UNITS_MAX,
    ImageDetails,
    SourceRole,
    UnknownKind,
    Work,
    WorkKind,
    kind_name,
    kind_named,
    may_be_all,
    require_form,
    spec_of,
)
from tests.protocol.builders import work
from tests.protocol.strategies import lawful, structs

STRANGE = Work(9, 5, b"")


def test_kinds_and_roles_are_numbers_that_never_change():
    assert {kind.name: int(kind) for kind in WorkKind} == {"TEXT_TO_IMAGE": 0, "IMAGE_TO_IMAGE": 1}
    assert {role.name: int(role) for role in SourceRole} == {"IMAGE": 0}


def test_every_kind_has_its_row_and_a_name_of_its_own():
    assert set(SPECS) == set(WorkKind)
    assert {kind: kind_name(kind) for kind in SPECS} == {0: "text-to-image", 1: "image-to-image"}
    assert [kind_named(kind_name(kind)) for kind in WorkKind] == list(WorkKind)
    for spec in SPECS.values():
        assert 0 <= spec.upfront <= len(spec.priced)


def test_names_of_kinds_that_are_not_known():
    assert kind_name(9) == "kind 9"
    with pytest.raises(
        ValueError, match=r"^'video' is not a kind of work; there are text-to-image, image-to-image$"
    ):
        kind_named("video")


def test_what_an_image_says():
    image = work(20, WorkKind.IMAGE_TO_IMAGE, 32, 48)
    assert image == Work(1, 20, ImageDetails(32, 48).encode())
    assert image.read_details() == ImageDetails(32, 48)
    assert image.image_size() == (32, 48)
    assert image.quantities() == (20 * 32 * 48,)
    assert spec_of(image.kind).roles == (SourceRole.IMAGE,)


@pytest.mark.parametrize(
    "read",
    [Work.read_details, Work.quantities, lambda work: spec_of(work.kind)],
    ids=["details", "sum", "row"],
)
def test_of_an_unknown_kind_nothing_is_read(read):
    with pytest.raises(UnknownKind) as caught:
        read(STRANGE)
    assert (caught.value.kind, caught.value.reason) == (9, "kind of work is not known")


def test_only_images_have_a_size():
    with pytest.raises(UnknownKind):
        Work(9, 5, ImageDetails(1, 1).encode()).image_size()
    with pytest.raises(DecodeError):
        STRANGE.image_size()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (work(0), "work has no units"),
        (Work(9, 0, b""), "work has no units"),
        (Work(0, 1, b""), "work's details are not those of its kind"),
        (Work(1, 1, ImageDetails(1, 1).encode() + b"\x00"), "work's details are not those of its kind"),
        (work(width=0), "work's details make no sense"),
        (work(height=0), "work's details make no sense"),
        (work(1 << 16), "work's details make no sense"),
    ],
)
def test_work_that_no_honest_coordinator_announces(bad, why):
    with pytest.raises(InvalidMessage) as caught:
        require_form(bad)
    assert caught.value.reason == why


@lawful
@given(structs(Work) | st.builds(work, st.integers(0, UNITS_MAX), st.sampled_from(WorkKind)))
def test_whatever_has_a_good_form_can_be_counted(any_work):
    try:
        require_form(any_work)
    except InvalidMessage:
        return
    assert any_work.units
    assert any_work.kind not in SPECS or min(any_work.quantities()) >= 1


@lawful
@given(structs(Work), st.integers(0, UNITS_MAX))
def test_no_result_has_more_units_than_were_announced_or_none(any_work, units_done):
    assert may_be_all(any_work, any_work.units)
    if may_be_all(any_work, units_done):
        assert units_done == any_work.units or 1 <= units_done < any_work.units


def test_an_image_is_all_of_its_steps_and_of_a_kind_that_is_not_known_any_part_may_be_all():
    assert [may_be_all(work(3), done) for done in range(5)] == [False, False, False, True, False]
    assert [may_be_all(Work(9, 3, b""), done) for done in range(5)] == [False, True, True, True, False]
