"""`/metrics`: what an operator is woken for, as Prometheus text.

The worker measures tenant after tenant (`config.tasks`), since only its login may go through all of them, and leaves
the result in Redis: so any web process gives the same answer, and a scrape asks no tenant's tables. What is measured is
what waits (queues counted up to a limit, their oldest row, heads without an anchor), never what is stored. How old the
measurement is, is a figure too: a dead worker shows.
"""

import hmac
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET
from redis.exceptions import RedisError

from tenants.context import tenant_atomic
from tenants.directory import tenant_ids
from tenants.ids import uuid7_time
from tenants.ledger import reader
from tenants.ledger.anchors import configured_sinks
from tenants.ledger.health import check_head
from tenants.ledger.telling import tell_broken
from tenants.limits import REFUSED
from tenants.models import AnchorState, LedgerAnchor, LedgerCheckpoint, Tenant
from traces.models import DriftQueue, MeaningQueue, RollupQueue, SearchQueue, SequenceGap
from traces.models.meaning import MeaningWork

COUNTED = reader.QUEUE_COUNTED  # rows of one tenant's queue that are counted; "this many or more" above
MEASURED, HEADS, LIMITED = "metrics:measured", "metrics:heads", REFUSED  # keys in the cache
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LOOPBACK = frozenset({"127.0.0.1", "::1"})
FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP")

Labels = tuple[tuple[str, str], ...]
Fold = Callable[[Iterable[float]], float]


@dataclass(frozen=True, slots=True)
class Metric:
    """A family: its kind in the exposition format, what it tells, and how tenants' figures become the instance's."""

    name: str
    kind: str
    text: str
    fold: Fold = sum


PER_TENANT = (
    Metric("affidavit_ledger_leaves_total", "counter", "Leaves in the logs: records and product events."),
    Metric("affidavit_ledger_queue_leaves", "gauge", f"Leaves waiting for the sequencer (at most {COUNTED} a tenant)."),
    Metric("affidavit_ledger_queue_oldest_seconds", "gauge", "Age of the leaf that waits longest for its place.", max),
    Metric("affidavit_ledger_unsigned_leaves", "gauge", "Leaves in a tree, past its newest signed head."),
    Metric("affidavit_ledger_unsigned_seconds", "gauge", "Age of the oldest leaf past a newest signed head.", max),
    Metric("affidavit_anchor_lag_seconds", "gauge", "Age of the oldest signed head that a sink does not hold.", max),
    Metric("affidavit_backlog_rows", "gauge", f"Rows that wait for background work (at most {COUNTED} a tenant)."),
    Metric("affidavit_backlog_oldest_seconds", "gauge", "Age of the record that waits longest for that work.", max),
    Metric("affidavit_sequence_gaps", "gauge", "Open gaps in the numbers of the sources: records that never came."),
)
OF_HEADS = (
    Metric("affidavit_ledger_heads_broken", "gauge", "Newest signed heads that the stored tree does not give."),
    Metric("affidavit_ledger_heads_checked", "gauge", "Newest signed heads that were compared with the stored tree."),
)
OF_THE_INSTANCE = (
    Metric("affidavit_info", "gauge", "Always 1; the version is in the label."),
    Metric("affidavit_mmd_seconds", "gauge", "The maximum merge delay that a receipt promises."),
    Metric("affidavit_database_up", "gauge", "Whether the database answers the web process."),
    Metric("affidavit_redis_up", "gauge", "Whether Redis answers the web process."),
    Metric("affidavit_clock_skew_seconds", "gauge", "The web process's clock less the database's."),
    Metric("affidavit_measured_age_seconds", "gauge", "Age of the worker's measurement, which most figures are of."),
    Metric("affidavit_heads_checked_age_seconds", "gauge", "Age of the last comparison of heads and trees."),
    Metric("affidavit_tenants", "gauge", "Tenants that were measured."),
    Metric("affidavit_requests_limited_total", "counter", "API requests refused because a limit was used up."),
)

