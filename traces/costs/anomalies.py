"""Money that runs away: sessions that cost many times what sessions cost, identical requests, tasks that suddenly cost
more.

Sessions and tasks are found from the rollups, each against the deployment's own last week. What shows sooner in the
records themselves (a loop, identical requests) is told by `traces.drift.events`, and is given its price here. Each is
told once a day, and again when it has cost twice as much since.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db import connection
from django.db.models import Count, Exists, F, Min, OuterRef, Q, Sum

from tenants.context import tenant_atomic
from traces.costs import telling
from traces.costs.budgets import DAY, midnight
from traces.costs.repeats import repeated_requests
from traces.costs.spending import UsageQuery
from traces.drift.events import GROWING
from traces.models import Decision, DriftAlert, ModelVersion
from traces.models.cost import AnomalyKind, CostAnomaly, Grain, SubjectKind, SubjectRollup, UsageRollup
from traces.models.drift import DriftKind

REFERENCE = 7 * DAY
RECENT = timedelta(hours=24)
SESSION_CALLS = 12  # below this no session is called a runaway
SESSION_FACTOR = 2  # times what 99 of 100 sessions of a day stay below
SESSIONS_KNOWN = 50  # before that many are known, nothing is unusual
MOST_LOOPS = 50  # told in a day, that are looked up
TASK_FACTOR = 1.5
TASK_CALLS, TASK_CALLS_BEFORE, TASK_HOURS = 50, 100, 6
AGAIN = 2  # times what was lost when it was told last
HOURS_ABOVE = 0.75  # of the hours must show it: one burst is no shift
COST = F("cost_micros") + F("restated_micros")

_USUAL = """
SELECT deployment_id, count(*), percentile_disc(0.99) WITHIN GROUP (ORDER BY n),
       percentile_disc(0.99) WITHIN GROUP (ORDER BY cost_micros + restated_micros),
       percentile_disc(0.5) WITHIN GROUP (ORDER BY cost_micros + restated_micros)
  FROM traces_subjectrollup
 WHERE tenant_id = %s AND kind = 2 AND grain = 3 AND currency <> '' AND bucket >= %s AND bucket < %s
   AND deployment_id = ANY(%s)
 GROUP BY deployment_id
"""


@dataclass(frozen=True, slots=True)
class Usual:
    """What a day of a session is like in a deployment: how many are known, calls and cost of 99 in 100, median cost."""

    sessions: int
    calls: int
    cost: int
    median: int


NOTHING_KNOWN = Usual(0, 0, 0, 0)


def is_runaway(calls: int, cost: int, usual: Usual) -> bool:
    """Whether a session's day is far beyond what its deployment has seen."""
    if usual.sessions < SESSIONS_KNOWN or calls < SESSION_CALLS:
        return False
    return calls > SESSION_FACTOR * usual.calls or (usual.cost > 0 and cost > SESSION_FACTOR * usual.cost)


def cause_of_runaway(calls: int, usual: Usual, told: str) -> str:
    """Why a session is called one: how it went on, where the watch saw that, and what others are like."""
    known = f"; 99 of 100 sessions have at most {usual.calls:,}" if usual.sessions else ""
    loop = "an agent in a loop, the context growing with each call: " if GROWING in told else ""
    return f"{loop}{calls:,} calls today{known}"


def money_lost(cost: int, usual: int, times: int = 1) -> int:
    """What was paid beyond the usual: of a session its cost beyond a median one, of a shift the difference for each
    decision."""
    return max(cost - usual * times, 0)


@dataclass(frozen=True, slots=True)
class Pace:
    """A task's decisions in a time: number, cost, input tokens; and the cost of one in each hour that had any."""

    n: int
    cost: int
    input_tokens: int
    hourly: tuple[int, ...] = ()

    @property
    def each(self) -> int:
        return self.cost // self.n if self.n else 0


def is_shift(now: Pace, before: Pace) -> bool:
    """Whether one decision costs distinctly more than before, for most of the hours and not in one burst."""
    known = now.n >= TASK_CALLS and before.n >= TASK_CALLS_BEFORE and len(now.hourly) >= TASK_HOURS
    if not known or not before.each or now.each < TASK_FACTOR * before.each:
        return False
    above = sum(each > before.each * (1 + TASK_FACTOR) / 2 for each in now.hourly)
    return above >= HOURS_ABOVE * len(now.hourly)


def cause_of_shift(now: Pace, before: Pace, arrived: Sequence[str]) -> str:
    """What else changed: a model or prompt that came with it, or the length of the inputs; else nothing that we saw."""
    if arrived:
        return f"{', '.join(arrived[:3])} came with it"
    longer = (now.input_tokens / now.n) / max(before.input_tokens / before.n, 1)
    if longer >= 1 + (TASK_FACTOR - 1) / 2:
        return f"inputs are {longer:.1f} times as long"
    return "no change of model, prompt or input length came with it"


