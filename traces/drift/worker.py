"""Takes what is new into the baseline and past the watch; writes what was noticed.

How new decisions are found: the transaction that stores one also adds it to a queue, and the transaction that takes
it in takes it out, with everything that follows from it: sums, the watch's state, alerts. A worker killed anywhere
has done nothing or all of a batch. A decision that comes late adds to its own hour; the watch does not go back.
"""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby

from django.db import connection

from tenants import crypto
from tenants.context import tenant_atomic
from tenants.ids import uuid7_time
from traces.drift import alerting, words
from traces.drift.buckets import Bucket
from traces.drift.budget import look_level, weight
from traces.drift.frame import Row, rows_of
from traces.drift.observation import Observation, observe
from traces.drift.state import dump, load
from traces.drift.watch import Change, Watch
from traces.models import Decision, Deployment
from traces.models.drift import Baseline, BucketGrain, DriftAlert, DriftKind, DriftQueue, DriftWatch
from traces.selectors import members_of, read_contents

BATCH = 500
ENOUGH = 10  # decisions waiting that are worth a look …
PATIENCE = timedelta(minutes=5)  # … or how long fewer may wait
LATE = timedelta(hours=1)  # behind the newest: into the baseline only
LONG_AGO = datetime(1970, 1, 2, tzinfo=UTC)
CHANGES = (DriftKind.BEHAVIOUR, DriftKind.INPUT)  # what the budget is of; events have limits of their own
HOURS_KEPT = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class _Taken:
    """A decision beside its row of features."""

    decision: Decision
    row: Row


def look(tenant_id: uuid.UUID, *, now: datetime | None = None) -> int:
    """Take in what waits, deployment by deployment; returns how many decisions were taken in."""
    moment = now or datetime.now(UTC)
    with tenant_atomic(tenant_id):
        firsts = list(DriftQueue.objects.order_by("deployment_id", "occurred_at", "id").distinct("deployment_id"))
        waiting = {first.deployment_id: _waiting(first.deployment_id) for first in firsts}
    return sum(
        look_at(tenant_id, first.deployment_id)
        for first in firsts
        if waiting[first.deployment_id] >= ENOUGH or moment - uuid7_time(first.id) >= PATIENCE
    )


def _waiting(deployment_id: uuid.UUID) -> int:
    """How many decisions wait, counted no further than it matters."""
    return len(DriftQueue.objects.filter(deployment_id=deployment_id).values_list("id", flat=True)[:ENOUGH])


def look_at(tenant_id: uuid.UUID, deployment_id: uuid.UUID, *, batch: int = BATCH) -> int:
    """Take in all that waits of one deployment, a batch a transaction."""
    total = 0
    while True:
        with tenant_atomic(tenant_id):
            if not _lock(deployment_id):
                return total
            taken = _take(tenant_id, deployment_id, batch)
        total += taken
        if taken < batch:
            return total


