"""Geometry of the charts: what is drawn is what was counted."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.costs.charts import PLOT_HEIGHT, TOP, Stack, burn_down, money, nice_step, stacked_bars

DAYS = [datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=n) for n in range(30)]
STACKS = [Stack("a", "A", "p0"), Stack("b", "B", "p1"), Stack(None, "All others", "p-rest")]


@given(st.integers(1, 10**15))
def test_an_axis_has_few_round_steps(value: int) -> None:
    step = nice_step(value)
    assert step * 5 >= value
    assert str(step).rstrip("0") in {"1", "2", "5"}
    assert step == 1 or step * 5 < value * 2.5 + 5


@given(st.lists(st.tuples(*[st.integers(0, 10**9)] * 3), min_size=1, max_size=30))
def test_bars_are_as_high_as_their_sums(costs: list[tuple[int, int, int]]) -> None:
    days = DAYS[: len(costs)]
    values = {
        (day, one.name): cost
        for day, row in zip(days, costs, strict=True)
        for one, cost in zip(STACKS, row, strict=True)
    }
    chart = stacked_bars(days, STACKS, values, "USD", "%-d %b")
    assert len(chart.segments) == sum(cost > 0 for row in costs for cost in row)
    assert all(one.y >= TOP - 0.01 and one.y + one.height <= TOP + PLOT_HEIGHT + 0.02 for one in chart.segments)
    highest = max(map(sum, costs))
    if highest:
        drawn = {x: sum(one.height for one in chart.segments if one.x == x) for x in {one.x for one in chart.segments}}
        assert max(drawn.values()) > PLOT_HEIGHT / 2 - 1


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0.00 USD"),
        (1, "0.000001 USD"),
        (450, "0.0004 USD"),
        (1_234_567_890, "1,234.57 USD"),
        (-2_000_000, "-2.00 USD"),
    ],
)
def test_money_says_something_at_every_size(micros: int, text: str) -> None:
    assert money(micros, "USD") == text


def test_a_budget_burns_from_its_limit_to_what_is_expected() -> None:
    chart = burn_down(DAYS, [10, 20, 30], limit=100, forecast=160, part_of_today=0.5, currency="USD")
    points = [tuple(map(float, point.split(","))) for point in chart.happened.split()]
    assert len(points) == 4
    assert points[0][1] == TOP
    assert points == sorted(points), "time goes on and money only goes down"
    assert chart.now_x == points[-1][0]
    assert float(chart.ahead.split()[-1].split(",")[1]) > chart.zero, "over the limit is under the line"
