"""The budget keeps its promise: of a tenant-month's alarms, few are false, however many deployments changed.

Simulated by the budget's own account: a deployment-month is worth `LOOKS_WORTH` independent looks, whose p is uniform
where nothing changed. What real looks are worth is measured on shuffled streams (`benchmarks.drift --shuffled`).
"""

import numpy as np
import pytest

from traces.drift.budget import BUDGET, LOOKS_WORTH, look_level

MONTHS = 600


def month(rng: np.random.Generator, n: int, changed: float, leak: float) -> tuple[int, int]:
    """(false, real) alarms; what was found real pays into the levels of the rest of the month, as in `worker`."""
    real = int(rng.binomial(n, changed))
    same = n - real
    false = found = 0
    for _ in range(int(LOOKS_WORTH)):
        level = min(1.0, look_level(n, found) * leak)
        false += int(rng.binomial(same, level))
        told = int(rng.binomial(real, 0.02))
        real, found = real - told, found + told
    return false, found


def rates(n: int, changed: float, leak: float = 1.0) -> tuple[float, float]:
    """The mean share of false alarms among all of a month (0 where there is none), and false alarms a month."""
    rng = np.random.default_rng(n)
    done = [month(rng, n, changed, leak) for _ in range(MONTHS)]
    shares = [false / max(false + real, 1) for false, real in done]
    return sum(shares) / MONTHS, sum(false for false, _ in done) / MONTHS


@pytest.mark.parametrize("n", [1, 5, 20, 100])
@pytest.mark.parametrize("changed", [0.0, 0.1, 0.5])
def test_the_false_discovery_rate_of_a_month_stays_below_the_budget(n: int, changed: float) -> None:
    share, false = rates(n, changed)
    assert share <= BUDGET
    assert changed or false <= BUDGET + 0.06  # three standard errors


def test_a_level_ten_times_as_high_breaks_it() -> None:
    assert rates(20, 0.0, leak=10.0)[0] > 2 * BUDGET