def recent_anomalies(wanted: UsageQuery, most: int = 5) -> list[CostAnomaly]:
    """The newest of a window, of the systems and tasks it is narrowed to, each by its last word."""
    rows = CostAnomaly.objects.filter(day__gte=midnight(wanted.since), day__lt=wanted.until)
    places = {name: wanted.narrow[name] for name in ("system", "environment", "task") if name in wanted.narrow}
    rows = rows.filter(**{f"deployment__{name}": value for name, value in places.items()})
    later = CostAnomaly.objects.filter(
        day=OuterRef("day"), kind=OuterRef("kind"), deployment=OuterRef("deployment"), who=OuterRef("who"),
        n__gt=OuterRef("n"),
    )  # fmt: skip
    rows = rows.exclude(Exists(later)).select_related("deployment")
    return list(rows.order_by("-noticed_at", "-lost_micros")[:most])


# --- Watching -------------------------------------------------------------------------------------------------------


def watch_costs(tenant_id: uuid.UUID, *, now: datetime | None = None) -> list[CostAnomaly]:
    """Look at today's sessions, the last day's tasks and what the watches of behaviour told; returns what is news."""
    moment = now or datetime.now(UTC)
    with tenant_atomic(tenant_id):
        repeats = repeated_requests(moment)
        loops = [one for one in _runaways(tenant_id, moment) if not any(run.explain(one) for run in repeats)]
        found = [*loops, *(run.anomaly for run in repeats), *_longer(moment), *_shifts(moment)]
        told: dict[tuple[Any, ...], int] = {}
        for one in CostAnomaly.objects.filter(day__gte=midnight(moment) - DAY):
            told[_key(one)] = max(told.get(_key(one), 0), one.lost_micros)
        fresh = [one for one in found if _is_news(one, told.get(_key(one)))]
        CostAnomaly.objects.bulk_create(fresh, ignore_conflicts=True)
        telling.tell_anomalies(fresh)
    return fresh


def _key(one: CostAnomaly) -> tuple[Any, ...]:
    return one.day, one.kind, one.deployment_id, one.who


def _is_news(one: CostAnomaly, told: int | None) -> bool:
    """What was not told yet, or has grown so much since that it is another matter."""
    return told is None or one.lost_micros >= AGAIN * max(told, 1)


def _runaways(tenant_id: uuid.UUID, now: datetime) -> list[CostAnomaly]:
    """Today's sessions far beyond the usual, and those that the watch told while they were at it."""
    today, told = midnight(now), _told_loops(now)
    rows = SubjectRollup.objects.filter(kind=SubjectKind.SESSION, grain=Grain.DAY, bucket=today).exclude(currency="")
    looked_at = Q(n__gte=SESSION_CALLS) | Q(value__in={session for _, session in told})
    busy = list(rows.filter(looked_at).annotate(cost=COST))
    usual = _usual(tenant_id, today, {row.deployment_id for row in busy})
    return [
        CostAnomaly(
            kind=AnomalyKind.RUNAWAY_SESSION,
            deployment_id=row.deployment_id,
            who=row.value,
            who_kind=SubjectKind.SESSION,
            day=today,
            noticed_at=now,
            n=row.n,
            currency=row.currency,
            cost_micros=row.cost,
            lost_micros=money_lost(row.cost, usual.get(row.deployment_id, NOTHING_KNOWN).median),
            cause=cause_of_runaway(
                row.n, usual.get(row.deployment_id, NOTHING_KNOWN), told.get((row.deployment_id, row.value), "")
            ),
        )
        for row in busy
        if (row.deployment_id, row.value) in told
        or is_runaway(row.n, row.cost, usual.get(row.deployment_id, NOTHING_KNOWN))
    ]


def _told_loops(now: datetime) -> dict[tuple[uuid.UUID, str], str]:
    """The sessions that the watch of behaviour told today, and what it said."""
    told = DriftAlert.objects.filter(kind=DriftKind.RUNAWAY, noticed_at__gte=midnight(now), noticed_at__lte=now)
    firsts = {orjson.loads(bytes(alert.document))["first"]: alert.cause for alert in told[:MOST_LOOPS]}
    decisions = Decision.objects.filter(pk__in=firsts).values_list("pk", "deployment_id", "session")
    return {(deployment_id, session): firsts[str(pk)] for pk, deployment_id, session in decisions}


def _usual(tenant_id: uuid.UUID, today: datetime, deployments: set[uuid.UUID]) -> dict[uuid.UUID, Usual]:
    if not deployments:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_USUAL, [tenant_id, today - REFERENCE, today, list(deployments)])
        return {row[0]: Usual(row[1], row[2], row[3], row[4]) for row in cursor.fetchall()}


