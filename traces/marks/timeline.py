"""What goes onto the one timeline: everything that happened in a window, from where it is kept. Inside `tenant_atomic`.

Every read is bounded: by the window, and by a number of rows beyond which the page says that it shows a part.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q

from policies.models import PolicyActivation
from tenants.context import current_tenant_id
from tenants.ids import first_uuid_at
from traces.costs.rollups import minutes_from
from traces.marks.selectors import MarkFilter, marks
from traces.models import Deployment, Mark
from traces.models.drift import DriftAlert
from traces.selectors import FilterError, parse_moment

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WINDOWS = {"6h": 6 * HOUR, "1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
LONGEST = 92 * DAY
STEPS = tuple(timedelta(minutes=minutes) for minutes in (5, 10, 30, 60, 180, 360, 720, 1440, 4320))
MOST_BARS = 60
ROWS_READ = 200_000
MARKS_SHOWN, INSTANCES_SHOWN = 60, 8
LATE = DAY  # spans of a window that were received later are left out


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of time, and of what; `step` is the width of a bar."""

    since: datetime
    until: datetime
    step: timedelta
    system: str = ""
    instance: str = ""

    @property
    def buckets(self) -> list[datetime]:
        """The start of each bar."""
        count = -(-(self.until - self.since) // self.step)
        return [self.since + n * self.step for n in range(count)]


def read_window(query: Mapping[str, str], now: datetime) -> Window:
    """From URL parameters; a week without any. Raises `FilterError`."""
    texts = {name: (query.get(name) or "").strip() for name in ("since", "until", "window", "system", "instance")}
    if any("\0" in text for text in texts.values()):
        raise FilterError("Nothing is called U+0000.")
    until = parse_moment("until", texts["until"]) if texts["until"] else now + timedelta(minutes=1)
    length = WINDOWS.get(texts["window"], WINDOWS["7d"])
    since = parse_moment("since", texts["since"]) if texts["since"] else until - length
    if not timedelta(minutes=5) <= until - since <= LONGEST:
        raise FilterError(f"The window is at least five minutes and at most {LONGEST.days} days.")
    finest = STEPS[0] if since >= minutes_from(now) + timedelta(minutes=1) else HOUR
    step = next((one for one in STEPS if one >= finest and (until - since) / one <= MOST_BARS), STEPS[-1])
    start = datetime.fromtimestamp(since.timestamp() // step.total_seconds() * step.total_seconds(), tz=UTC)
    return Window(start, until, step, texts["system"], texts["instance"])


@dataclass(frozen=True, slots=True)
class Bar:
    """Of one step: how many decisions, and on how many of them a policy asked for something."""

    n: int
    n_acted: int


@dataclass(frozen=True, slots=True)
class Instance:
    """A service's instance in the window: by step, how many spans and how many failed; times in microseconds."""

    service: str
    name: str
    n: int
    n_failed: int
    p50_us: int
    p95_us: int
    steps: Mapping[datetime, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Happening:
    """A point or a stretch on the timeline. `kind`: a mark's, or activation, end, drift."""

    kind: str
    label: str
    title: str
    at: datetime
    ended_at: datetime | None = None
    where: str = ""
    detail: str = ""
    url: str = ""
    about: str = ""  # the policy's slug, or the alert's id: what the page links to


def happenings(window: Window) -> list[Happening]:
    """Marks, policies that began or ended to apply, changes of behaviour: oldest first, the newest `MARKS_SHOWN`."""
    found = [*_marks(window), *_activations(window), *_alerts(window)]
    return sorted(found, key=lambda one: one.at)[-MARKS_SHOWN:]


def _marks(window: Window) -> list[Happening]:
    rows = marks(MarkFilter(window.since, window.until, "", window.system, window.instance))[:MARKS_SHOWN]
    return [_of_mark(mark) for mark in rows]


def _of_mark(mark: Mark) -> Happening:
    where = " · ".join(part for part in (mark.system, mark.environment, mark.instance) if part)
    title = f"{mark.title} ({mark.version})" if mark.version and mark.version not in mark.title else mark.title
    return Happening(
        mark.kind, mark.get_kind_display(), title, mark.occurred_at, mark.ended_at, where, mark.detail, mark.url
    )


def _activations(window: Window) -> list[Happening]:
    span = (window.since, window.until)
    began, ended = Q(effective__startswith__range=span), Q(effective__endswith__range=span)
    rows = PolicyActivation.objects.filter(began | ended, cancelled_at=None).select_related("policy", "version")
    found = []
    for row in rows.order_by("-effective")[:MARKS_SHOWN]:
        title, slug = f"{row.policy.title}, version {row.version.number}", row.policy.slug
        mode = row.get_mode_display()
        if window.since <= row.effective.lower < window.until:
            detail = f"{mode}{', break glass' if row.is_break_glass else ''}. {row.reason}".strip()
            found.append(
                Happening("activation", "Policy in force", title, row.effective.lower, detail=detail, about=slug)
            )
        if row.effective.upper and window.since <= row.effective.upper < window.until:
            found.append(Happening("end", "Policy ended", title, row.effective.upper, detail=mode, about=slug))
    return found


def _alerts(window: Window) -> list[Happening]:
    rows = DriftAlert.objects.filter(supersedes_id=None, noticed_at__gte=window.since, noticed_at__lt=window.until)
    if window.system:
        rows = rows.filter(deployment__in=_deployments(window.system))
    found = rows.select_related("deployment").defer("document").order_by("-noticed_at")[:MARKS_SHOWN]
    return [
        Happening("drift", "Behaviour", alert.get_kind_display(), alert.noticed_at,
                  where=str(alert.deployment), detail=alert.cause.capitalize(), about=str(alert.pk))
        for alert in found
    ]  # fmt: skip


def _deployments(system: str) -> list[Any]:
    return list(Deployment.objects.filter(system=system).values_list("pk", flat=True))


_ROLLED = """
SELECT date_bin(%(step)s, bucket, %(since)s), sum(n) FROM traces_usagerollup
 WHERE tenant_id = %(tenant)s AND grain = %(grain)s AND bucket >= %(since)s AND bucket < %(until)s
   AND (%(all)s OR deployment_id = ANY(%(deployments)s)) GROUP BY 1
"""
_READ = """
SELECT date_bin(%(step)s, occurred_at, %(since)s), count(*) FROM (
    SELECT occurred_at FROM traces_decision
     WHERE tenant_id = %(tenant)s AND occurred_at >= %(since)s AND occurred_at < %(until)s
       AND instance = %(instance)s AND (%(all)s OR deployment_id = ANY(%(deployments)s))
     LIMIT %(most)s) AS read GROUP BY 1
"""
_ACTED = """
SELECT date_bin(%(step)s, occurred_at, %(since)s), count(*) FROM (
    SELECT occurred_at FROM traces_decision
     WHERE tenant_id = %(tenant)s AND action <> 'allow' AND occurred_at >= %(since)s AND occurred_at < %(until)s
       AND (%(instance)s = '' OR instance = %(instance)s)
       AND (%(all)s OR deployment_id = ANY(%(deployments)s)) LIMIT %(most)s) AS read GROUP BY 1
"""
_SPANS = """
SELECT service, instance, step, count(*), count(*) FILTER (WHERE status = 2),
       percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY duration_us), GROUPING(step)
  FROM (SELECT service, instance, date_bin(%(step)s, started_at, %(since)s) AS step, status, duration_us
          FROM traces_span
         WHERE tenant_id = %(tenant)s AND id >= %(first)s AND id < %(last)s
           AND started_at >= %(since)s AND started_at < %(until)s
           AND (%(instance)s = '' OR instance = %(instance)s) AND (%(system)s = '' OR service = %(system)s)
         LIMIT %(most)s) AS read
 GROUP BY GROUPING SETS ((service, instance), (service, instance, step))
"""


def _values(window: Window) -> dict[str, Any]:
    return {
        "tenant": current_tenant_id(),
        "step": window.step,
        "since": window.since,
        "until": window.until,
        "grain": 1 if window.step < HOUR else 2,
        "all": not window.system,
        "deployments": _deployments(window.system) if window.system else [],
        "system": window.system,
        "instance": window.instance,
        "first": first_uuid_at(window.since),
        "last": first_uuid_at(window.until + LATE),
        "most": ROWS_READ,
    }


def volume(window: Window) -> dict[datetime, Bar]:
    """Decisions of each step: counted from the rollups, or read where one instance is asked for."""
    values = _values(window)
    with connection.cursor() as cursor:
        cursor.execute(_READ if window.instance else _ROLLED, values)
        counted = {at: int(n) for at, n in cursor.fetchall()}
        cursor.execute(_ACTED, values)
        acted = {at: int(n) for at, n in cursor.fetchall()}
    return {at: Bar(max(counted.get(at, 0), acted.get(at, 0)), acted.get(at, 0)) for at in counted.keys() | acted}


def instances(window: Window) -> list[Instance]:
    """How the services' instances did, those with most failures first."""
    with connection.cursor() as cursor:
        cursor.execute(_SPANS, _values(window))
        rows = cursor.fetchall()
    steps: dict[tuple[str, str], dict[datetime, tuple[int, int]]] = {}
    for service, name, at, n, failed, _, is_whole in rows:
        if not is_whole:
            steps.setdefault((service, name), {})[at] = (n, failed)
    found = [
        Instance(service, name, n, failed, times[0], times[1], steps.get((service, name), {}))
        for service, name, _, n, failed, times, is_whole in rows
        if is_whole
    ]
    return sorted(found, key=lambda one: (-one.n_failed, -one.n, one.service, one.name))[:INSTANCES_SHOWN]
