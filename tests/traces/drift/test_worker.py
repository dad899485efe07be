"""From the write path to an alert, through the database: once, resumable, the same from scratch."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404

from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit_each
from tests.traces.drift.made import NEW, START, decisions, record
from traces.drift import services, worker
from traces.drift.buckets import Bucket
from traces.drift.budget import look_level, weight
from traces.drift.selectors import get_alert, list_alerts
from traces.drift.state import load
from traces.models import Baseline, Decision, Deployment, DriftAlert, DriftQueue, DriftWatch


def deployment_of(cast: Cast) -> uuid.UUID:
    with tenant_atomic(cast.tenant.pk):
        return Decision.objects.values_list("deployment_id", flat=True)[0]


def sums(cast: Cast) -> dict[tuple[Any, ...], bytes]:
    with tenant_atomic(cast.tenant.pk):
        rows = Baseline.objects.order_by("grain", "bucket")
        return {(r.grain, r.bucket, r.model_version_id, r.segment): bytes(r.sums) for r in rows}


def test_a_change_becomes_one_alert_with_its_cause(cast: Cast) -> None:
    record(cast, decisions(330, change_at=280))
    assert worker.look(cast.tenant.pk) == 330
    assert worker.look(cast.tenant.pk) == 0
    with tenant_atomic(cast.tenant.pk):
        (shown,) = list_alerts()
        assert not DriftQueue.objects.exists()
        noticed = LedgerEvent.objects.filter(tag="drift_alert.noticed").count()
    assert abs((shown.alert.onset_at - START) / timedelta(hours=1) - 280) <= 5
    assert shown.document["causes"][0]["field"] == "prompt"
    assert {"upstream", "input"} <= {cause["field"] for cause in shown.document["causes"]}
    assert any(word["before"] == 0 and word["text"].split()[0] in NEW.lower() for word in shown.document["words"])
    assert noticed == 1


def test_from_scratch_says_the_same(cast: Cast) -> None:
    record(cast, decisions(310, change_at=270))
    worker.look_at(cast.tenant.pk, deployment_of(cast), batch=70)
    before = sums(cast)
    with tenant_atomic(cast.tenant.pk):
        alerts, state = DriftAlert.objects.count(), bytes(DriftWatch.objects.get().state)
    worker.rebuild(cast.tenant.pk, deployment_of(cast))
    assert sums(cast) == before
    with tenant_atomic(cast.tenant.pk):
        assert DriftAlert.objects.count() == alerts == 1
        assert bytes(DriftWatch.objects.get().state) == state


def test_a_crash_before_commit_loses_and_repeats_nothing(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    record(cast, decisions(40, change_at=99))
    monkeypatch.setattr(worker, "_watch", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        worker.look(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk):
        assert DriftQueue.objects.count() == 40
        assert not Baseline.objects.exists()
    monkeypatch.undo()
    assert worker.look(cast.tenant.pk) == 40
    with tenant_atomic(cast.tenant.pk):
        assert sum(Baseline.objects.values_list("n", flat=True)) == 40


def test_a_late_decision_adds_to_its_own_time(cast: Cast) -> None:
    made = decisions(60, change_at=99)
    record(cast, made[:5] + made[6:])
    worker.look(cast.tenant.pk)
    record(cast, [made[5]])
    worker.look_at(cast.tenant.pk, deployment_of(cast))
    with tenant_atomic(cast.tenant.pk):
        watch = DriftWatch.objects.get()
        taken = worker.read(cast.tenant.pk, list(Decision.objects.values_list("pk", flat=True)))
        kept = [Bucket.decode(bytes(row.sums)) for row in Baseline.objects.all()]
    whole = Bucket()
    for bucket in kept:
        whole = whole.merge(bucket)
    assert (watch.n_seen, watch.n_late) == (59, 1)
    assert whole.encode() == Bucket.of([one.row for one in taken]).encode()


def test_few_decisions_wait_but_not_for_ever(cast: Cast) -> None:
    record(cast, decisions(3, change_at=99))
    assert worker.look(cast.tenant.pk) == 0
    assert worker.look(cast.tenant.pk, now=datetime.now(UTC) + worker.PATIENCE) == 3


def test_names_and_words_of_people_are_not_kept(cast: Cast) -> None:
    submit_each(cast, [a_decision(user="jane@example.org", session="jane-7", input="I am Jane Doe") for _ in range(12)])
    worker.look(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk):
        state = load(bytes(DriftWatch.objects.get().state))
    kept = [row.seen for row in state.waiting[""]] + [row.seen for row in state.whole.rows]
    assert len(kept) == 12
    assert not any("jane" in f"{seen}".lower() for seen in kept)


def an_alert(cast: Cast) -> uuid.UUID:
    record(cast, decisions(310, change_at=270))
    worker.look(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk):
        return list_alerts()[0].id


def test_an_expected_change_is_ledgered_and_starts_the_reference_anew(cast: Cast) -> None:
    pk = an_alert(cast)
    services.expect_change(by=cast.auditor, alert_id=pk, note="Prompt 15 went live.")
    with tenant_atomic(cast.tenant.pk):
        shown = get_alert(cast.auditor, pk)
        watch = load(bytes(DriftWatch.objects.get().state))
        assert LedgerEvent.objects.filter(tag="drift_alert.expected").count() == 1
    assert shown.state.standing == "expected"
    assert watch.alarm is None
    assert all(row.seen.at >= shown.alert.onset_at.timestamp() for row in watch.whole.rows)


def test_standing_needs_a_reason_a_permission_and_the_right_tenant(cast: Cast, stranger: Cast) -> None:
    pk = an_alert(cast)
    with pytest.raises(ValidationError, match="Say why"):
        services.expect_change(by=cast.auditor, alert_id=pk, note=" ")
    with pytest.raises(ValidationError, match="time to come"):
        services.mute_alert(by=cast.auditor, alert_id=pk, until=START, note="Known.")
    with pytest.raises(PermissionDenied):
        services.acknowledge_alert(by=cast.actors["viewer"], alert_id=pk)
    with pytest.raises(Http404):
        services.acknowledge_alert(by=stranger.auditor, alert_id=pk)


def test_what_goes_on_is_told_once_in_hours(cast: Cast) -> None:
    start = datetime(2026, 9, 1, tzinfo=UTC)
    again = [
        a_decision(
            occurred_at=(start + timedelta(hours=h, seconds=s)).isoformat(), input="Again?", user="u-1", session=None
        )
        for h in (0, 2, 9)
        for s in range(8)
    ]
    record(cast, again)
    worker.look(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk):
        told = list(DriftAlert.objects.order_by("noticed_at"))
    assert [(one.kind, one.noticed_at.hour) for one in told] == [("repeated_requests", 0), ("repeated_requests", 9)]


def test_many_deployments_share_one_budget(cast: Cast) -> None:
    record(cast, [a_decision(system=f"system-{i}") for i in range(12)])
    worker.look(cast.tenant.pk, now=datetime.now(UTC) + worker.PATIENCE)
    with tenant_atomic(cast.tenant.pk):
        levels = {load(bytes(row.state)).level for row in DriftWatch.objects.all()}
        ids = sorted(Deployment.objects.values_list("pk", flat=True))
        later = worker.Month.of(ids[3], datetime(2099, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC))
    assert levels == {look_level(weight(0, arrival)) for arrival in range(1, 13)}
    assert (later.known, later.arrival) == (12, 0)


def test_an_alarm_leaves_less_for_the_rest_of_the_month(cast: Cast) -> None:
    pk = an_alert(cast)
    with tenant_atomic(cast.tenant.pk):
        at = DriftAlert.objects.get(pk=pk).noticed_at
        level = load(bytes(DriftWatch.objects.get().state)).level
        next_month = worker.Month.of(deployment_of(cast), START.replace(month=10), START.replace(month=10))
    assert at.month == START.month == 9
    assert level == look_level(weight(0, 1, again=1), n_alarms=1) < next_month.level()
