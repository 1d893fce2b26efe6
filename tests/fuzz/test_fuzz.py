"""The fuzzer itself: every target takes its seeds, a few mutants harm none, and a bug would be heard of."""

import pytest

from p2p.gossip.actions import Count
from tests.fuzz import plain
from tests.fuzz.gossip import Besieged
from tests.fuzz.targets import RULES, Target, targets

TARGETS = targets()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_seeds_and_a_few_mutants_obey_the_law(target):
    for seed in target.seeds:
        target(seed)
    plain.run(target, 150, seed=1)


def test_every_rule_is_a_target_and_every_target_has_seeds():
    assert {f"validate {topic}" for topic in RULES} <= {target.name for target in TARGETS}
    assert all(target.seeds for target in TARGETS)
    assert len({target.name for target in TARGETS}) == len(TARGETS)


def test_a_router_among_enemies__stays_within_its_limits_and_cuts_them_off():
    world = Besieged(seed=2)
    for _ in range(3_000):
        world.step()
    world.check()
    counts = world.router.counts
    assert counts[Count.GRAYLISTED] > 20
    for count in (Count.ACCEPTED, Count.PROMISE_BROKEN, Count.GRAFT_IN_BACKOFF, Count.DROPPED_MALFORMED):
        assert counts[count] > 0, count


def test_a_bug_comes_with_its_input():
    def judge(data):
        if len(data) > 4:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        plain.run(Target("faulty", judge, (b"seed",)), 10_000, seed=1)
    assert caught.value.__notes__[0].startswith("faulty, seed 1, case ")


def test_the_same_seed_gives_the_same_mutants():
    def heard():
        inputs = []
        plain.run(Target("listener", inputs.append, (b"a seed", b"another")), 200, seed=5)
        return inputs

    assert heard() == heard()
    assert len(set(heard())) > 100
    assert max(map(len, heard())) <= plain.LENGTH_MAX
