"""Sizes and limits against the published tables, and against their definitions."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.sampling import SamplingError, Size, attribute_size, binomial_cdf, evaluate, upper_limit
from audits.sampling.limits import confidence_factor, discovery_size, none_met, undiscovered
from traces.drift.tails import gamma_tail

# AICPA Audit Guide "Audit Sampling", tables A-1 (5 %) and A-2 (10 %): expected, tolerable → size (acceptable)
AT_5 = [(0, 5, 59, 0), (0, 10, 29, 0), (0, 2, 149, 0), (1, 5, 93, 1), (2, 5, 181, 4), (1, 10, 46, 1)]
AT_10 = [(0, 5, 45, 0), (1, 5, 77, 1), (2, 5, 132, 3)]


@pytest.mark.parametrize(("risk", "row"), [*((0.05, row) for row in AT_5), *((0.10, row) for row in AT_10)], ids=str)
def test_sizes_reproduce_the_published_table(risk: float, row: tuple[int, int, int, int]) -> None:
    expected, tolerable, n, acceptable = row
    assert attribute_size(expected / 100, tolerable / 100, risk) == Size(n, acceptable)


@pytest.mark.parametrize(("n", "k", "percent"), [(60, 0, 4.9), (60, 1, 7.7), (100, 5, 10.2), (93, 1, 5.0)])
def test_limits_reproduce_clopper_pearson(n: int, k: int, percent: float) -> None:
    assert round(100 * upper_limit(k, n), 1) == percent


def test_the_result_is_said_as_an_auditor_says_it() -> None:
    result = evaluate(1, 93, 0.05)
    assert result.is_acceptable
    assert result.words == "1 of 93 deviate; upper deviation limit 5.0% versus tolerable 5.0%"
    assert not evaluate(2, 93, 0.05).is_acceptable


@pytest.mark.parametrize(("expected", "tolerable"), [(0.05, 0.05), (0.06, 0.05), (0, 0), (0, 1), (0.0499, 0.05)])
def test_rates_without_a_sample_are_refused(expected: float, tolerable: float) -> None:
    with pytest.raises(SamplingError):
        attribute_size(expected, tolerable)


@given(st.integers(1, 400), st.data())
def test_the_limit_is_where_so_few_deviations_become_unlikely(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n - 1))
    limit = upper_limit(k, n)
    assert k / n < limit <= 1
    assert binomial_cdf(k, n, limit) == pytest.approx(0.05, abs=1e-6)


@given(st.integers(0, 3), st.integers(2, 20))
def test_a_planned_sample_suffices_and_one_fewer_does_not(expected: int, spread: int) -> None:
    tolerable = (expected + spread) / 100
    size = attribute_size(expected / 100, tolerable)
    assert evaluate(size.acceptable, size.n, tolerable).is_acceptable
    assert binomial_cdf(size.acceptable, size.n - 1, tolerable) > 0.05 or size.n - 1 < size.acceptable + 1


# AICPA "Audit Sampling", confidence factors at 5 and 10 % risk, for 0, 1, 2 … misstatements.
@pytest.mark.parametrize(
    ("risk", "factors"), [(0.05, [3.00, 4.75, 6.30, 7.76, 9.16, 10.52]), (0.10, [2.31, 3.89, 5.33, 6.69])]
)
def test_confidence_factors_reproduce_the_published_table(risk: float, factors: list[float]) -> None:
    """The guide rounds up."""
    assert [math.ceil(100 * confidence_factor(k, risk) - 1e-6) / 100 for k in range(len(factors))] == factors


@given(st.integers(0, 30), st.floats(0.01, 60))
def test_the_gamma_tail_is_the_poissons_sum(k: int, mean: float) -> None:
    poisson = math.fsum(math.exp(i * math.log(mean) - mean - math.lgamma(i + 1)) for i in range(k + 1))
    assert gamma_tail(k + 1, mean) == pytest.approx(poisson, rel=1e-9)


@pytest.mark.parametrize(("rate", "population", "n"), [(0.01, 10**6, 299), (0.05, 10**6, 59), (0.01, 1_000, 258)])
def test_discovery_sizes(rate: float, population: int, n: int) -> None:
    """In a large population the binomial's; in a small one fewer: 258 of 1,000 miss all ten in 1 of 20 cases."""
    assert discovery_size(rate, population) == Size(n, 0)


@given(st.integers(1, 400), st.floats(0.002, 0.9))
def test_a_discovery_sample_suffices_and_one_fewer_does_not(population: int, rate: float) -> None:
    n, deviating = discovery_size(rate, population).n, math.ceil(rate * population - 1e-9)
    exact = [math.comb(population - deviating, m) / math.comb(population, m) for m in (n - 1, n)]
    assert none_met(n, deviating, population) == pytest.approx(exact[1], abs=1e-9)
    assert exact[1] <= 0.05 + 1e-9 or n == population
    assert n == 1 or exact[0] > 0.05 - 1e-9
    assert undiscovered(n, population) < deviating