def _longer(now: datetime) -> list[CostAnomaly]:
    """What the watch told of lengths today, where it costs more: the records that showed it, against the week before.
    What it costs from then on is found as a task that costs more."""
    told = DriftAlert.objects.filter(kind=DriftKind.LENGTHS, noticed_at__gte=midnight(now), noticed_at__lte=now)
    priced = [_priced_lengths(alert) for alert in told.order_by("noticed_at")[:MOST_LOOPS]]
    return [one for one in priced if one is not None]


def _priced_lengths(alert: DriftAlert) -> CostAnomaly | None:
    shown = Decision.objects.filter(
        deployment_id=alert.deployment_id, occurred_at__gte=alert.onset_at, occurred_at__lte=alert.noticed_at
    ).exclude(currency=None)
    found = shown.values("currency").annotate(total=Count("*"), cost=Sum("cost_micros")).order_by("-total").first()
    if found is None:
        return None
    hour = alert.onset_at.replace(minute=0, second=0, microsecond=0)
    before = UsageRollup.objects.filter(
        grain=Grain.HOUR, deployment_id=alert.deployment_id, currency=found["currency"],
        bucket__gte=hour - REFERENCE, bucket__lt=hour,
    ).aggregate(n=Sum("n", default=0), cost=Sum(COST, default=0))  # fmt: skip
    n, cost, usual = found["total"], int(found["cost"]), int(before["cost"]) // max(int(before["n"]), 1)
    lost = money_lost(cost, usual, n)
    if not before["n"] or not lost:
        return None
    return CostAnomaly(
        kind=AnomalyKind.LENGTHS,
        deployment_id=alert.deployment_id,
        day=midnight(alert.noticed_at),
        noticed_at=alert.noticed_at,
        n=n,
        currency=found["currency"],
        cost_micros=cost,
        lost_micros=lost,
        cause=alert.cause,
    )


def _shifts(now: datetime) -> list[CostAnomaly]:
    since = (now - RECENT).replace(minute=0, second=0, microsecond=0)
    hours = _hours(since - REFERENCE, now)
    found = []
    for (deployment_id, currency), lines in hours.items():
        recent, before = _pace(lines, since, now), _pace(lines, since - REFERENCE, since)
        if is_shift(recent, before):
            cause = cause_of_shift(recent, before, _arrived(deployment_id, since, now))
            found.append(
                CostAnomaly(
                    kind=AnomalyKind.TASK_COST,
                    deployment_id=deployment_id,
                    who="",
                    day=midnight(now),
                    noticed_at=now,
                    n=recent.n,
                    currency=currency,
                    cost_micros=recent.cost,
                    lost_micros=money_lost(recent.cost, before.each, recent.n),
                    cause=f"{recent.each / before.each:.1f} times the cost of one before; {cause}",
                )
            )
    return found


Hours = dict[datetime, Mapping[str, int]]


def _hours(since: datetime, until: datetime) -> dict[tuple[uuid.UUID, str], Hours]:
    rows = UsageRollup.objects.filter(grain=Grain.HOUR, bucket__gte=since, bucket__lt=until).exclude(currency="")
    grouped = rows.values("deployment_id", "currency", "bucket").annotate(
        total=Sum("n"), cost=Sum(COST), tokens=Sum("input_tokens")
    )
    hours: dict[tuple[uuid.UUID, str], Hours] = {}
    for row in grouped:
        line = {name: int(row[name]) for name in ("total", "cost", "tokens")}
        hours.setdefault((row["deployment_id"], row["currency"]), {})[row["bucket"]] = line
    return hours


def _pace(lines: Hours, since: datetime, until: datetime) -> Pace:
    mine = [line for at, line in lines.items() if since <= at < until and line["total"]]
    n, cost, tokens = (sum(line[name] for line in mine) for name in ("total", "cost", "tokens"))
    return Pace(n, cost, tokens, tuple(line["cost"] // line["total"] for line in mine))


def _arrived(deployment_id: uuid.UUID, since: datetime, now: datetime) -> list[str]:
    """Models and prompts that this deployment had not used in the reference week."""
    rows = UsageRollup.objects.filter(
        deployment_id=deployment_id, grain=Grain.HOUR, bucket__gte=since - REFERENCE, bucket__lt=now
    )
    firsts = rows.values("model_version_id").annotate(first=Min("bucket"), total=Sum("n")).order_by("-total")
    new = [row["model_version_id"] for row in firsts if row["first"] >= since]
    names: dict[uuid.UUID, Any] = ModelVersion.objects.in_bulk(new)
    return [_described(names[pk]) for pk in new]


def _described(model: ModelVersion) -> str:
    prompt = f"prompt {model.prompt_name} v{model.prompt_version}" if model.prompt_name else ""
    return " with ".join(part for part in (str(model), prompt) if part)
