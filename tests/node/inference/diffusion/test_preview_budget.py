"""Previews get their share of the time and no more, whatever they cost."""

from node.inference.diffusion.preview_budget import PREVIEW_SHARE_MAX, PreviewBudget


def shown(steps, step_s, preview_s):
    """Which of `steps` previews, one asked for after each step, were made; and their share of the time."""
    now_s, made = 0.0, []

    def clock():
        return now_s

    budget = PreviewBudget(clock)
    for step in range(steps):
        now_s += step_s
        if budget.affordable():
            made.append(step)
            with budget:
                now_s += preview_s
    assert budget.dropped == steps - len(made)
    return made, len(made) * preview_s / now_s


def test_cheap_previews_all_come():
    assert shown(20, 1.0, 0.1)[0] == list(range(20))


def test_dear_previews_come_as_far_as_there_is_time():
    made, share = shown(100, 1.0, 1.0)
    assert made[0] == 0
    assert 15 <= len(made) <= 30
    assert share <= PREVIEW_SHARE_MAX + 0.02


def test_the_first_always_comes():
    assert shown(3, 0.001, 10.0)[0] == [0]
