"""The coordinator's engine and miners that do not come: passed over for a while, if this node is heard."""

from node.coordinator.actions import Publish
from node.coordinator.choice import FIRST_PASS_MS, PASS_MS_MAX, Experience
from protocol.messages import ChunkKind, PassedOver, TaskAnnouncement
from protocol.statement import open_statement
from tests.node.coordinator.desk import DOMAIN, MINERS, PARAMETERS, TERMS, Desk, Miner
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


def deaf_with_many_orders(orders=10):
    """A desk whose calls for many orders were heard by nobody, while it was deaf."""
    desk = Desk()
    desk.market.offered = {key.address: desk.market.offer(capacity=64) for key in MINERS}
    for number in range(orders):
        desk.place(number + 1)
    tasks = [open_statement(DOMAIN, action.data, TaskAnnouncement) for action in desk.of(Publish)]
    desk.tick(PARAMETERS.assigned_miners * TERMS.head_start_ms)
    return desk, tasks


def come(desk, task, rank):
    address = task.message.assigned[rank]
    Miner(desk, next(key for key in MINERS if key.address == address), rank, task).come()


def test_attack_a_stranger_makes_a_node_deaf_while_many_orders_are_live():
    """When it is heard again, honest miners are put aside once for it, and not once for each order."""
    desk, tasks = deaf_with_many_orders()
    for task in tasks:
        come(desk, task, 2)
    passed_ms = {key.address: desk.engine.experience.passed_until_ms(key.address) for key in MINERS}
    assert max(passed_ms.values()) <= desk.now_ms + FIRST_PASS_MS


def test_attack_orders_of_a_time_when_a_node_was_deaf_are_heard_one_by_one():
    desk, tasks = deaf_with_many_orders(2)
    first, second = tasks
    come(desk, first, 2)
    desk.now_ms += FIRST_PASS_MS
    come(desk, second, 2)
    passed_ms = {key.address: desk.engine.experience.passed_until_ms(key.address) for key in MINERS}
    assert max(passed_ms.values()) <= desk.now_ms + FIRST_PASS_MS
    blamed_before = set(first.message.assigned[:2])
    assert all(passed_ms[miner] <= desk.now_ms for miner in blamed_before)


def test_a_miner_that_comes_late_is_not_blamed_by_its_coming():
    desk = Desk()
    desk.place()
    desk.tick(2 * TERMS.head_start_ms)
    first, second = (desk.miner(rank) for rank in range(2))
    first.come()
    assert desk.engine.experience.passed_until_ms(first.key.address) == 0
    assert desk.engine.experience.passed_until_ms(second.key.address) == desk.now_ms + FIRST_PASS_MS


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


def test_an_absence_adds_nothing_to_a_time_that_it_lies_in():
    experience = Experience()
    experience.note_absence(b"miner", 0, 0)
    experience.note_absence(b"miner", FIRST_PASS_MS - 1, FIRST_PASS_MS - 1)
    experience.note_absence(b"miner", FIRST_PASS_MS - 1, 2 * FIRST_PASS_MS)
    assert experience.passed_until_ms(b"miner") == FIRST_PASS_MS
    experience.note_absence(b"miner", FIRST_PASS_MS, FIRST_PASS_MS)
    assert experience.passed_until_ms(b"miner") == 3 * FIRST_PASS_MS


def test_a_failure_counts_twice_as_long_each_time_and_an_hour_at_most():
    experience = Experience()
    times = []
    for _ in range(12):
        experience.note_failure(b"miner", 0)
        times.append(experience.passed_until_ms(b"miner"))
    assert times[:3] == [FIRST_PASS_MS, 2 * FIRST_PASS_MS, 4 * FIRST_PASS_MS]
    assert times[-1] == PASS_MS_MAX
