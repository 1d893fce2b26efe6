"""What a miner says of a task that is not for it, and of itself in its offers."""

import dataclasses

import pytest

from node.inference.packages.limits import LimitExceeded, check_work
from node.miner.ports import Decline
from node.miner.terms import ModelTerms
from protocol.messages import DeclineKind, ModelOffer, RankedMiner, WorkOffer
from protocol.pay import unit_price_wei
from protocol.work import Work, WorkKind
from tests.node.builders import PACKAGE, announcement

PRICE_MICRO_CAI = 10_000
TERMS = ModelTerms([PACKAGE], PRICE_MICRO_CAI, capacity=3)
TASK = dataclasses.replace(
    announcement(RankedMiner(bytes(20), 0)),
    model_id=PACKAGE.model_id,
    work=PACKAGE.default_work,
    price_micro_cai=PRICE_MICRO_CAI,
)


def test_the_default_image_at_its_price_is_served():
    assert TERMS.why_not(TASK) is None


@pytest.mark.parametrize(
    ("changes", "no"),
    [
        (
            {"model_id": bytes(32)},
            Decline(DeclineKind.NOT_HERE, "this miner does not serve the model"),
        ),
        (
            {"price_micro_cai": PRICE_MICRO_CAI - 1},
            Decline(DeclineKind.NOT_HERE, "the task pays less than this miner asks for"),
        ),
        (
            {"work": Work.image(WorkKind.TEXT_TO_IMAGE, 32, 33, 20)},
            Decline(DeclineKind.NOBODY, "cuckoo-icons draws 32x32, 64x64, not 32x33"),
        ),
        (
            {"work": Work(int(WorkKind.TEXT_TO_IMAGE), 20, b"nonsense")},
            Decline(DeclineKind.NOBODY, "the task's work makes no sense"),
        ),
    ],
)
def test_each_no(changes, no):
    assert TERMS.why_not(dataclasses.replace(TASK, **changes)) == no


@pytest.mark.parametrize(
    "work", [Work.image(WorkKind.TEXT_TO_IMAGE, 64, 64, PACKAGE.card.steps_max + 1), Work(77, 1, b"")]
)
def test_the_models_limits_are_what_nobody_does(work):
    decline = TERMS.why_not(dataclasses.replace(TASK, work=work))
    with pytest.raises(LimitExceeded) as caught:
        check_work(PACKAGE, work)
    assert decline == Decline(DeclineKind.NOBODY, caught.value.reason)


def test_offers_have_a_price_for_each_kind():
    price_wei = unit_price_wei(PRICE_MICRO_CAI, PACKAGE.default_work)
    works = tuple(WorkOffer(int(kind), (price_wei,), 250) for kind in PACKAGE.card.work_kinds)
    assert TERMS.models({PACKAGE.model_id: 250}) == (ModelOffer(PACKAGE.model_id, works),)
    assert TERMS.capacity == 3
