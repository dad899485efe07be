"""Sizes and limits against the published tables; selection against its definition."""

import hashlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.sampling import (
    SamplingError,
    Size,
    attribute_size,
    binomial_cdf,
    evaluate,
    rank,
    seed_of,
    select,
    upper_limit,
)

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


@given(st.binary(min_size=32, max_size=32), st.sets(st.integers(0, 2**40), max_size=60), st.integers(0, 70))
def test_selection_is_by_rank_and_does_not_depend_on_order(seed: bytes, population: set[int], n: int) -> None:
    chosen = select(seed, sorted(population), n)
    assert chosen == select(seed, sorted(population, reverse=True), n)
    assert chosen == sorted(population, key=lambda index: hashlib.sha256(seed + index.to_bytes(8, "big")).digest())[:n]
    rest = population - set(chosen)
    assert len(chosen) == min(n, len(population))
    assert not rest or not chosen or max(rank(seed, i) for i in chosen) < min(rank(seed, i) for i in rest)


def test_the_seed_is_of_the_root_and_the_case() -> None:
    case = uuid.UUID("0190a5d2-7b1e-7c3a-9f00-1234567890ab")
    assert seed_of(b"\1" * 32, case) == hashlib.sha256(b"\1" * 32 + case.bytes).digest()
    assert seed_of(b"\1" * 32, case) != seed_of(b"\2" * 32, case)
