"""Sums that merge exactly: any order, any grouping, late or not."""

from functools import reduce

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.drift.made import made_rows
from traces.drift.buckets import Bucket, bin_of, value_of

ROWS = made_rows(60, seed=3, change_at=30)
WHOLE = Bucket.of(ROWS).encode()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=60, max_size=60), st.randoms(use_true_random=False))
def test_any_grouping_in_any_order_is_the_whole(groups: list[int], rng: object) -> None:
    parts = [Bucket.of([row for row, g in zip(ROWS, groups, strict=True) if g == wanted]) for wanted in range(5)]
    rng.shuffle(parts)  # type: ignore[attr-defined]
    assert reduce(Bucket.merge, parts).encode() == WHOLE
    left, right = parts[0].merge(parts[1]).merge(parts[2]), parts[0].merge(parts[1].merge(parts[2]))
    assert left.encode() == right.encode()


def test_a_late_record_is_a_record() -> None:
    late = Bucket.of(ROWS[:20] + ROWS[21:])
    late.add(ROWS[20])
    assert late.encode() == WHOLE


def test_bytes_come_back() -> None:
    back = Bucket.decode(WHOLE)
    assert back.encode() == WHOLE
    assert back.n == 60
    assert back.rate("trigger:x") == Bucket.of(ROWS).rate("trigger:x")
    assert 12 <= back.n_users() <= 28


@given(st.floats(1e-3, 1e9))
def test_a_bin_is_within_a_tenth(value: float) -> None:
    assert abs(value_of(bin_of(value)) / value - 1) < 0.1
    assert bin_of(-value) == -bin_of(value)


def test_the_median_is_near() -> None:
    values = sorted(row.seen.scalars["latency"] for row in ROWS)
    found = Bucket.of(ROWS).median("latency")
    assert found is not None
    assert abs(found / values[30] - 1) < 0.2
    assert Bucket().median("latency") is None
