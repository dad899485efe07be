"""Budgets as rows: made, changed and retired here, watched after each rollup, asked before an action."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import F, Q, Sum

from tenants.access import get_row, require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.log import append
from traces.costs import telling
from traces.costs.budgets import (
    THRESHOLDS,
    BudgetVerdict,
    Rule,
    Standing,
    Window,
    crossed,
    pace_window,
    standing,
    verdict,
    window_of,
)
from traces.models.cost import (
    AlertKind,
    Budget,
    BudgetAlert,
    BudgetScope,
    Grain,
    OnExceed,
    Period,
    SubjectKind,
    SubjectRollup,
    UsageRollup,
)

VERDICT_SECONDS = 5.0  # spending is as fresh as the rollups are; asking more often tells nothing new
CACHED_TENANTS = 1_000
SPENT = F("cost_micros") + F("restated_micros")


@dataclass(frozen=True, slots=True)
class BudgetTerms:
    """What a budget says. `subject` is a system's, user's or source's name, and empty for the whole tenant."""

    name: str
    limit_micros: int
    currency: str = "USD"
    scope: str = BudgetScope.TENANT
    subject: str = ""
    period: str = Period.MONTH
    days: int = 30
    thresholds: tuple[int, ...] = THRESHOLDS
    on_exceed: str = OnExceed.NONE
    route_to: str = ""


def create_budget(*, by: Actor, terms: BudgetTerms) -> Budget:
    """Set a budget. Raises `ValidationError`."""
    require(by, "budget.manage")
    with tenant_atomic(by.tenant_id):
        budget = Budget(**_checked(terms))
        _validate(budget)
        budget.save(force_insert=True)
        append(Tag.BUDGET_CREATED, by=by, body=_body(budget), ref=budget.pk)
    _rules.pop(by.tenant_id, None)
    return budget


def change_budget(*, by: Actor, pk: uuid.UUID, terms: BudgetTerms) -> Budget:
    """Say something else from now on; the log keeps what it was. Raises `ValidationError`, 404."""
    require(by, "budget.manage")
    with tenant_atomic(by.tenant_id):
        budget = _live(pk)
        before = _body(budget)
        for name, value in _checked(terms).items():
            setattr(budget, name, value)
        _validate(budget)
        budget.save()
        append(Tag.BUDGET_CHANGED, by=by, body=_body(budget) | {"before": before}, ref=budget.pk)
    _rules.pop(by.tenant_id, None)
    return budget


def retire_budget(*, by: Actor, pk: uuid.UUID) -> Budget:
    """End a budget; its alerts stay."""
    require(by, "budget.manage")
    with tenant_atomic(by.tenant_id):
        budget = _live(pk)
        budget.retired_at = datetime.now(UTC)
        budget.save(update_fields=["retired_at"])
        append(Tag.BUDGET_RETIRED, by=by, body=_body(budget), ref=budget.pk)
    _rules.pop(by.tenant_id, None)
    return budget


def _live(pk: uuid.UUID) -> Budget:
    return get_row(Budget.objects.select_for_update().filter(retired_at=None), pk=pk)


def get_budget(actor: Actor, pk: uuid.UUID) -> Budget:
    """One budget that is in force, or 404."""
    require(actor, "decision.read")
    return get_row(Budget.objects.filter(retired_at=None), pk=pk)


def _checked(terms: BudgetTerms) -> dict[str, Any]:
    thresholds = sorted(set(terms.thresholds))
    if not thresholds or not all(0 < one <= 1_000 for one in thresholds) or len(thresholds) > 10:
        raise ValidationError({"thresholds": "Up to ten whole numbers, from 1 to 1,000 per cent."})
    if not 0 < terms.limit_micros < 2**63:
        raise ValidationError({"limit_micros": "More than nothing, and not out of this world."})
    if not (len(terms.currency) == 3 and terms.currency.isascii() and terms.currency.isupper()):
        raise ValidationError({"currency": "Three capital letters, such as USD."})
    if (terms.scope == BudgetScope.TENANT) == bool(terms.subject):
        raise ValidationError({"subject": "Name the system, user or source; leave it empty for everything."})
    if (terms.on_exceed == OnExceed.ROUTE) != bool(terms.route_to):
        raise ValidationError({"route_to": "Name the model to route to, only where the budget routes."})
    return asdict(terms) | {"thresholds": thresholds}


def _validate(budget: Budget) -> None:
    budget.full_clean()


def _body(budget: Budget) -> dict[str, Any]:
    names = ("name", "scope", "subject", "period", "days", "limit_micros", "currency", "on_exceed", "route_to")
    return {"budget": str(budget.pk), "thresholds": list(budget.thresholds)} | {n: getattr(budget, n) for n in names}


# --- Where they stand -----------------------------------------------------------------------------------------------


def live_budgets() -> list[Budget]:
    """Every budget in force, by name."""
    return list(Budget.objects.filter(retired_at=None).order_by("name"))


def standings(budgets: Sequence[Budget], now: datetime, using: str = "default") -> dict[uuid.UUID, Standing]:
    """How much of each is spent and where it is going: two queries, whatever the number of budgets."""
    windows = {_window(budget, now) for budget in budgets} | {pace_window(now)}
    by_place = _spent_by_place(windows, using)
    by_user = _spent_by_user({b.subject for b in budgets if b.scope == BudgetScope.USER}, windows, using)
    found = {}
    for budget in budgets:
        lines = by_user if budget.scope == BudgetScope.USER else by_place
        mine = [line for line in lines if line["currency"] == budget.currency and _concerns(budget, line)]
        spent, recent = (
            sum(line[_column(window)] or 0 for line in mine) for window in (_window(budget, now), pace_window(now))
        )
        found[budget.pk] = standing(budget.period, budget.days, budget.limit_micros, spent, recent, now)
    return found


