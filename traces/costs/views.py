"""Pages of usage and budgets."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tenants.access import require
from tenants.requests import TenantRequest
from traces.costs import budgeting, overview, presentation, spending
from traces.costs.anomalies import recent_anomalies
from traces.costs.api import csv_response
from traces.costs.budgets import DAY, Standing, midnight
from traces.costs.charts import BurnDown, burn_down
from traces.costs.forms import BudgetForm
from traces.costs.spending import DIMENSIONS, UsageQuery
from traces.models.cost import Budget, BudgetAlert, BudgetScope
from traces.selectors import FilterError

ALERTS_SHOWN = 50


@require_safe
def usage(request: TenantRequest) -> HttpResponse:
    """What was spent, on what, and what changed."""
    require(request.actor, "decision.read")
    now = datetime.now(UTC)
    query = {name: str(text) for name, text in request.GET.items() if text}
    error = ""
    try:
        wanted = spending.read_query(_with_days(query, now), now)
    except FilterError as refused:
        error, query = str(refused), {}
        wanted = spending.read_query({}, now)
    context = _usage_context(request, wanted, query, now) | {"error": error}
    return render(request, "traces/usage.html", context)


def _with_days(query: dict[str, str], now: datetime) -> dict[str, str]:
    """`days` as the window that ends now."""
    days = query.get("days", "")
    if not days.isdecimal() or query.get("since"):
        return query
    number = min(int(days[:3]), 366)
    until = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1) if number == 1 else midnight(now) + DAY
    return query | {"since": (until - number * DAY).isoformat(), "until": until.isoformat()}


def _usage_context(request: TenantRequest, wanted: UsageQuery, query: dict[str, str], now: datetime) -> dict[str, Any]:
    slug, page_url = request.seat.slug, reverse("usage", args=[request.seat.slug])
    found = overview.combinations(wanted)
    currencies = overview.currencies_of(wanted, found)
    currency = query.get("currency") or (currencies[0] if currencies else "USD")
    ranked = overview.ranking(wanted, found, currency)
    total = overview.total_of(found, ranked, currency)
    shown = [one.value for one in ranked[: presentation.STACKED] if one.cost > 0]
    values = overview.series(wanted, found, currency, shown)
    budgets = budgeting.live_budgets()
    standing = budgeting.standings(budgets, now) if budgets else {}
    kept = {name: text for name, text in query.items() if name not in ("cursor", "format")}
    return {
        "wanted": wanted,
        "group_label": presentation.LABELS[wanted.group],
        "tabs": _tabs(page_url, kept, wanted),
        "windows": _windows(page_url, kept),
        "currencies": _currencies(page_url, kept, currencies, currency),
        "chips": _chips(page_url, kept),
        "tiles": presentation.tiles(total, currency),
        "n_unpriced": total.n_unpriced,
        "unpriced_url": f"{page_url}?{urlencode(kept | {'group': 'model'})}",
        "chart": presentation.chart(slug, wanted, ranked, values, currency),
        "until": wanted.until - timedelta(seconds=1),
        "has_rest": any(name is None for _, name in values),
        "rows": presentation.value_rows(page_url, kept, wanted, ranked, currency, slug),
        "anomalies": presentation.anomaly_entries(slug, recent_anomalies(wanted)),
        "movers": presentation.movers(ranked, wanted, currency, slug),
        "outcomes": presentation.outcome_rows(found, currency),
        "units": presentation.unit_rows(found, currency),
        "budgets": [presentation.budget_row(slug, b, standing[b.pk], now) for b in budgets][:3],
        "budgets_url": reverse("budget-list", args=[slug]),
        "csv_url": f"{reverse('usage-csv', args=[slug])}?{urlencode(_with_days(kept, now))}",
        "has_any": bool(total.n or total.n_before),
        "clear_url": page_url,
    }


def _tabs(url: str, kept: dict[str, str], wanted: UsageQuery) -> list[dict[str, Any]]:
    return [
        {
            "label": presentation.LABELS[name],
            "url": f"{url}?{urlencode(kept | {'group': name})}",
            "active": name == wanted.group,
        }
        for name in presentation.SHOWN_TABS
        if name == wanted.group or (name not in wanted.narrow and spending.is_counted(name, wanted.narrow))
    ]


def _windows(url: str, kept: dict[str, str]) -> list[dict[str, Any]]:
    rest = {name: text for name, text in kept.items() if name not in ("days", "since", "until", "grain")}
    chosen = kept.get("days", "" if "since" in kept else "30")
    return [
        {"label": label, "url": f"{url}?{urlencode(rest | {'days': days})}", "active": chosen == str(days)}
        for days, label in presentation.WINDOWS
    ]


def _currencies(url: str, kept: dict[str, str], found: list[str], chosen: str) -> list[dict[str, Any]]:
    if len(found) < 2:
        return []
    links = ((one, f"{url}?{urlencode(kept | {'currency': one})}") for one in found)
    return [{"label": one, "url": link, "active": one == chosen} for one, link in links]


def _chips(url: str, kept: dict[str, str]) -> list[dict[str, str]]:
    chips = []
    for name in DIMENSIONS:
        if name in kept:
            others = {other: text for other, text in kept.items() if other != name}
            label = presentation.LABELS[name]
            chips.append({"label": label, "value": kept[name], "remove_url": f"{url}?{urlencode(others)}"})
    return chips


@require_safe
def usage_csv(request: TenantRequest) -> HttpResponse:
    """The page's lines as a file."""
    require(request.actor, "decision.read")
    try:
        return csv_response(spending.read_query(request.GET.dict(), datetime.now(UTC)))
    except FilterError as refused:
        messages.error(request, str(refused))
        return redirect("usage", request.seat.slug)


