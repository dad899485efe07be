"""Monetary-unit sampling against the published factors, and against its definition."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.sampling import SamplingError
from audits.sampling.evaluation import Units, evaluate_units, money
from audits.sampling.money import draw_units, interval_of, misstatement, planning_factor, start_of

# AICPA "Audit Sampling", confidence factors by the ratio of expected to tolerable misstatement, at 5 % risk.
FACTORS = {0: 3.00, 5: 3.31, 10: 3.68, 15: 4.11, 20: 4.63, 25: 5.24, 30: 6.00, 35: 6.92, 40: 8.09, 50: 11.54}


@pytest.mark.parametrize("ratio", FACTORS)
def test_planning_factors_reproduce_the_published_table(ratio: int) -> None:
    """The guide rounds up."""
    assert math.ceil(100 * planning_factor(ratio, 100) - 1e-4) / 100 == FACTORS[ratio]


def test_intervals() -> None:
    assert interval_of(0, 3_000_000) == 1_001_424  # 3 units of money over 2.9957
    for expected, tolerable in ((10, 10), (0, 0), (9_999, 10_000), (0, 1)):
        with pytest.raises(SamplingError):
            interval_of(expected, tolerable)


@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 200), st.binary(min_size=32, max_size=32))
def test_units_are_drawn_at_even_steps(amounts: list[int], interval: int, seed: bytes) -> None:
    start = start_of(seed, interval)
    assert 0 <= start < interval
    drawn = draw_units(list(enumerate(amounts)), interval, start)
    units = [index for index, amount in enumerate(amounts) if amount < interval for _ in range(amount)]
    assert drawn.systematic == units[start::interval]
    assert drawn.certain == [index for index, amount in enumerate(amounts) if amount >= interval]
    assert drawn.indexes == sorted(set(drawn.indexes))


def test_every_unit_has_the_same_chance() -> None:
    amounts = [(7, 3), (8, 0), (9, 5), (11, 1)]
    hits = [index for start in range(6) for index in draw_units(amounts, 6, start).systematic]
    assert {index: hits.count(index) for index, _ in amounts} == dict(amounts)


def test_the_upper_limit_without_a_misstatement_is_the_basic_precision() -> None:
    assert misstatement(1_000_000, [], 0).upper == 2_995_732


def test_taints_count_in_falling_order() -> None:
    """Interval 10,000, taints 40 % and 10 %, 500 found for certain: 29,957 + 0.4 · 17,481 + 0.1 · 15,519 + 500."""
    found = misstatement(10_000, [0.1, 0.4], 500)
    assert (found.known, found.projected) == (500, 5_500)
    assert found.upper == pytest.approx(29_957.3 + 0.4 * 17_481.3 + 0.1 * 15_519.3 + 500, abs=1)


def test_the_result_is_said_in_money() -> None:
    units = Units(interval=1_000_000, value=100_000_000, tolerable=3_000_000, currency="USD")
    clean = evaluate_units(40, [], 0, units)
    assert clean.is_acceptable
    assert clean.words == (
        "0 of 40 deviate; projected 0.000000 USD, upper misstatement limit 3.00 USD versus tolerable 3.00 USD"
    )
    wrong = evaluate_units(40, [2_500_000], 1, units)
    assert not wrong.is_acceptable
    assert (wrong.deviations, round(wrong.observed, 4)) == (2, 0.035)
    assert "projected 3.50 USD" in wrong.words
    assert money(420, "EUR") == "0.000420 EUR"
