"""Reads for traces, sessions and users. Inside `tenant_atomic`; a trace, session or user of nobody here is 404."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q, QuerySet, Sum
from django.http import Http404

from tenants.access import require
from tenants.actors import Actor
from traces.costs.budgets import DAY, midnight
from traces.models import FAILED, Decision, Deployment, ModelVersion, Span
from traces.models.cost import AnomalyKind, CostAnomaly, Grain, SubjectKind, SubjectRollup
from traces.rows import span_hex
from traces.selectors import Cursor
from traces.trees.tree import Node

MOST_NODES = 50_000  # of one trace; a larger one is shown in part, and says so
TURNS_SHOWN = 30  # decisions on a page of a session
READ_AT_ONCE = 1_000  # decisions of a user from which one page of sessions is made
DAYS_SHOWN = 60


def parse_key(text: str) -> uuid.UUID:
    """A trace id as 32 hex digits, or 404."""
    try:
        return uuid.UUID(hex=text)
    except ValueError:
        raise Http404("No such trace.") from None


@dataclass(frozen=True, slots=True)
class Trace:
    """What is known of a trace; partial: it has more spans than are shown."""

    trace_id: uuid.UUID
    nodes: list[Node]
    is_partial: bool


def get_trace(actor: Actor, trace_id: uuid.UUID) -> Trace:
    """Every span and decision of a trace, without content; 404 when there is none."""
    require(actor, "decision.read")
    nodes = _decision_nodes(trace_id) + _span_nodes(trace_id)
    if not nodes:
        raise Http404("No such trace.")
    return Trace(trace_id, nodes[:MOST_NODES], len(nodes) > MOST_NODES)


def _decision_nodes(trace_id: uuid.UUID) -> list[Node]:
    rows = list(
        Decision.objects.filter(trace_id=trace_id).values_list(
            "pk", "span_id", "parent_span_id", "deployment_id", "model_version_id", "agent", "instance", "occurred_at",
            "latency_ms", "input_tokens", "output_tokens", "cost_micros", "currency", "action", "verdict", "outcome",
        )[: MOST_NODES + 1]
    )  # fmt: skip
    deployments = Deployment.objects.in_bulk({row[3] for row in rows})
    models = ModelVersion.objects.in_bulk({row[4] for row in rows})
    return [_decision_node(row, deployments[row[3]], models[row[4]]) for row in rows]


def _decision_node(row: Sequence[Any], deployment: Deployment, model: ModelVersion) -> Node:
    pk, span_id, parent, _, _, agent, instance, at, latency, tokens_in, tokens_out, cost, currency = row[:13]
    action, verdict, outcome = row[13:]
    return Node(
        key=pk.hex,
        span_id=span_id,
        parent_span_id=parent,
        name=agent or deployment.task or deployment.system,
        sub=deployment.system if agent or deployment.task else deployment.environment,
        at=at,
        duration_us=(latency or 0) * 1000,
        is_failed=verdict == "error" or outcome == FAILED,
        decision=str(pk),
        action=action,
        model=model.name,
        tokens=(tokens_in or 0) + (tokens_out or 0) if tokens_in is not None or tokens_out is not None else None,
        cost_micros=cost,
        currency=currency or "",
        instance=instance,
    )


def _span_nodes(trace_id: uuid.UUID) -> list[Node]:
    rows = Span.objects.filter(trace_id=trace_id).values_list(
        "span_id", "parent_span_id", "name", "service", "started_at", "duration_us", "status", "instance"
    )[: MOST_NODES + 1]
    return [
        Node(
            span_hex(span_id), span_id, parent, name or "no name", service, at, duration, status == 2, instance=instance
        )
        for span_id, parent, name, service, at, duration, status, instance in rows
    ]


def get_span(actor: Actor, trace_id: uuid.UUID, key: str) -> Decision | Span:
    """What a line of the tree stands for: a decision by its id, a span by its own; or 404."""
    require(actor, "decision.read")
    try:
        number = int.from_bytes(bytes.fromhex(key), "big", signed=True) if len(key) == 16 else None
        identity = uuid.UUID(hex=key) if number is None else None
    except ValueError:
        raise Http404("No such span.") from None
    found: Decision | Span | None
    if identity is not None:
        rows = Decision.objects.select_related("deployment", "model_version", "source")
        found = rows.filter(trace_id=trace_id, pk=identity).first()
    else:
        found = Span.objects.filter(trace_id=trace_id, span_id=number or 0).first()
    if found is None:
        raise Http404("No such span.")
    return found


# --- Sessions and users --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Session:
    """A session as a whole. Sums are those of the rollups: complete some seconds after the last record."""

    name: str
    first_at: datetime
    last_at: datetime
    user: str
    n: int
    tokens: int
    costs: dict[str, int]  # by currency
    runaway: CostAnomaly | None

    @property
    def duration(self) -> timedelta:
        return self.last_at - self.first_at


def get_session(actor: Actor, name: str) -> Session:
    """One session, or 404."""
    require(actor, "decision.read")
    rows = of_session(name) if "\0" not in name else Decision.objects.none()
    first, last = rows.order_by("occurred_at", "id").first(), rows.order_by("-occurred_at", "-id").first()
    if first is None or last is None:
        raise Http404("No such session.")
    sums = _sums(SubjectKind.SESSION, name)
    anomaly = CostAnomaly.objects.filter(kind=AnomalyKind.RUNAWAY_SESSION, who=name).order_by("-noticed_at").first()
    costs = {row["currency"]: row["cost"] for row in sums if row["currency"]}
    n, tokens = (sum(row[name] or 0 for row in sums) for name in ("total", "tokens"))
    return Session(name, first.occurred_at, last.occurred_at, first.user, n, tokens, costs, anomaly)


def of_session(name: str) -> QuerySet[Decision]:
    """The decisions of a session; the second condition lets its partial index serve."""
    return Decision.objects.filter(~Q(session=""), session=name)


def _sums(kind: int, value: str) -> list[dict[str, Any]]:
    rows = SubjectRollup.objects.filter(kind=kind, grain=Grain.DAY, value=value).values("currency")
    cost = Sum(F("cost_micros") + F("restated_micros"))
    return list(rows.annotate(total=Sum("n"), tokens=Sum(F("input_tokens") + F("output_tokens")), cost=cost))


def turns_of(name: str, cursor: str) -> tuple[list[Decision], str]:
    """A page of a session's decisions, oldest first, and where the next begins. Raises `FilterError`."""
    rows = of_session(name).select_related("deployment", "model_version").order_by("occurred_at", "id")
    if cursor:
        place = Cursor.decode(cursor)
        beyond = Q(occurred_at__gt=place.occurred_at) | Q(occurred_at=place.occurred_at, id__gt=place.id)
        rows = rows.filter(beyond, occurred_at__gte=place.occurred_at)
    found = list(rows[: TURNS_SHOWN + 1])
    shown = found[:TURNS_SHOWN]
    more = len(found) > TURNS_SHOWN
    return shown, Cursor(shown[-1].occurred_at, shown[-1].pk).encode() if more else ""


