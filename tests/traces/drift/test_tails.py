"""Tail probabilities against counting, by brute force, on small numbers."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.drift.tails import (
    binomial_tail,
    fisher_p,
    gamma_tail,
    largest_p,
    moments,
    normal_tail,
    pearson_tail,
    permutation_p,
)


def fisher_by_counting(a: int, n: int, b: int, m: int) -> float:
    hits, ways = a + b, math.comb(n + m, n)
    chance = {
        k: Fraction(math.comb(hits, k) * math.comb(n + m - hits, n - k), ways)
        for k in range(max(0, hits - m), min(hits, n) + 1)
    }
    return float(sum(value for value in chance.values() if value <= chance[a]))


@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_fisher_is_exact(n: int, m: int, data: st.DataObject) -> None:
    a, b = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    assert fisher_p(a, n, b, m) == pytest.approx(fisher_by_counting(a, n, b, m), abs=1e-9)


@given(st.integers(0, 20), st.integers(1, 20), st.floats(0.01, 0.99))
def test_binomial_is_exact(hits: int, n: int, p: float) -> None:
    counted = sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(hits, n + 1))
    assert binomial_tail(hits, n, p) == pytest.approx(counted, abs=1e-12)


@given(st.integers(1, 30), st.floats(0.05, 80))
def test_gamma_of_whole_shape_is_a_poisson_sum(shape: int, x: float) -> None:
    counted = math.fsum(math.exp(k * math.log(x) - x - math.lgamma(k + 1)) for k in range(shape))
    assert gamma_tail(float(shape), x) == pytest.approx(counted, rel=1e-9, abs=1e-300)


def test_pearson_is_chi_square_where_the_moments_are_its() -> None:
    # Chi-square with 4 degrees of freedom: mean 4, variance 8, skewness √2; P(X ≥ 13.2767) = 0.01.
    assert pearson_tail(13.2767, 4, math.sqrt(8), math.sqrt(2)) == pytest.approx(0.01, rel=1e-4)
    assert pearson_tail(3, 0, 1, 0) == normal_tail(3)


def test_permutation_p_counts_while_it_can_and_extrapolates_beyond() -> None:
    sample = np.random.default_rng(1).standard_normal(999)
    assert permutation_p(0.0, sample) == pytest.approx((1 + (sample >= 0).sum()) / 1000)
    far = permutation_p(5.0, sample)
    assert 1e-9 < far < 1e-4
    assert moments(np.ones(5)) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("heavy", [False, True])
def test_the_tail_of_a_largest_score_is_told_from_few_shuffles(heavy: bool) -> None:
    """Within a decade of what 100,000 draws count at p 1e-4."""
    rng = np.random.default_rng(3)
    draws = (rng.standard_gamma(9, (100_000, 12)) - 9) / 3 if heavy else rng.standard_normal((100_000, 12))
    largest = draws.max(axis=1)
    rare = float(np.quantile(largest, 1 - 1e-4))
    told = [math.log10(largest_p(rare, largest[start : start + 700]) / 1e-4) for start in range(0, 70_000, 700)]
    assert abs(np.mean(told)) < 0.6
    assert np.mean(np.abs(told) < 1) > 0.85


def test_the_largest_score_is_counted_while_shuffles_reach_it() -> None:
    sample = np.random.default_rng(1).standard_normal(999)
    assert largest_p(0.0, sample) == permutation_p(0.0, sample)
    assert largest_p(50.0, sample) < 1e-12
    assert largest_p(1.0, np.zeros(99)) == permutation_p(1.0, np.zeros(99))