def _lock(deployment_id: uuid.UUID) -> bool:
    """One worker a deployment: whoever comes second leaves, since the first is doing the work."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"drift {deployment_id}"])
        return bool(cursor.fetchone()[0])


def _take(tenant_id: uuid.UUID, deployment_id: uuid.UUID, batch: int) -> int:
    ids = list(
        DriftQueue.objects.filter(deployment_id=deployment_id)
        .order_by("occurred_at", "id")
        .values_list("id", flat=True)[:batch]
    )
    if not ids:
        return 0
    taken = read(tenant_id, ids)
    add_to_baseline(deployment_id, taken)
    _watch(tenant_id, deployment_id, taken)
    DriftQueue.objects.filter(id__in=ids).delete()
    return len(ids)


def read(tenant_id: uuid.UUID, ids: Sequence[uuid.UUID]) -> list[_Taken]:
    """Decisions as rows, in order of time. What was erased before we saw it teaches nothing."""
    decisions = {row.pk: row for row in Decision.objects.filter(pk__in=ids).select_related("model_version")}
    contents = read_contents(list(decisions))
    key = crypto.tenant_key(tenant_id)

    def hidden(name: str) -> str:
        return crypto.derive(key, "drift", name.encode())[:8].hex() if name else ""

    observations = []
    for pk, decision in decisions.items():
        if pk in contents:
            seen = _observed(decision, members_of(contents[pk]))
            observations.append(replace(seen, user=hidden(seen.user), session=hidden(seen.session)))
    return [_Taken(decisions[uuid.UUID(row.seen.id)], row) for row in rows_of(observations)]


def _observed(decision: Decision, members: Mapping[str, object]) -> Observation:
    cost = decision.cost_micros / 1e6 if decision.cost_micros is not None else None
    return observe(
        members,
        identity=str(decision.pk),
        at=decision.occurred_at.timestamp(),
        policy=bytes(decision.policy_set).hex()[:12],
        cost=cost,
    )


def add_to_baseline(deployment_id: uuid.UUID, taken: Sequence[_Taken]) -> None:
    """Add to the hour of each decision (to its day, when that hour is rolled up already)."""
    groups: dict[tuple[datetime, str, uuid.UUID, str], list[Row]] = defaultdict(list)
    for one in taken:
        hour = one.decision.occurred_at.replace(minute=0, second=0, microsecond=0)
        policy = one.row.seen.versions.get("policy", "")[:100]
        groups[(hour, one.row.seen.segment[:100], one.decision.model_version_id, policy)].append(one.row)
    newest = max((key[0] for key in groups), default=None)
    for (hour, segment, model, policy), rows in sorted(groups.items()):
        _merge_into(deployment_id, BucketGrain.HOUR, hour, (segment, model, policy), Bucket.of(rows))
    if newest is not None:
        roll_into_days(deployment_id, newest - HOURS_KEPT)


def _merge_into(
    deployment_id: uuid.UUID, grain: int, start: datetime, place: tuple[str, uuid.UUID, str], bucket: Bucket
) -> None:
    segment, model, policy = place
    key = {
        "deployment_id": deployment_id, "grain": grain, "bucket": start, "segment": segment,
        "model_version_id": model, "policy": policy, "feature_version": words.VECTOR_VERSION,
    }  # fmt: skip
    stored = Baseline.objects.filter(**key).values_list("sums", flat=True).first()
    if stored is None:
        Baseline.objects.create(**key, n=bucket.n, sums=bucket.encode())
        return
    merged = Bucket.decode(bytes(stored)).merge(bucket)
    Baseline.objects.filter(**key).update(n=merged.n, sums=merged.encode())


def roll_into_days(deployment_id: uuid.UUID, before: datetime) -> int:
    """Hours that began before this become part of their days; returns how many. Nothing is lost by it."""
    hours = Baseline.objects.filter(deployment_id=deployment_id, grain=BucketGrain.HOUR, bucket__lt=before)
    done = 0
    for row in hours.order_by("bucket"):
        day = row.bucket.replace(hour=0)
        place = (row.segment, row.model_version_id, row.policy)
        _merge_into(deployment_id, BucketGrain.DAY, day, place, Bucket.decode(bytes(row.sums)))
        done += 1
    hours.delete()
    return done


def _watch(tenant_id: uuid.UUID, deployment_id: uuid.UUID, taken: Sequence[_Taken]) -> None:
    stored = DriftWatch.objects.select_for_update().filter(pk=deployment_id).first()  # see services.expect_change
    watch = load(bytes(stored.state)) if stored else Watch(0.0)
    state = stored or DriftWatch(id=deployment_id, seen_to=LONG_AGO, n_seen=0, n_late=0)
    rows = [one.row for one in taken if one.decision.occurred_at >= state.seen_to - LATE]
    for month, some in groupby(rows, key=lambda row: _month(row.seen.at)):
        _watch_month(watch, state, Month.of(deployment_id, month, state.seen_to), list(some), tenant_id)
    state.state = dump(watch)
    state.n_seen += len(rows)
    state.n_late += len(taken) - len(rows)
    state.seen_to = max([state.seen_to, *(one.decision.occurred_at for one in taken)])
    state.updated_at = datetime.now(UTC)
    state.save(force_insert=stored is None, force_update=stored is not None)


def _watch_month(watch: Watch, state: DriftWatch, month: "Month", rows: Sequence[Row], tenant_id: uuid.UUID) -> None:
    watch.set_level(month.level())
    for row in rows:
        for signal in watch.take([row]):
            state.open_alert_id = alerting.write(tenant_id, state.pk, signal, state.open_alert_id, row.seen.at)
            if isinstance(signal, Change) and not signal.final:
                month = replace(month, again=month.again + 1, n_alarms=month.n_alarms + 1)
                watch.set_level(month.level())


def _month(at: float) -> datetime:
    """The beginning of the calendar month (UTC) of a moment."""
    return datetime.fromtimestamp(at, tz=UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Month:
    """A deployment's place in the tenant's budget of a month (`budget`), and how many alarms there were in it."""

    known: int
    arrival: int
    again: int
    n_alarms: int

    @classmethod
    def of(cls, deployment_id: uuid.UUID, month: datetime, seen_to: datetime) -> "Month":
        """As it stands after `seen_to`: alarms count by the records' time, so that a rebuild says the same."""
        began = uuid.UUID(int=int(month.timestamp() * 1000) << 80)  # below all ids made in the month or later
        new = Deployment.objects.filter(pk__gte=began)
        arrival = new.filter(pk__lte=deployment_id).count() if deployment_id >= began else 0
        told = DriftAlert.objects.filter(
            supersedes_id=None, kind__in=CHANGES, noticed_at__gte=month, noticed_at__lte=max(month, seen_to)
        )
        again = told.filter(deployment_id=deployment_id).count()
        return cls(Deployment.objects.filter(pk__lt=began).count(), arrival, again, told.count())

    def level(self) -> float:
        """Of a look."""
        return look_level(weight(self.known, self.arrival, self.again), self.n_alarms)


def rebuild(tenant_id: uuid.UUID, deployment_id: uuid.UUID) -> int:
    """Baseline and watch again from the decisions themselves; alerts that were written stay and are not repeated."""
    with tenant_atomic(tenant_id):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"drift {deployment_id}"])
            cursor.execute(
                "INSERT INTO traces_driftqueue (tenant_id, id, deployment_id, occurred_at)"
                " SELECT tenant_id, id, deployment_id, occurred_at"
                "  FROM traces_decision WHERE tenant_id = %s AND deployment_id = %s ON CONFLICT DO NOTHING",
                [tenant_id, deployment_id],
            )
        Baseline.objects.filter(deployment_id=deployment_id).delete()
        DriftWatch.objects.filter(pk=deployment_id).delete()
    return look_at(tenant_id, deployment_id)
