"""What so many trials say at most: one-sided bounds of 95 %."""

import math
import statistics

CONFIDENCE = 0.95
_HALVINGS = 200


def most(events, trials):
    """Clopper and Pearson's upper bound of a rate: `events` of `trials` were seen. With none, 3 / trials."""
    if events >= trials:
        return 1.0
    low, high = events / trials, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _at_most(events, trials, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def least(events, trials):
    """The lower bound of a rate."""
    return 1 - most(trials - events, trials)


def _at_most(events, trials, rate):
    """Chance of at most so many events."""
    logs = [
        math.lgamma(trials + 1)
        - math.lgamma(n + 1)
        - math.lgamma(trials - n + 1)
        + n * math.log(rate)
        + (trials - n) * math.log1p(-rate)
        for n in range(events + 1)
    ]
    return math.fsum(math.exp(value) for value in logs)


def log_normal_tail(values, bound):
    """Chance of more than `bound`, if logarithms of the values are normal with their mean and deviation."""
    logs = [math.log(value) for value in values if value > 0]
    if len(logs) < 2:
        return 0.0
    away = (math.log(bound) - statistics.fmean(logs)) / statistics.stdev(logs)
    return 0.5 * math.erfc(away / math.sqrt(2))
