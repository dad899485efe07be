"""The timeline: everything that happened in a window, over what decisions and instances did meanwhile."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.policies import a_document, put_in_force
from tests.factories.telemetry import Made, record_spans
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.tenants.test_pages import browser, text_of, url
from tests.traces.marks.test_api import an_event, post
from tests.traces.test_views import queries
from traces.costs.rollups import roll_up
from traces.marks.lanes import draw
from traces.marks.timeline import Bar, Happening, Window, happenings, instances, read_window, volume
from traces.selectors import FilterError

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def now() -> datetime:
    return datetime.now(UTC)


def week(**query: str) -> Window:
    return read_window(query, now())


def test_everything_that_happened_is_in_its_order(cast: Cast) -> None:
    put_in_force(cast, a_document())
    post(cast, an_event(occurred_at=(now() - timedelta(hours=2)).isoformat()))
    post(cast, an_event(external_id="i", kind="incident", title="Failover", instance="pod-2", system="",
                        occurred_at=(now() - timedelta(hours=1)).isoformat()))  # fmt: skip
    post(cast, an_event(external_id="old", title="Long ago", occurred_at="2020-01-01T00:00:00Z"))
    with tenant_atomic(cast.tenant.pk):
        found = happenings(week())
        other = happenings(week(instance="pod-1"))
    assert [one.kind for one in found] == ["deployment", "incident", "activation"]
    assert [one.kind for one in other] == ["deployment", "activation"]


def test_decisions_are_counted_with_those_that_a_policy_acted_on(cast: Cast) -> None:
    put_in_force(cast, a_document(limit=10))
    at = now().isoformat()
    submit(cast, 3, occurred_at=at, output="short", instance="pod-1")
    submit(cast, 2, occurred_at=now().isoformat(), output="longer than ten", instance="pod-2")
    roll_up(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk):
        bars = [sum(pair) for pair in zip(*((bar.n, bar.n_acted) for bar in volume(week()).values()), strict=True)]
        one = [(bar.n, bar.n_acted) for bar in volume(week(instance="pod-2")).values()]
        none = volume(week(system="another"))
    assert bars == [5, 2]
    assert [sum(pair) for pair in zip(*one, strict=True)] == [2, 2]
    assert none == {}


def test_instances_tell_failures_and_latency(cast: Cast) -> None:
    at = now() - timedelta(minutes=30)
    made = [Made(n, None, at, ms=n, instance="pod-1") for n in range(1, 101)]
    made += [Made(n, None, at, ms=5, instance="pod-2", is_failed=n % 2 == 0) for n in range(201, 211)]
    record_spans(cast, uuid.uuid4(), made)
    with tenant_atomic(cast.tenant.pk):
        worst, other = instances(week())
    assert (worst.name, worst.n, worst.n_failed) == ("pod-2", 10, 5)
    assert (other.p50_us, other.p95_us) == (50_000, 95_000)
    assert sum(failed for _, failed in worst.steps.values()) == 5


def test_the_page_says_in_words_what_the_picture_shows(cast: Cast, stranger: Cast) -> None:
    post(cast, an_event(occurred_at=(now() - timedelta(hours=2)).isoformat(), url="https://git.example.com/1"))
    record_spans(cast, uuid.uuid4(), [Made(1, None, now() - timedelta(hours=1), is_failed=True)])
    page = text_of(browser(cast.people[Role.VIEWER]).get(url(cast, "timeline")))
    for words in ("loan-assistant 2.5.0", "100.0 %", "pod-1", "https://git.example.com/1", ">D1<"):
        assert words in page, words
    assert "loan-assistant 2.5.0" not in text_of(browser(stranger.people[Role.VIEWER]).get(url(stranger, "timeline")))


def test_the_page_asks_as_many_questions_whatever_happened(cast: Cast) -> None:
    client, counts = browser(cast.people[Role.VIEWER]), []
    for n in (1, 30):
        at = (now() - timedelta(hours=2)).isoformat()
        post(cast, [an_event(external_id=f"{n}-{i}", occurred_at=at) for i in range(n)])
        record_spans(cast, uuid.uuid4(), [Made(i, None, now(), instance=f"pod-{i}") for i in range(1, n + 1)])
        counts.append(queries(lambda: client.get(url(cast, "timeline"))))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    "query", [{"since": "x"}, {"since": "2026-11-01", "until": "2026-10-01"}, {"since": "2020-01-01"}, {"system": "\0"}]
)
def test_a_window_that_is_none_is_explained(cast: Cast, query: dict[str, str]) -> None:
    with pytest.raises(FilterError):
        read_window(query, NOW)
    assert 'role="alert"' in text_of(browser(cast.people[Role.VIEWER]).get(url(cast, "timeline"), query))


@pytest.mark.parametrize("name", ["6h", "1d", "7d", "30d"])
def test_bars_are_few_enough_to_see(name: str) -> None:
    window = read_window({"window": name}, NOW)
    assert 5 <= len(window.buckets) <= 62
    assert window.since <= NOW < window.until


@pytest.mark.parametrize(
    ("name", "labels"),
    [("6h", ["07:00", "08:00", "09:00", "10:00", "11:00"]), ("7d", ["14 Nov", "15 Nov", "16 Nov", "17 Nov"])],
)
def test_lines_of_time_stand_at_whole_hours_and_days_and_none_is_left_out(name: str, labels: list[str]) -> None:
    window = read_window({"window": name}, datetime(2026, 11, 20, 12, 20, tzinfo=UTC))
    chart = draw(window, {}, [], [])
    told = [tick.label for tick in chart.ticks]
    assert told[: len(labels)] == labels
    widths = {round(b.x - a.x) for a, b in itertools.pairwise(chart.ticks)}
    assert max(widths) - min(widths) <= 1
    assert all(chart.left <= tick.x < chart.width - 40 for tick in chart.ticks)


def test_one_failure_in_thousands_is_still_seen_and_nothing_leaves_the_plot() -> None:
    window = read_window({}, NOW)
    at = window.buckets[-1]
    chart = draw(window, {at: Bar(100_000, 1)}, [], [Happening("incident", "Incident", "x", window.since, NOW)])
    (lane,) = chart.lanes
    assert lane.hatched[0].height >= 2
    assert lane.bars[0].x + lane.bars[0].width <= chart.width
    assert chart.flags[0].x + chart.flags[0].width <= chart.width
