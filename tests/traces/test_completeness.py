"""Skipped numbers are noticed, whatever the order of arrival, and forgotten when they come: against brute force."""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from tenants.context import tenant_atomic
from tenants.services import create_source
from tests.factories.tenants import Cast, make_cast
from tests.factories.traces import a_decision, submit_each
from traces import completeness
from traces.completeness import Missing, find_gaps, missing_between
from traces.models import SequenceGap, SequenceWatermark

NUMBERS = st.lists(st.integers(0, 60), max_size=40)


def spread(gaps: Iterable[Missing]) -> list[int]:
    return [number for gap in gaps for number in range(gap.first, gap.last + 1)]


@given(st.integers(-1, 60), NUMBERS)
def test_gaps_are_what_brute_force_says(checked_to: int, numbers: list[int]) -> None:
    numbers = sorted(numbers)
    top = max([checked_to, *numbers])
    assert spread(missing_between(checked_to, numbers)) == [
        number for number in range(checked_to + 1, top) if number not in numbers
    ]


@given(NUMBERS)
def test_gaps_are_as_few_as_they_can_be(numbers: list[int]) -> None:
    gaps = missing_between(-1, sorted(numbers))
    assert all(gap.first <= gap.last for gap in gaps)
    assert all(earlier.last + 1 < later.first for earlier, later in pairwise(gaps))


def arrive(cast: Cast, numbers: Iterable[int]) -> None:
    if batch := [a_decision(source_seq=number) for number in numbers]:
        submit_each(cast, batch)


def look(cast: Cast) -> None:
    """As often as there is something new to notice: a look goes through one chunk."""
    with tenant_atomic(cast.tenant.pk):
        marks = None
        while marks != (marks := list(SequenceWatermark.objects.values_list("checked_to", flat=True))):
            find_gaps()


def open_numbers(cast: Cast) -> list[int]:
    with tenant_atomic(cast.tenant.pk):
        rows = SequenceGap.objects.filter(filled_at=None).order_by("first_missing")
        return spread(Missing(row.first_missing, row.last_missing) for row in rows)


@pytest.mark.parametrize("chunk", [2, 10_000])
@given(batches=st.lists(st.lists(st.integers(100, 125), max_size=6, unique=True), min_size=1, max_size=5))
@effort(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_arrives_when_the_open_gaps_are_the_missing_numbers(chunk: int, batches: list[list[int]]) -> None:
    """A source may begin anywhere: what lies below the first number of the first look was never missing."""
    cast = make_cast()
    arrived: set[int] = set()
    start = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(completeness, "CHUNK", chunk)
        for batch in batches:
            arrive(cast, batch)
            arrived |= set(batch)
            start = min(arrived) if start is None and arrived else start
            look(cast)
            expected = [] if start is None else [n for n in range(start, max(arrived)) if n not in arrived]
            assert open_numbers(cast) == expected


def test_a_late_number_splits_its_gap_and_the_last_one_closes_it(cast: Cast) -> None:
    arrive(cast, [1, 6])
    look(cast)
    assert open_numbers(cast) == [2, 3, 4, 5]
    arrive(cast, [4])
    look(cast)
    assert open_numbers(cast) == [2, 3, 5]
    arrive(cast, [2, 3, 5])
    look(cast)
    assert open_numbers(cast) == []
    with tenant_atomic(cast.tenant.pk):
        assert SequenceGap.objects.exclude(filled_at=None).count() == 3


def test_looking_again_notices_nothing_twice(cast: Cast) -> None:
    arrive(cast, [1, 3])
    with tenant_atomic(cast.tenant.pk):
        assert [find_gaps(), find_gaps()] == [1, 0]
        assert SequenceGap.objects.count() == 1


def test_records_without_a_number_are_nobodys_gap(cast: Cast) -> None:
    submit_each(cast, [a_decision()])
    look(cast)
    with tenant_atomic(cast.tenant.pk):
        assert not SequenceWatermark.objects.exists()


def test_each_source_counts_for_itself_and_each_tenant_too(cast: Cast, stranger: Cast) -> None:
    create_source(by=cast.owner, name="silent")
    arrive(cast, [1, 3])
    arrive(stranger, [7, 8])
    moment = datetime(2026, 11, 25, tzinfo=UTC)
    with tenant_atomic(stranger.tenant.pk):
        assert find_gaps(moment) == 0
    with tenant_atomic(cast.tenant.pk):
        assert find_gaps(moment) == 1
        (gap,) = SequenceGap.objects.all()
        assert (gap.source_id, gap.noticed_at) == (cast.source.pk, moment)
