"""What identical requests cost, and why they came: the runs that the watch of behaviour told, priced.

`traces.drift.events` tells a run after a few requests, by content; what it grew to is read from the decisions of that
one user since, up to the first pause. Nothing here is read for a page.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import orjson
from django.db.models import Q, QuerySet

from traces.costs.budgets import DAY, midnight
from traces.drift.events import REPEAT_SECONDS
from traces.models import Decision, DriftAlert
from traces.models.cost import AnomalyKind, CostAnomaly, SubjectKind
from traces.models.decision import FAILED
from traces.models.drift import DriftKind

MOST = 10_000  # requests of one run that are added up
MOST_RUNS = 50  # that are priced at a time, the newest
MANY_FAILED = 0.5


class Call(NamedTuple):
    """One of the requests: when, at what cost (none: no price is known), and whether it failed."""

    at: datetime
    cost: int | None
    currency: str
    failed: bool
    session: str = ""


@dataclass(frozen=True, slots=True)
class Repeats:
    """A priced run, and how many of its requests each session made."""

    anomaly: CostAnomaly
    by_session: Counter[str]

    def explain(self, session: CostAnomaly) -> bool:
        """Whether a session that ran away did so by this: its money is lost once."""
        here = session.deployment_id == self.anomaly.deployment_id
        return here and 2 * self.by_session[session.who] > session.n


def until_a_pause(calls: Sequence[Call]) -> Sequence[Call]:
    """The run: requests in order of time, up to the first pause that ends it."""
    for place in range(1, len(calls)):
        if (calls[place].at - calls[place - 1].at).total_seconds() > REPEAT_SECONDS:
            return calls[:place]
    return calls


def spent(calls: Sequence[Call]) -> tuple[str, int, int]:
    """Currency, cost, and what was lost: all but the first that was paid for."""
    currency = next((one.currency for one in calls if one.currency), "")
    costs = [one.cost for one in calls if one.cost is not None and one.currency == currency]
    return currency, sum(costs), sum(costs[1:])


def cause_of(calls: Sequence[Call]) -> str:
    """What asks again, by what it got: a client that was answered and asks all the same, or one that retries."""
    gaps = [(later.at - one.at).total_seconds() for one, later in pairwise(calls)]
    n_failed = sum(one.failed for one in calls)
    apart = f"{len(calls):,} identical requests, {median(gaps) if gaps else 0:.0f} s apart"
    if n_failed >= MANY_FAILED * len(calls):
        return f"a client retries what fails: {apart}; {n_failed:,} of them failed"
    return f"a client asks again although it was answered: {apart}"


def repeated_requests(now: datetime) -> list[Repeats]:
    """The runs of today and yesterday, as they stand."""
    told = DriftAlert.objects.filter(
        kind=DriftKind.REPEATS, noticed_at__gte=midnight(now) - DAY, noticed_at__lte=now
    ).order_by("-noticed_at")
    found: dict[tuple[object, ...], Repeats] = {}
    for alert in told[:MOST_RUNS]:
        run = _priced(alert, now)
        key = (run.anomaly.deployment_id, run.anomaly.who, run.anomaly.day)
        if key not in found or found[key].anomaly.lost_micros < run.anomaly.lost_micros:
            found[key] = run  # of several runs of one day, the dearest
    return list(found.values())


def _priced(alert: DriftAlert, now: datetime) -> Repeats:
    told = orjson.loads(bytes(alert.document))
    first = Decision.objects.get(pk=told["first"])
    theirs = Decision.objects.filter(
        Q(user=first.user) if first.user else Q(session=first.session),
        deployment_id=alert.deployment_id,
        occurred_at__gte=first.occurred_at,
    )
    calls = _run(theirs.filter(input_tokens=first.input_tokens))  # what else they asked meanwhile is no part of it
    if len(calls) < told["count"]:  # with all that was said before it, the same question may grow
        calls = _run(theirs)
    currency, cost, lost = spent(calls)
    anomaly = CostAnomaly(
        kind=AnomalyKind.REPEATED_REQUESTS,
        deployment_id=alert.deployment_id,
        who=first.user or first.session,
        who_kind=SubjectKind.USER if first.user else SubjectKind.SESSION,
        day=midnight(first.occurred_at),
        noticed_at=now,
        n=len(calls),
        currency=currency,
        cost_micros=cost,
        lost_micros=lost,
        cause=cause_of(calls),
    )
    return Repeats(anomaly, Counter(one.session for one in calls))


def _run(decisions: QuerySet[Decision]) -> Sequence[Call]:
    rows = decisions.order_by("occurred_at", "id").values_list(
        "occurred_at", "cost_micros", "currency", "outcome", "session"
    )
    calls = [Call(at, cost, currency or "", how == FAILED, session) for at, cost, currency, how, session in rows[:MOST]]
    return until_a_pause(calls)