def _window(budget: Budget, now: datetime) -> Window:
    return window_of(budget.period, budget.days, now)


def _column(window: Window) -> str:
    return f"w{int(window.start.timestamp())}_{int(window.end.timestamp())}"


def _sums(windows: set[Window]) -> dict[str, Any]:
    return {
        _column(window): Sum(SPENT, filter=Q(bucket__gte=window.start, bucket__lt=window.end)) for window in windows
    }


def _spent_by_place(windows: set[Window], using: str) -> list[dict[str, Any]]:
    first, last = min(w.start for w in windows), max(w.end for w in windows)
    rows = UsageRollup.objects.using(using).filter(grain=Grain.DAY, bucket__gte=first, bucket__lt=last)
    grouped = rows.values("currency", system=F("deployment__system"), key=F("source__name"))
    return list(grouped.annotate(**_sums(windows)))


def _spent_by_user(users: set[str], windows: set[Window], using: str) -> list[dict[str, Any]]:
    if not users:
        return []
    first, last = min(w.start for w in windows), max(w.end for w in windows)
    rows = SubjectRollup.objects.using(using).filter(
        kind=SubjectKind.USER, value__in=users, grain=Grain.DAY, bucket__gte=first, bucket__lt=last
    )
    return list(rows.values("currency", user=F("value")).annotate(**_sums(windows)))


def _concerns(budget: Budget, line: Mapping[str, Any]) -> bool:
    return budget.scope == BudgetScope.TENANT or line.get(budget.scope) == budget.subject


def watch_budgets(tenant_id: uuid.UUID, *, now: datetime | None = None) -> list[BudgetAlert]:
    """Write down each threshold that was crossed, and each limit that will be at this pace: once a period."""
    moment = now or datetime.now(UTC)
    with tenant_atomic(tenant_id):
        budgets = live_budgets()
        found = standings(budgets, moment) if budgets else {}
        alerts = [alert for budget in budgets for alert in _alerts(budget, found[budget.pk], moment)]
        known = set(
            BudgetAlert.objects.filter(
                budget__in=[b.pk for b in budgets], period_start__in={alert.period_start for alert in alerts}
            ).values_list("budget_id", "period_start", "kind", "threshold")
        )
        fresh = [a for a in alerts if (a.budget_id, a.period_start, a.kind, a.threshold) not in known]
        BudgetAlert.objects.bulk_create(fresh, ignore_conflicts=True)
        telling.tell_alerts(fresh)
    return fresh


def exceeding(now: datetime, size: int = 50) -> list[BudgetAlert]:
    """The last word on each budget that has reached its limit in this period, or will at this pace. One query."""
    today, month = (window_of(period, 1, now).start for period in (Period.DAY, Period.MONTH))
    present = Q(budget__period=Period.MONTH, period_start=month) | (
        ~Q(budget__period=Period.MONTH) & Q(period_start=today)
    )
    of_limit = Q(kind=AlertKind.FORECAST) | Q(threshold__gte=100)
    told = BudgetAlert.objects.filter(
        present, of_limit, budget__retired_at=None, limit_micros=F("budget__limit_micros")
    )
    newest = told.order_by("budget_id", "-raised_at", "-threshold").distinct("budget_id")
    return list(newest.select_related("budget")[:size])


def _period_start(budget: Budget, now: datetime) -> datetime:
    """What an alert raised now would be of: a rolling budget starts anew each day."""
    return window_of(Period.DAY, 1, now).start if budget.period == Period.ROLLING else _window(budget, now).start


def _alerts(budget: Budget, found: Standing, now: datetime) -> list[BudgetAlert]:
    reached = [(AlertKind.SPENT, one) for one in crossed(budget.thresholds, found.spent, found.limit)]
    if found.forecast >= found.limit and not found.is_over:
        reached.append((AlertKind.FORECAST, 100))
    start = _period_start(budget, now)
    return [
        BudgetAlert(
            budget=budget,
            period_start=start,
            kind=kind,
            threshold=threshold,
            spent_micros=found.spent,
            forecast_micros=found.forecast,
            limit_micros=found.limit,
            raised_at=now,
        )
        for kind, threshold in reached
    ]


# --- Asked before an action -----------------------------------------------------------------------------------------

_rules: dict[uuid.UUID, tuple[float, list[Rule]]] = {}


def budget_verdict(
    tenant_id: uuid.UUID, facts: Mapping[str, str], now: datetime, *, using: str = "default"
) -> BudgetVerdict:
    """May it go on, by the tenant's budgets? `facts`: `system`, `user`, `key` (the source's name), as far as known.

    Inside the caller's `tenant_atomic`. Spending is what the rollups have counted: seconds behind, never ahead.
    """
    read_at, rules = _rules.get(tenant_id, (0.0, []))
    if not read_at or time.monotonic() - read_at > VERDICT_SECONDS:
        rules = _load_rules(now, using)
        if len(_rules) >= CACHED_TENANTS:
            _rules.clear()
        _rules[tenant_id] = (time.monotonic(), rules)
    return verdict(rules, facts)


def _load_rules(now: datetime, using: str) -> list[Rule]:
    acting = list(Budget.objects.using(using).filter(retired_at=None).exclude(on_exceed=OnExceed.NONE).order_by("name"))
    found = standings(acting, now, using) if acting else {}
    return [Rule(b.name, b.scope, b.subject, b.on_exceed, b.route_to, b.currency, found[b.pk]) for b in acting]
