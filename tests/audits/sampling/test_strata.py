"""Stratified samples: allocation, and a combined limit that holds."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.sampling import SamplingError, Size
from audits.sampling.evaluation import evaluate_strata
from audits.sampling.limits import confidence_factor
from audits.sampling.strata import Part, allocate, combined_limit, stratified_size, weighted_rate


def test_sizes_are_the_poissons() -> None:
    assert stratified_size(0, 0.05) == Size(60, 0)
    assert stratified_size(0.01, 0.05) == Size(95, 1)
    assert stratified_size(0, 0.05, 0.10) == Size(47, 0)


@pytest.mark.parametrize(("expected", "tolerable"), [(0.05, 0.05), (0, 0), (0.0499, 0.05)])
def test_rates_without_a_sample_are_refused(expected: float, tolerable: float) -> None:
    with pytest.raises(SamplingError):
        stratified_size(expected, tolerable)


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=12), st.integers(1, 300), st.integers(1, 20))
def test_allocation_is_proportional_rounded_up(populations: list[int], n: int, minimum: int) -> None:
    sizes, total = allocate(populations, n, minimum), sum(populations)
    for size, population in zip(sizes, populations, strict=True):
        exact = n * population / total
        assert size == population or size >= max(minimum, exact - 1e-9)
        assert size <= max(minimum, exact + 1)
    assert sum(sizes) >= min(n, total)


def test_equal_weights_give_the_poisson_limit() -> None:
    parts = [Part(600, 36, 1), Part(400, 24, 1)]
    assert combined_limit(parts) == pytest.approx(confidence_factor(2) / 60)
    assert weighted_rate(parts) == pytest.approx(2 / 60)


def test_a_planned_sample_without_deviations_is_acceptable() -> None:
    populations = [12_000, 900, 37]
    sizes = allocate(populations, stratified_size(0, 0.05).n, 5)
    parts = [Part(population, n, 0) for population, n in zip(populations, sizes, strict=True)]
    result = evaluate_strata(parts, 0.05)
    assert result.is_acceptable
    assert result.words.startswith(f"0 of {sum(sizes)} deviate, weighted rate 0.0%; upper deviation limit ")


def test_a_stratum_examined_whole_is_certain_and_an_open_one_counts_against() -> None:
    assert combined_limit([Part(50, 50, 3), Part(50, 50, 0)]) == 0.03
    assert combined_limit([Part(60, 0, 0), Part(40, 40, 0)]) == 0.6
    assert combined_limit([Part(900, 90, 0), Part(100, 100, 2)]) == pytest.approx(
        0.9 * confidence_factor(0) / 90 + 0.002
    )


def binomial(k: int, n: int, p: float) -> float:
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


@pytest.mark.parametrize("rates", [(0.02, 0.02), (0.1, 0.0), (0.01, 0.5)])
@pytest.mark.parametrize("shape", [((900, 20), (100, 20)), ((500, 30), (500, 10)), ((800, 8), (200, 40))])
def test_the_limit_holds_at_least_as_often_as_it_says(
    rates: tuple[float, float], shape: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    """Over every outcome there can be, the true rate is within the limit with probability 95 % or more."""
    (first, n), (second, m) = shape
    truth = (first * rates[0] + second * rates[1]) / (first + second)
    held = math.fsum(
        binomial(i, n, rates[0]) * binomial(j, m, rates[1])
        for i, j in itertools.product(range(n + 1), range(m + 1))
        if combined_limit([Part(first, n, i), Part(second, m, j)]) >= truth
    )
    assert held >= 0.95
