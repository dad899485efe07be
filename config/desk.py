"""What waits for the person who looks, from every app, as the start page lists it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from django.urls import reverse

from audits.desk import errands_of
from policies.lifecycle import Step
from policies.selectors import awaited_from
from tenants.actors import Actor
from tenants.presentation import expiring_keys
from traces.completeness import Incomplete
from traces.costs.budgeting import exceeding
from traces.costs.charts import money
from traces.drift.selectors import open_alerts
from traces.models.cost import AlertKind

SHOWN = 5  # of each kind; the page that has them all is linked
POLICY_STEPS: Mapping[Step, tuple[str, str]] = {
    Step.APPROVE: ("Read and decide", "policy-review"),
    Step.ACTIVATE: ("Put in force", "policy-detail"),
    Step.SUBMIT: ("Finish and submit", "policy-detail"),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to do: what, of what, where; `tone` as of a badge."""

    what: str
    about: str
    url: str
    note: str = ""
    due: date | None = None
    since: datetime | None = None
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Pile:
    """Things of one kind, what is most pressing first; `more` lie under those shown."""

    title: str
    all_url: str
    items: Sequence[Item] = field(default_factory=list)
    more: bool = False


def piles(actor: Actor, slug: str, now: datetime, gaps: Sequence[Incomplete]) -> list[Pile]:
    """Everything that waits for this person, a pile for each kind; kinds of which nothing waits are left out."""
    kinds: tuple[tuple[str, str, bool, Callable[[], Iterable[Item]]], ...] = (
        ("Budgets", "budget-list", actor.may("budget.manage"), lambda: _budgets(slug, now)),
        ("Missing records", "ledger-health", actor.may("source.manage"), lambda: _gaps(slug, gaps)),
        ("Changes of behaviour", "drift-list", actor.may("drift.manage"), lambda: _alerts(slug, now)),
        ("Cases", "case-list", actor.user_id is not None, lambda: _errands(actor, slug, now.date())),
        ("Policies", "policy-list", actor.may("policy.read"), lambda: _versions(actor, slug, now)),
        ("Keys", "api-key-list", actor.may("key.manage"), lambda: _keys(slug, now)),
    )
    found = []
    for title, route, is_theirs, read in kinds:
        items = list(read()) if is_theirs else []
        if items:
            found.append(Pile(title, reverse(route, args=[slug]), items[:SHOWN], len(items) > SHOWN))
    return found


def _budgets(slug: str, now: datetime) -> Iterable[Item]:
    for told in exceeding(now):
        budget = told.budget
        is_over = told.kind == AlertKind.SPENT
        amount = told.spent_micros if is_over else told.forecast_micros
        yield Item(
            "Over its limit" if is_over else "Will be over its limit",
            budget.name,
            reverse("budget-detail", args=[slug, budget.pk]),
            f"{money(amount, budget.currency)} of {money(budget.limit_micros, budget.currency)}",
            since=told.raised_at,
            tone="breach" if is_over else "caution",
        )


def _gaps(slug: str, gaps: Sequence[Incomplete]) -> Iterable[Item]:
    for gap in gaps:
        what = f"{gap.missing:,} record{'s' if gap.missing != 1 else ''} never arrived"
        yield Item(what, gap.source, reverse("ledger-health", args=[slug]), since=gap.since, tone="breach")


def _alerts(slug: str, now: datetime) -> Iterable[Item]:
    for alert in open_alerts(now, SHOWN + 1):
        url = reverse("drift-detail", args=[slug, alert.pk])
        about = f"{alert.deployment}{f', segment {alert.segment}' if alert.segment else ''}"
        yield Item(
            alert.get_kind_display(), about, url, alert.cause.capitalize(), since=alert.noticed_at, tone="caution"
        )


def _errands(actor: Actor, slug: str, today: date) -> Iterable[Item]:
    for errand in errands_of(actor):
        url = reverse(errand.page, args=[slug, errand.case.pk])
        tone = "caution" if errand.is_late(today) else ""
        yield Item(errand.what, errand.about, url, f"Case {errand.case.reference}", errand.due, tone=tone)


def _versions(actor: Actor, slug: str, now: datetime) -> Iterable[Item]:
    for one in awaited_from(actor, now):
        what, route = POLICY_STEPS[one.step]
        policy, number = one.version.policy, one.version.number
        url = reverse(route, args=[slug, policy.slug, *([number] if route == "policy-review" else [])])
        yield Item(what, policy.title, url, f"Version {number}, {one.version.risk_class} risk", since=one.since)


def _keys(slug: str, now: datetime) -> Iterable[Item]:
    for key in expiring_keys(now):
        if key.expires_at is not None:
            url = reverse("api-key-list", args=[slug])
            yield Item("Expires soon", key.name, url, f"{key.prefix}…", key.expires_at.date(), tone="caution")
