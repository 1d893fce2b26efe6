"""The coordinator's engine and miners that do not come: passed over for a while, if this node is heard."""

from node.coordinator.actions import Publish
from node.coordinator.choice import FIRST_PASS_MS, PASS_MS_MAX, Experience
from protocol.messages import ChunkKind, PassedOver, TaskAnnouncement
from protocol.statement import open_statement
from tests.node.coordinator.desk import DOMAIN, MINERS, PARAMETERS, TERMS, Desk
from tests.node.coordinator.test_engine_restart import restarted


def until_somebody_works(desk, comes):
    """Time passes; those miners come at their time for whom `comes`."""
    task, came = desk.announced(), []
    for _ in range(60):
        for rank, address in enumerate(task.message.assigned):
            due_ms = task.message.announced_at_ms + rank * TERMS.head_start_ms
            if comes(address) and rank not in [one.rank for one in came] and desk.now_ms >= due_ms:
                miner = desk.miner(rank)
                miner.come()
                came.append(miner)
                if "INPUT" in miner.replies:
                    return miner
        desk.tick()
    raise AssertionError("nobody came")


def test_attack_an_assigned_miner_never_comes_and_is_drawn_again_and_again():
    desk = Desk()
    desk.place()
    absent = desk.announced().message.assigned[0]
    until_somebody_works(desk, lambda address: address != absent).deliver()
    for number in range(2, 8):
        desk.place(number)
        until_somebody_works(desk, lambda address: address != absent).deliver()
    tasks = [open_statement(DOMAIN, action.data, TaskAnnouncement) for action in desk.of(Publish)]
    drawn = [absent in task.message.assigned for task in tasks]
    assert drawn == [True] + [False] * 6
    passed = {place.miner: place.passed_over for place in desk.announced().message.ranking}
    assert passed.get(absent, PassedOver.EXPERIENCE) == PassedOver.EXPERIENCE


def test_attack_all_drawn_miners_never_come_and_the_next_order_meets_others():
    """Nobody came for the first task, so it might have been this node; others came for the second."""
    desk = Desk()
    desk.place()
    absent = set(desk.announced().message.assigned)
    while len(desk.of(Publish)) == 1:
        desk.tick()
    assert all(desk.engine.experience.passed_until_ms(miner) == 0 for miner in absent)
    until_somebody_works(desk, lambda address: address not in absent).deliver()
    assert all(desk.engine.experience.passed_until_ms(miner) > desk.now_ms for miner in absent)


def test_attack_a_miner_says_that_it_has_finished_so_that_others_stay_away_and_are_blamed():
    """Others that hear its commitment do not come, until they are called."""
    desk = Desk()
    desk.place()
    first, second, third = (desk.miner(rank) for rank in range(3))
    first.come()
    for units in range(1, 4):
        first.chunk(ChunkKind.PROGRESS, units)
        desk.tick(4_000)
    passed_until_ms = desk.engine.experience.passed_until_ms
    assert not any(passed_until_ms(one.key.address) for one in (first, second, third))
    first.lose()
    second.come()
    desk.tick(TERMS.head_start_ms)
    assert "INPUT" in second.replies
    assert passed_until_ms(first.key.address) > desk.now_ms
    assert passed_until_ms(second.key.address) == passed_until_ms(third.key.address) == 0


def test_attack_a_miner_does_not_come_when_the_one_before_it_is_lost():
    desk = Desk()
    desk.place()
    first, second = (desk.miner(rank) for rank in range(2))
    first.come()
    first.lose()
    for _ in range(2 * TERMS.head_start_ms // 100):
        assert desk.engine.experience.passed_until_ms(second.key.address) == 0
        desk.tick()
    assert desk.engine.experience.passed_until_ms(second.key.address) > desk.now_ms


def test_a_node_that_nobody_hears_blames_nobody():
    desk = Desk(miners=MINERS[:3])
    order_id = desk.place()
    while desk.finished(order_id) is None:
        desk.tick()
    assert len(desk.engine.experience) == 0


def test_a_miner_whose_time_was_before_a_restart_is_not_missed():
    desk = Desk()
    desk.place()
    desk.now_ms += 10
    again = restarted(desk)
    again.miner(2).come()
    again.tick(2 * TERMS.head_start_ms - 20)
    assert again.engine.experience.passed_until_ms(again.announced().message.assigned[0]) == 0


def test_experience_never_leaves_fewer_than_are_assigned():
    desk = Desk()
    for key in MINERS:
        for _ in range(20):
            desk.engine.experience.note_failure(key.address, desk.now_ms)
    desk.place()
    assert len(desk.announced().message.assigned) == PARAMETERS.assigned_miners


def test_a_failure_counts_twice_as_long_each_time_and_an_hour_at_most():
    experience = Experience()
    times = []
    for _ in range(12):
        experience.note_failure(b"miner", 0)
        times.append(experience.passed_until_ms(b"miner"))
    assert times[:3] == [FIRST_PASS_MS, 2 * FIRST_PASS_MS, 4 * FIRST_PASS_MS]
    assert times[-1] == PASS_MS_MAX