@dataclass(frozen=True, slots=True)
class Stay:
    """A session of a user, as far as the page read."""

    name: str
    first_at: datetime
    last_at: datetime
    n: int
    systems: list[str]
    costs: dict[str, int]
    n_acted: int


@dataclass(frozen=True, slots=True)
class UserPage:
    """A user's sessions, the latest first; `older`: where the next page begins; `days`: (day, decisions) of late."""

    name: str
    stays: list[Stay]
    older: str
    days: list[tuple[datetime, int]]


def get_user_page(actor: Actor, name: str, cursor: str, now: datetime) -> UserPage:
    """One application user's sessions over time, or 404. Raises `FilterError` for a cursor that is not ours."""
    require(actor, "decision.read")
    rows = Decision.objects.filter(~Q(user=""), user=name).order_by("-occurred_at", "-id")
    if cursor:
        place = Cursor.decode(cursor)
        rows = rows.filter(Q(occurred_at__lt=place.occurred_at) | Q(occurred_at=place.occurred_at, id__lt=place.id))
    fields = ("pk", "session", "occurred_at", "deployment_id", "cost_micros", "currency", "action")
    found = [] if "\0" in name else list(rows.values(*fields)[: READ_AT_ONCE + 1])
    if not found:
        raise Http404("No such user.")
    shown = found[:READ_AT_ONCE]
    last = shown[-1]
    older = Cursor(last["occurred_at"], last["pk"]).encode() if len(found) > READ_AT_ONCE else ""
    return UserPage(name, _stays(shown), older, _days(name, now))


def _stays(rows: Sequence[dict[str, Any]]) -> list[Stay]:
    systems = dict(Deployment.objects.filter(pk__in={row["deployment_id"] for row in rows}).values_list("pk", "system"))
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["session"], []).append(row)
    return [_stay(name, group, systems) for name, group in groups.items()]


def _stay(name: str, group: Sequence[dict[str, Any]], systems: dict[uuid.UUID, str]) -> Stay:
    costs: dict[str, int] = {}
    for row in group:
        if row["cost_micros"] is not None:
            costs[row["currency"] or ""] = costs.get(row["currency"] or "", 0) + row["cost_micros"]
    where = sorted({systems[row["deployment_id"]] for row in group})
    acted = sum(row["action"] != "allow" for row in group)
    return Stay(name, group[-1]["occurred_at"], group[0]["occurred_at"], len(group), where, costs, acted)


def _days(name: str, now: datetime) -> list[tuple[datetime, int]]:
    start = midnight(now) - (DAYS_SHOWN - 1) * DAY
    rows = SubjectRollup.objects.filter(kind=SubjectKind.USER, grain=Grain.DAY, value=name, bucket__gte=start)
    counted = dict(rows.values_list("bucket").annotate(total=Sum("n")))
    return [(start + n * DAY, counted.get(start + n * DAY, 0)) for n in range(DAYS_SHOWN)]
