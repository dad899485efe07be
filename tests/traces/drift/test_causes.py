"""What programs told of around an onset is weighed beside versions, inputs and the unknown."""

import dataclasses
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tenants.context import tenant_atomic
from tests.factories.tenants import Cast
from tests.factories.traces import ingestor
from tests.traces.drift.cycles import HOUR
from tests.traces.drift.made import START, decisions, made_rows, record
from traces.drift import worker
from traces.drift.causes import Cause, Happening, rank
from traces.drift.frame import Frame, Row
from traces.drift.onset import Onset
from traces.drift.selectors import list_alerts
from traces.marks import services
from traces.marks.submissions import read_events

N, AT = 400, 300
ONSET = Onset(AT, AT - 5, AT + 5, None, "answers", 20.0)


def causes(happenings: list[Happening], pod: str = "", until: int = N) -> list[Cause]:
    """Rows change from AT to `until`, those of `pod` alone where one is named; every second one is of pod-1."""
    rows = [
        Row(dataclasses.replace(row.seen, versions={"instance": f"pod-{i % 2}"}), row.features)
        for i, row in enumerate(made_rows(N))
    ]
    changed = [AT <= i < until and (not pod or row.seen.versions["instance"] == pod) for i, row in enumerate(rows)]
    leaning = np.array(changed, dtype=float) + np.random.default_rng(1).normal(0, 0.3, N)
    return rank(Frame.of(rows), ONSET, leaning, {"asked": 0.5, "answered": 1e-9}, happenings)


def scores(found: list[Cause]) -> dict[str, float]:
    return {cause.text: cause.score for cause in found if cause.field == "event"}


def test_an_event_inside_the_interval_comes_before_the_unknown() -> None:
    found = causes([Happening("deployment", AT * HOUR), Happening("decoy", (AT - 120) * HOUR)])
    assert found[0].text == "deployment"
    assert found[0].score > 0.7
    assert scores(found)["decoy"] < 0.01
    assert next(cause for cause in found if cause.field == "upstream").rejected


def test_of_two_events_the_one_where_records_differ() -> None:
    found = causes([Happening(f"drain {pod}", AT * HOUR, instance=pod) for pod in ("pod-0", "pod-1")], pod="pod-1")
    assert found[0].text == "drain pod-1"
    assert "Records in it differ" in found[0].reasons[1]
    assert scores(found)["drain pod-0"] < 0.25


@pytest.mark.parametrize(("until", "explains"), [(AT + 50, True), (N, False)])
def test_an_incident_that_is_over_explains_only_what_is_over_too(until: int, *, explains: bool) -> None:
    (score,) = scores(causes([Happening("incident", AT * HOUR, (AT + 50) * HOUR)], until=until)).values()
    assert (score > 0.7) is explains


def told(cast: Cast, **changes: Any) -> None:
    event = {"kind": "infrastructure", "title": "new GPU nodes", "system": "loan-assistant"} | changes
    services.record_events(by=ingestor(cast), items=read_events(event)[0])


def test_an_alert_names_the_event_of_its_own_system(cast: Cast) -> None:
    made = decisions(310, change_at=270)
    for one in made:
        one["model"] = {"provider": "openai", "name": "gpt-5"}
    told(cast, occurred_at=(START + timedelta(hours=269, minutes=30)).isoformat())
    told(cast, occurred_at=(START + timedelta(hours=269)).isoformat(), system="another", title="theirs")
    record(cast, made)
    worker.look(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk):
        (shown,) = list_alerts()
    assert shown.alert.cause == "infrastructure: new GPU nodes"
    assert [cause["text"] for cause in shown.document["causes"] if cause["field"] == "event"] == [shown.alert.cause]