Sample = tuple[str, Labels, float]


@dataclass(frozen=True, slots=True)
class TenantSamples:
    """One tenant's figures."""

    slug: str
    samples: Sequence[Sample]


def measure(now: datetime) -> int:
    """Measure every tenant and leave the result for whoever scrapes; returns how many tenants there are."""
    measured = [measure_tenant(tenant_id, now) for tenant_id in tenant_ids()]
    document = {
        "at": now.timestamp(),
        "tenants": len(measured),
        "samples": merged(measured, by_tenant=settings.AFFIDAVIT_METRICS_TENANTS),
    }
    cache.set(MEASURED, document, timeout=None)
    return len(measured)


def measure_heads(now: datetime) -> int:
    """Compare every tenant's newest head with its stored tree; returns how many do not hold."""
    checked = broken = 0
    for tenant_id in tenant_ids():
        with tenant_atomic(tenant_id):
            log = reader.log_of()
            if reader.latest_checkpoint(log.shard) is not None:
                checked += 1
                if not check_head(log).holds:
                    broken += 1
                    tell_broken(log, now)
    samples: list[Sample] = [
        ("affidavit_ledger_heads_broken", (), broken),
        ("affidavit_ledger_heads_checked", (), checked),
    ]
    cache.set(HEADS, {"at": now.timestamp(), "samples": samples}, timeout=None)
    return broken


def measure_tenant(tenant_id: uuid.UUID, now: datetime) -> TenantSamples:
    """One tenant's figures; the number of queries does not depend on what it stores."""
    with tenant_atomic(tenant_id):
        health = reader.health(tenant_id, now)
        samples: list[Sample] = [
            ("affidavit_ledger_leaves_total", (), health.log.size),
            ("affidavit_ledger_queue_leaves", (), health.queued),
            ("affidavit_ledger_queue_oldest_seconds", (), health.oldest_queued.total_seconds()),
            ("affidavit_ledger_unsigned_leaves", (), health.log.size - health.covered),
            ("affidavit_ledger_unsigned_seconds", (), health.unsigned.total_seconds()),
            ("affidavit_sequence_gaps", (), SequenceGap.objects.filter(filled_at=None)[:COUNTED].count()),
            *_anchor_lags(health.checkpoint, now),
        ]
        for name, rows in _backlogs().items():
            oldest = rows.order_by("id").values_list("id", flat=True).first()
            waited = (now - uuid7_time(oldest)).total_seconds() if oldest else 0.0
            samples.append(("affidavit_backlog_rows", (("work", name),), rows[:COUNTED].count()))
            samples.append(("affidavit_backlog_oldest_seconds", (("work", name),), waited))
        return TenantSamples(Tenant.objects.get(pk=tenant_id).slug, samples)


def _backlogs() -> dict[str, QuerySet[Any]]:
    """What waits for background work, by the work's name."""
    return {
        "rollup": RollupQueue.objects.all(),
        "drift": DriftQueue.objects.all(),
        "search": SearchQueue.objects.all(),
        "embedding": MeaningQueue.objects.filter(work=MeaningWork.EMBED),
    }


def _anchor_lags(newest: LedgerCheckpoint | None, now: datetime) -> list[Sample]:
    """For each configured sink, how long the first head that it lacks has been signed."""
    return [
        ("affidavit_anchor_lag_seconds", (("sink", sink.name),), _lag(newest, sink.name, now))
        for sink in configured_sinks()
    ]


def _lag(newest: LedgerCheckpoint | None, sink: str, now: datetime) -> float:
    if newest is None:
        return 0.0
    held = LedgerAnchor.objects.filter(sink=sink, shard=newest.shard, state=AnchorState.ANCHORED)
    size = held.order_by("-size").values_list("size", flat=True).first() or 0
    lacking = LedgerCheckpoint.objects.filter(shard=newest.shard, size__gt=size).order_by("size")
    signed_at = lacking.values_list("signed_at", flat=True).first()
    return (now - signed_at).total_seconds() if signed_at else 0.0