# --- Budgets --------------------------------------------------------------------------------------------------------


@require_safe
def budget_list(request: TenantRequest) -> HttpResponse:
    """Every budget with how it stands."""
    require(request.actor, "decision.read")
    now, slug = datetime.now(UTC), request.seat.slug
    budgets = budgeting.live_budgets()
    found = budgeting.standings(budgets, now) if budgets else {}
    may = request.actor.may("budget.manage")
    context = {
        "budgets": [presentation.budget_row(slug, budget, found[budget.pk], now) for budget in budgets],
        "create_url": reverse("budget-create", args=[slug]) if may else None,
        "usage_url": reverse("usage", args=[slug]),
    }
    return render(request, "traces/budget_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def budget_create(request: TenantRequest) -> HttpResponse:
    """Set a budget."""
    require(request.actor, "budget.manage")
    form = BudgetForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            budget = budgeting.create_budget(by=request.actor, terms=form.terms())
        except ValidationError as error:
            _explain(form, error)
        else:
            return redirect("budget-detail", request.seat.slug, budget.pk)
    context = {"form": form, "back_url": reverse("budget-list", args=[request.seat.slug])}
    return render(request, "traces/budget_form.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def budget_detail(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """One budget: what is left of it day by day, its alerts, and what it says."""
    budget = budgeting.get_budget(request.actor, pk)
    form = BudgetForm(request.POST) if request.method == "POST" else BudgetForm.of(budget)
    if request.method == "POST":
        require(request.actor, "budget.manage")
        if form.is_valid():
            try:
                budget = budgeting.change_budget(by=request.actor, pk=pk, terms=form.terms())
                messages.success(request, "Changed; the log keeps what it was.")
                return redirect("budget-detail", request.seat.slug, pk)
            except ValidationError as error:
                _explain(form, error)
    return render(request, "traces/budget_detail.html", _budget_context(request, budget, form))


def _budget_context(request: TenantRequest, budget: Budget, form: BudgetForm) -> dict[str, Any]:
    now, slug = datetime.now(UTC), request.seat.slug
    standing = budgeting.standings([budget], now)[budget.pk]
    alerts = BudgetAlert.objects.filter(budget=budget).order_by("-raised_at", "-threshold")[:ALERTS_SHOWN]
    may = request.actor.may("budget.manage")
    return {
        "budget": presentation.budget_row(slug, budget, standing, now),
        "chart": _burn_down(budget, standing, now),
        "alerts": presentation.alert_events(list(alerts), budget.currency),
        "form": form if may else None,
        "retire_url": reverse("budget-retire", args=[slug, budget.pk]) if may else None,
        "budgets_url": reverse("budget-list", args=[slug]),
        "usage_url": _usage_of(slug, budget, standing),
    }


NARROWED_BY = {BudgetScope.SYSTEM: "system", BudgetScope.USER: "user", BudgetScope.KEY: "source"}


def _narrow(budget: Budget) -> dict[str, str]:
    name = NARROWED_BY.get(BudgetScope(budget.scope))
    return {name: budget.subject} if name else {}


def _usage_of(slug: str, budget: Budget, standing: Standing) -> str:
    window = standing.window
    span = {"since": presentation.moment_text(window.start), "until": presentation.moment_text(window.end)}
    group = "task" if budget.scope == BudgetScope.SYSTEM else "system"
    return f"{reverse('usage', args=[slug])}?{urlencode(span | _narrow(budget) | {'group': group})}"


def _burn_down(budget: Budget, standing: Standing, now: datetime) -> BurnDown:
    wanted = UsageQuery(standing.window.start, standing.window.end, "day", "system", _narrow(budget))
    by_day = overview.cost_by_step(wanted, budget.currency)
    days = wanted.buckets()
    spent = [by_day.get(day, 0) for day in days if day <= now]
    part = (now - midnight(now)) / DAY
    return burn_down(days, spent, standing.limit, standing.forecast, part, budget.currency)


def _explain(form: BudgetForm, error: ValidationError) -> None:
    """Each message at its field."""
    details = error.message_dict if hasattr(error, "error_dict") else {"__all__": error.messages}
    for name, texts in details.items():
        field = {"limit_micros": "limit"}.get(name, name)
        for text in texts:
            form.add_error(field if field in form.fields else None, text)


@require_POST
def budget_retire(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """End a budget."""
    budget = budgeting.retire_budget(by=request.actor, pk=pk)
    messages.success(request, f"{budget.name} is retired; its alerts stay.")
    return redirect("budget-list", request.seat.slug)
