"""The budget keeps its promise: of a tenant-month's alarms few are false, whatever hangs together with what.

What real looks are worth (`LOOKS_WORTH`) is measured on shuffled streams: `benchmarks.drift --shuffled`.
"""

import numpy as np
import pytest

from traces.drift.budget import BUDGET, FIRST, KAPPA, KNOWN, LOOKS_WORTH, MAX_SHARE, look_level, month_level, weight

MONTHS = 4_000


def share_of_false(n: int, changed: float, alike: float, leak: float = 1.0) -> float:
    """The mean share of false alarms among a month's; `alike` is the chance that all unchanged ones have one p."""
    rng = np.random.default_rng(n)
    found = 0.0
    for _ in range(MONTHS):
        is_real = rng.random(n) < changed
        p = np.where(rng.random() < alike, np.full(n, rng.random()), rng.random(n))
        p[is_real] = 0.0
        false = alarms = 0
        for place in np.argsort(~is_real, kind="stable"):  # the real ones first: what raises the levels most
            if p[place] <= leak * month_level(weight(n), alarms):
                alarms, false = alarms + 1, false + (not is_real[place])
        found += false / max(alarms, 1)
    return found / MONTHS


@pytest.mark.parametrize("n", [1, 5, 40])
@pytest.mark.parametrize("changed", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("alike", [0.0, 1.0])
def test_the_false_discovery_rate_of_a_month_stays_below_the_budget(n: int, changed: float, alike: float) -> None:
    assert share_of_false(n, changed, alike) <= BUDGET


def test_levels_ten_times_as_high_break_it() -> None:
    assert share_of_false(5, 0.0, 0.0, leak=10.0) > BUDGET


def test_all_weights_of_a_month_are_at_most_one() -> None:
    every = [weight(30, again=again) for again in range(50)] * 30
    every += [weight(30, arrival, again) for arrival in range(1, 2000) for again in range(20)]
    assert 0.99 < sum(every) <= 1


def test_the_published_rules_by_hand() -> None:
    assert weight(4) == KNOWN * FIRST / 4
    assert month_level(0.01) == pytest.approx(0.001)  # Bonferroni: half of 0.2, times the weight
    alarms = 99  # e-LOND: reject where e ≥ 1/(0.1 · 0.01 · 100) = 10, so where 0.1 · p^-0.9 ≥ 10
    assert KAPPA * month_level(0.01, alarms) ** (KAPPA - 1) == pytest.approx(10)
    assert month_level(0.01, alarms) == pytest.approx(0.005995, rel=1e-3)


def test_the_calibrator_makes_e_values() -> None:
    p = (np.arange(2_000_000) + 0.5) / 2_000_000
    assert 0.7 < float((KAPPA * p ** (KAPPA - 1)).mean()) <= 1  # the tail beyond the grid is the rest


def test_few_deployments_have_the_largest_share_and_many_share() -> None:
    assert look_level(weight(1)) == look_level(weight(5)) == MAX_SHARE / LOOKS_WORTH
    assert look_level(weight(100)) < look_level(weight(20))
    assert look_level(weight(100), n_alarms=90) > look_level(weight(100))
    assert look_level(weight(20, arrival=3)) > look_level(weight(20, arrival=4)) > look_level(weight(20, 4, again=1))