def merged(tenants: Iterable[TenantSamples], *, by_tenant: bool) -> list[Sample]:
    """The tenants' figures as the instance's: folded into one each, or side by side under the tenants' short names."""
    gathered: dict[tuple[str, Labels], list[float]] = {}
    for tenant in tenants:
        for name, labels, value in tenant.samples:
            key = (name, (*labels, ("tenant", tenant.slug)) if by_tenant else labels)
            gathered.setdefault(key, []).append(float(value))
    folds = {metric.name: metric.fold for metric in PER_TENANT}
    return [(name, labels, folds[name](values)) for (name, labels), values in gathered.items()]


def exposition(metrics: Iterable[Metric], samples: Iterable[Sample]) -> str:
    """Prometheus text format 0.0.4: each family's help and kind, then its samples."""
    lines: dict[str, list[str]] = {}
    for name, labels, value in samples:
        inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
        lines.setdefault(name, []).append(f"{name}{f'{{{inner}}}' if inner else ''} {value:.15g}")
    families = [
        (f"# HELP {one.name} {one.text}", f"# TYPE {one.name} {one.kind}", *lines.get(one.name, [])) for one in metrics
    ]
    return "".join(f"{line}\n" for family in families for line in family)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@require_GET
@login_not_required
def metrics(request: HttpRequest) -> HttpResponse:
    """The figures, to whoever has the token; without a token in the settings, to this machine alone."""
    if not _may_read(request.META):
        return HttpResponse("This address needs AFFIDAVIT_METRICS_TOKEN as a bearer token.\n", status=403)
    text = exposition((*OF_THE_INSTANCE, *PER_TENANT, *OF_HEADS), _samples(datetime.now(UTC)))
    return HttpResponse(text, content_type=CONTENT_TYPE)


def _may_read(meta: Mapping[str, Any]) -> bool:
    """A proxy on this machine is no reason to trust whom it forwards: then only the token opens."""
    if token := settings.AFFIDAVIT_METRICS_TOKEN:
        return hmac.compare_digest(str(meta.get("HTTP_AUTHORIZATION", "")).encode(), f"Bearer {token}".encode())
    return meta.get("REMOTE_ADDR") in LOOPBACK and not any(name in meta for name in FORWARDED)


def _samples(now: datetime) -> list[Sample]:
    """What this process sees itself, and what the worker measured (nothing of it while Redis is away)."""
    skew, database = _clock_skew()
    measured, redis = _measured()
    samples: list[Sample] = [
        ("affidavit_info", (("version", settings.VERSION),), 1),
        ("affidavit_mmd_seconds", (), settings.AFFIDAVIT_MMD_SECONDS),
        ("affidavit_database_up", (), database),
        ("affidavit_redis_up", (), redis),
    ]
    if database:
        samples.append(("affidavit_clock_skew_seconds", (), skew))
    if redis:
        samples.append(("affidavit_requests_limited_total", (), measured.get(LIMITED, 0)))
    if document := measured.get(MEASURED):
        samples.append(("affidavit_measured_age_seconds", (), now.timestamp() - document["at"]))
        samples.append(("affidavit_tenants", (), document["tenants"]))
        samples += document["samples"]
    if document := measured.get(HEADS):
        samples.append(("affidavit_heads_checked_age_seconds", (), now.timestamp() - document["at"]))
        samples += document["samples"]
    return samples


def _clock_skew() -> tuple[float, bool]:
    """Seconds that our clock is ahead of the database's (to within the round trip), and whether it answered."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            row = cursor.fetchone()
    except DatabaseError:
        return 0.0, False
    return ((datetime.now(UTC) - row[0]).total_seconds(), True) if row else (0.0, False)


def _measured() -> tuple[Mapping[str, Any], bool]:
    try:
        return cache.get_many((MEASURED, HEADS, LIMITED)), True
    except (RedisError, OSError):
        return {}, False
