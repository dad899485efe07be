"""Usage and budgets as pages show them: the contexts that templates/traces/usage and budget documents. No HTTP."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse

from traces.costs.budgets import DAY, Standing, midnight, per_cent
from traces.costs.charts import Bars, Stack, money, stacked_bars
from traces.costs.overview import LISTED, MOVERS, Combination, Ranked
from traces.costs.spending import SUBJECTS, UsageQuery
from traces.models.cost import (
    AlertKind,
    AnomalyKind,
    Budget,
    BudgetAlert,
    BudgetScope,
    CostAnomaly,
    OnExceed,
    Period,
    SubjectKind,
)

STACKED, UNIT_ROWS = 6, 10
LABELS = {
    "system": "System", "environment": "Environment", "task": "Task", "provider": "Provider", "model": "Model",
    "version": "Model version", "prompt": "Prompt", "source": "Source", "agent": "Agent", "outcome": "Outcome",
    "user": "User", "session": "Session",
}  # fmt: skip
SHOWN_TABS = ("system", "task", "model", "prompt", "user", "session", "agent", "source", "outcome")
WINDOWS = ((1, "24 hours"), (7, "7 days"), (30, "30 days"), (90, "90 days"))
# What the list of decisions can be narrowed by: a bar of another dimension leads to a narrower page of usage first.
DECISION_FILTERS = frozenset({"system", "environment", "task", "model", "user", "session"})


def named(value: str, group: str) -> str:
    """A value as people read it."""
    return value.strip() if value.strip() not in ("", "v") else f"no {LABELS[group].lower()}"


def moment_text(at: datetime) -> str:
    """A moment in an address: the day where it is a whole one, as date fields have it."""
    return f"{at:%Y-%m-%d}" if at == midnight(at) else at.isoformat().replace("+00:00", "Z")


def drill_url(slug: str, wanted: UsageQuery, value: str) -> str:
    """Where a line of the whole window leads."""
    return drill_urls(slug, wanted, value, [span_text(wanted.since, wanted.until)])[0]


def span_text(since: datetime, until: datetime) -> str:
    """A span as a part of an address."""
    return urlencode({"since": moment_text(since), "until": moment_text(until)})


def drill_urls(slug: str, wanted: UsageQuery, value: str, spans: Sequence[str]) -> list[str]:
    """Where the bars of a value lead, for each span: its decisions, or, by a dimension that those are not listed by,
    what is in it by another one. A chart has hundreds of bars: what they share is put together once."""
    narrowed = {**wanted.narrow, wanted.group: value}
    if value and set(narrowed) <= DECISION_FILTERS:
        path, rest = reverse("decision-list", args=[slug]), narrowed
    else:
        path = reverse("usage", args=[slug])
        rest = {name: text for name, text in narrowed.items() if text} | {"group": next_group(narrowed)}
    shared = urlencode(rest)
    return [f"{path}?{span}&{shared}" for span in spans]


def next_group(narrowed: Mapping[str, str]) -> str:
    """The first dimension that does not narrow yet."""
    return next((name for name in SHOWN_TABS if name not in narrowed and name not in SUBJECTS), "version")


def chart(slug: str, wanted: UsageQuery, ranked: Sequence[Ranked], values: Mapping[Any, int], currency: str) -> Bars:
    """Spending over time, the dearest values told apart, all others on top of them."""
    buckets = wanted.buckets()
    spans = [span_text(at, end) for at, end in pairwise([*buckets, wanted.until])]
    stacks = [
        Stack(
            one.value,
            named(one.value, wanted.group),
            f"p{place}",
            dict(zip(buckets, drill_urls(slug, wanted, one.value, spans), strict=True)),
        )
        for place, one in enumerate(ranked[:STACKED])
        if one.cost > 0
    ]
    stacks.append(Stack(None, "All others", "p-rest"))
    return stacked_bars(buckets, stacks, values, currency, "%H:%M" if wanted.grain == "hour" else "%-d %b")


def value_rows(
    page_url: str, query: Mapping[str, str], wanted: UsageQuery, ranked: Sequence[Ranked], currency: str, slug: str
) -> list[dict[str, Any]]:
    """The table under the chart: it says the same in figures."""
    return [
        {
            "label": named(one.value, wanted.group),
            "pattern": f"p{place}" if place < STACKED and one.cost > 0 else "p-rest",
            "cost": money(one.cost, currency),
            "change": change(one.cost, one.before),
            "n": one.n,
            "each": money(one.each, currency),
            "tokens": one.tokens,
            "saved": money(one.saved, currency) if one.saved else "",
            "n_unpriced": one.n_unpriced,
            "decisions_url": drill_url(slug, wanted, one.value),
            "narrow_url": narrow_url(page_url, query, wanted.group, one.value),
        }
        for place, one in enumerate(ranked[:LISTED])
        if one.n
    ]


def narrow_url(page_url: str, query: Mapping[str, str], group: str, value: str) -> str:
    """The same page for one value of the dimension, told apart by the next one; empty where that is not counted."""
    if not value.strip() or group == "session":
        return ""
    narrowed = {**query, group: value}
    following = "system" if group in SUBJECTS else next_group(narrowed)
    return f"{page_url}?{urlencode(narrowed | {'group': following})}"


def change(now: int, before: int) -> str:
    """How much more or less than before, in per cent; words where there is no per cent of it."""
    if before <= 0:
        return "new" if now > 0 else ""
    per = round((now - before) * 100 / before)
    return f"{per:+d} %" if per else "same"


def movers(ranked: Sequence[Ranked], wanted: UsageQuery, currency: str, slug: str) -> list[dict[str, Any]]:
    """Who changed the bill most, either way."""
    moved = sorted((one for one in ranked if one.change), key=lambda one: -abs(one.change))[:MOVERS]
    return [
        {
            "label": named(one.value, wanted.group),
            "delta": f"{'+' if one.change > 0 else '−'}{money(abs(one.change), currency)}",
            "is_up": one.change > 0,
            "note": f"{money(one.before, currency)} before, {money(one.cost, currency)} now",
            "url": drill_url(slug, wanted, one.value),
        }
        for one in moved
    ]


def tiles(total: Ranked, currency: str) -> list[dict[str, Any]]:
    """The figures over the page."""
    uncached = total.cost + total.saved
    share = f"{total.saved * 100 // uncached} % of what it would have cost" if total.saved > 0 else ""
    against = f"{change(total.cost, total.before) or 'nothing'} against the time before"
    cached = f"{intcomma(total.n_cached)} from own cache" if total.n_cached else ""
    return [
        {"label": "Spent", "value": money(total.cost, currency), "note": against},
        {"label": "Decisions", "value": intcomma(total.n), "note": cached},
        {"label": "A decision", "value": money(total.each, currency), "note": "on average"},
        {"label": "Saved by caches", "value": money(total.saved, currency), "note": share},
        {
            "label": "Unpriced",
            "value": intcomma(total.n_unpriced),
            "note": "not in any sum above" if total.n_unpriced else "every model has a price",
            "tone": "caution" if total.n_unpriced else "",
        },
    ]


def anomaly_entries(slug: str, found: Sequence[CostAnomaly]) -> list[dict[str, Any]]:
    """Money that ran away, and where to look."""
    return [
        {
            "label": one.who or str(one.deployment),
            "kind": AnomalyKind(one.kind).label,
            "lost": f"{money(one.lost_micros, one.currency)} lost" if one.currency else "no price known",
            "cause": one.cause,
            "where": str(one.deployment) if one.who else "",
            "at": one.noticed_at,
            "url": anomaly_url(slug, one),
        }
        for one in found
    ]


def anomaly_url(slug: str, one: CostAnomaly) -> str:
    """The decisions behind it: of the session or the user, or of the task since the day before."""
    place = {"system": one.deployment.system, "environment": one.deployment.environment, "task": one.deployment.task}
    subject = "user" if one.who_kind == SubjectKind.USER else "session"
    since = one.day if one.who else one.day - DAY
    query = {"since": moment_text(since), "until": moment_text(one.day + DAY), subject: one.who} | place
    narrow = {name: value for name, value in query.items() if value}
    return f"{reverse('decision-list', args=[slug])}?{urlencode(narrow)}"


# --- Unit prices ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Counted:
    n: int = 0
    cost: int = 0

    @property
    def each(self) -> int:
        return self.cost // self.n if self.n else 0


Priced = Iterator[tuple[Combination, datetime, int, int]]


def _priced(found: Sequence[Combination], currency: str) -> Priced:
    """Each combination that was used in the window and has a price: with its first step, number and cost."""
    for one in found:
        cost, _, n, *_ = one.figures
        if one.currency == currency and one.first is not None and n:
            yield one, one.first, n, cost


def outcome_rows(found: Sequence[Combination], currency: str) -> list[dict[str, Any]]:
    """What a task costs, and what each of its outcomes does."""
    tasks: dict[tuple[str, str], dict[str, _Counted]] = defaultdict(lambda: defaultdict(_Counted))
    whole: dict[tuple[str, str], _Counted] = defaultdict(_Counted)
    for one, _, n, cost in _priced(found, currency):
        task = (one.names["system"], one.names["task"])
        for counted in (tasks[task][one.names["outcome"]], whole[task]):
            counted.n += n
            counted.cost += cost
    dearest = sorted(whole, key=lambda task: (-whole[task].cost, task))[:UNIT_ROWS]
    return [
        {
            "system": system,
            "task": task,
            "cost": money(whole[system, task].cost, currency),
            "each": money(whole[system, task].each, currency),
            "n": whole[system, task].n,
            "outcomes": [
                {"label": name or "no outcome", "n": counted.n, "each": money(counted.each, currency)}
                for name, counted in sorted(tasks[system, task].items(), key=lambda item: -item[1].cost)[:4]
            ],
        }
        for system, task in dearest
    ]


def unit_rows(found: Sequence[Combination], currency: str) -> list[dict[str, Any]]:
    """What a decision of a task cost with each model and prompt, in the order in which they came: before and after."""
    tasks: dict[tuple[str, str], dict[tuple[str, str], _Counted]] = defaultdict(lambda: defaultdict(_Counted))
    firsts: dict[tuple[str, str, str, str], datetime] = {}
    for one, first, n, cost in _priced(found, currency):
        system, task, model, prompt = (one.names[name] for name in ("system", "task", "model", "prompt"))
        firsts[system, task, model, prompt] = min(firsts.get((system, task, model, prompt), first), first)
        counted = tasks[system, task][model, prompt]
        counted.n += n
        counted.cost += cost
    several = {where: variants for where, variants in tasks.items() if len(variants) > 1}
    rows: list[dict[str, Any]] = []
    for where in sorted(several, key=lambda where: -sum(counted.cost for counted in several[where].values())):
        rows += _variants(where, several[where], firsts, currency)
    return rows[:UNIT_ROWS]


def _variants(
    where: tuple[str, str],
    variants: Mapping[tuple[str, str], _Counted],
    firsts: Mapping[tuple[str, str, str, str], datetime],
    currency: str,
) -> Iterator[dict[str, Any]]:
    before: int | None = None
    for variant in sorted(variants, key=lambda variant: (firsts[(*where, *variant)], variant)):
        counted = variants[variant]
        yield {
            "system": where[0],
            "task": where[1],
            "model": variant[0] or "no model",
            "prompt": named(variant[1], "prompt"),
            "first": firsts[(*where, *variant)],
            "n": counted.n,
            "each": money(counted.each, currency),
            "change": change(counted.each, before) if before is not None else "first",
        }
        before = counted.each


# --- Budgets --------------------------------------------------------------------------------------------------------


def budget_row(slug: str, budget: Budget, found: Standing, now: datetime) -> dict[str, Any]:
    """A budget with how it stands."""
    share = per_cent(found.spent, found.limit)
    ahead = min(max(per_cent(found.forecast, found.limit), 0), 100)
    shown = min(max(share, 0), 100)
    tone = "breach" if found.is_over else "caution" if found.forecast >= found.limit else "seal"
    parts = [{"percent": shown, "from": 0, "tone": tone, "label": f"Spent: {share} %"}]
    if ahead > shown:
        parts.append({"percent": ahead - shown, "from": shown, "tone": "ink", "label": "Still to come at this pace"})
    return {
        "name": budget.name,
        "url": reverse("budget-detail", args=[slug, budget.pk]),
        "scope": scope_text(budget),
        "period": period_text(budget),
        "spent": money(found.spent, budget.currency),
        "limit": money(found.limit, budget.currency),
        "share": share,
        "forecast": money(found.forecast, budget.currency),
        "state": "failed" if found.is_over else "pending" if found.forecast >= found.limit else "healthy",
        "state_label": "Over" if found.is_over else "Will be over" if found.forecast >= found.limit else "Within",
        "parts": parts,
        "bar_label": f"{share} per cent of {money(found.limit, budget.currency)} spent",
        "on_exceed": on_exceed_text(budget),
        "until": found.window.end,
    }


def scope_text(budget: Budget) -> str:
    """Whose budget it is."""
    label = BudgetScope(budget.scope).label
    return f"{label}: {budget.subject}" if budget.subject else label


def period_text(budget: Budget) -> str:
    """Over which time."""
    return f"The last {budget.days} days" if budget.period == Period.ROLLING else Period(budget.period).label


def on_exceed_text(budget: Budget) -> str:
    """What happens when it is over."""
    if budget.on_exceed == OnExceed.ROUTE:
        return f"Route to {budget.route_to}"
    return OnExceed(budget.on_exceed).label


def alert_events(alerts: Sequence[BudgetAlert], currency: str) -> list[dict[str, Any]]:
    """Alerts as a timeline."""
    return [
        {
            "at": alert.raised_at,
            "title": f"{alert.threshold} % spent" if alert.kind == AlertKind.SPENT else "Will be over at this pace",
            "detail": f"{money(alert.spent_micros, currency)} of {money(alert.limit_micros, currency)}; "
            f"{money(alert.forecast_micros, currency)} expected by the end of the period",
            "tone": "breach" if alert.kind == AlertKind.SPENT and alert.threshold >= 100 else "caution",
        }
        for alert in alerts
    ]
