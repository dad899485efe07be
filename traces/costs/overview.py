"""What the usage page shows, in a handful of queries: one scan of the window's rollups, put together in memory.

Places (system, model, …) are few: every combination of them is read once, for the window and the one before it, and
ranked by any dimension from there. Users and sessions are many: of those only the dearest of each step are looked at,
from an index, so that the page costs the same however many there are.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Case, CharField, F, Min, Q, Sum, Value, When

from tenants.context import current_tenant_id
from tenants.models import SourceSystem
from traces.costs.spending import GRAINS, PLACES, STEPS, SUBJECTS, UsageQuery, narrowed, rows_of
from traces.models import Deployment, ModelVersion
from traces.models.cost import UsageRollup

RANKED = 500
DEAREST = 25  # subjects looked at in each step
COST = F("cost_micros") + F("restated_micros")
FIGURES = ("cost", "before", "n", "n_before", "n_unpriced", "n_cached", "tokens", "saved")
PLACE = ("deployment_id", "model_version_id", "outcome", "currency")
ASKED = {"source": "source_id", "agent": "agent"}  # told apart only where the page is by them
NOW = {
    "sum_cost": Sum(COST),
    "sum_n": Sum("n"),
    "sum_n_unpriced": Sum("n_unpriced"),
    "sum_n_cached": Sum("n_cached"),
    "sum_tokens": Sum(F("input_tokens") + F("output_tokens")),
    "sum_saved": Sum("saved_micros"),
}
BEFORE = {"sum_before": Sum(COST), "sum_n_before": Sum("n")}
_DEAREST = """
SELECT DISTINCT value FROM generate_series(%s::timestamptz, %s::timestamptz - %s::interval, %s::interval) AS step
 CROSS JOIN LATERAL (
    SELECT value FROM traces_subjectrollup
     WHERE tenant_id = %s AND kind = %s AND grain = %s AND currency = %s AND bucket = step
     ORDER BY cost_micros DESC LIMIT %s) AS dearest
"""


@dataclass(frozen=True, slots=True)
class Ranked:
    """One value of a dimension: this window, and the one before it."""

    value: str
    cost: int = 0
    before: int = 0
    n: int = 0
    n_before: int = 0
    n_unpriced: int = 0
    n_cached: int = 0
    tokens: int = 0
    saved: int = 0

    @property
    def change(self) -> int:
        return self.cost - self.before

    @property
    def each(self) -> int:
        """What one decision cost, of those that have a price."""
        priced = self.n - self.n_unpriced
        return self.cost // priced if priced > 0 else 0


@dataclass(frozen=True, slots=True)
class Combination:
    """Usage of one combination of places, by name."""

    names: dict[str, str]
    currency: str
    first: datetime | None  # in the window; None: only before it
    figures: tuple[int, ...]  # in the order of `FIGURES`


def combinations(wanted: UsageQuery) -> list[Combination]:
    """Every combination of places in the window and the one before; nothing where a user or a session narrows."""
    if set(wanted.narrow) & set(SUBJECTS):
        return []
    keys = (*PLACE, *(column for name, column in ASKED.items() if name == wanted.group))
    now = _by_place(wanted, keys, first=Min("bucket"), **NOW)
    before = _by_place(wanted.before(), keys, **BEFORE)
    names = _Names([*now.values(), *before.values()])
    return [
        Combination(names.of(row), row["currency"], row.get("first"), _figures_in(row))
        for row in (before.get(key, {}) | now.get(key, {}) for key in now | before)
    ]


def _by_place(wanted: UsageQuery, keys: Sequence[str], **figures: Any) -> dict[tuple[Any, ...], dict[str, Any]]:
    """One window's rows, by place. A window is read by itself: a sum with a condition costs twice as much."""
    rows = narrowed(UsageRollup.objects.all(), wanted).values(*keys)
    return {tuple(row[name] for name in keys): row for row in rows.annotate(**figures)}


class _Names:
    """What the ids of some rows stand for: a query a kind, whatever the number of rows."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self.deployments = Deployment.objects.in_bulk({row["deployment_id"] for row in rows})
        self.models = ModelVersion.objects.in_bulk({row["model_version_id"] for row in rows})
        sources = {row["source_id"] for row in rows if "source_id" in row}
        self.sources: dict[uuid.UUID, SourceSystem] = SourceSystem.objects.in_bulk(sources) if sources else {}

    def of(self, row: dict[str, Any]) -> dict[str, str]:
        """The names of one row, by dimension."""
        deployment, model = self.deployments[row["deployment_id"]], self.models[row["model_version_id"]]
        return {
            "system": deployment.system,
            "environment": deployment.environment,
            "task": deployment.task,
            "provider": model.provider,
            "model": model.name,
            "version": model.version,
            "prompt": f"{model.prompt_name} v{model.prompt_version}",
            "source": self.sources[row["source_id"]].name if "source_id" in row else "",
            "agent": row.get("agent", ""),
            "outcome": row["outcome"],
        }


def _figures(wanted: UsageQuery) -> dict[str, Any]:
    """The figures of both windows in one query: for a few values, of which each may be in one window only."""
    windows = ((NOW, Q(bucket__gte=wanted.since)), (BEFORE, Q(bucket__lt=wanted.since)))
    return {
        name: Sum(figure.get_source_expressions()[0], filter=window, default=Value(0))
        for figures, window in windows
        for name, figure in figures.items()
    }


def _figures_in(row: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(row.get(f"sum_{name}", 0)) for name in FIGURES)


def currencies_of(found: Iterable[Combination]) -> list[str]:
    """The currencies of the window, the one with the most decisions first."""
    counted: dict[str, int] = defaultdict(int)
    for one in found:
        if one.currency:
            counted[one.currency] += one.figures[FIGURES.index("n")]
    return sorted(counted, key=lambda currency: (-counted[currency], currency))


def ranking(wanted: UsageQuery, found: Sequence[Combination], currency: str) -> list[Ranked]:
    """Values of the query's dimension by what they cost in the window, the dearest first."""
    if wanted.group in PLACES and not set(wanted.narrow) & set(SUBJECTS):
        return ranked_by(wanted.group, found, currency)
    rows = rows_of(wanted.with_before()).filter(currency__in=("", currency))
    if not wanted.narrow:
        rows = rows.filter(value__in=_dearest(wanted, currency))
    grouped = rows.values("label").annotate(**_figures(wanted)).order_by("-sum_cost", "-sum_n", "label")
    return [Ranked(row["label"], *_figures_in(row)) for row in grouped[:RANKED]]


def ranked_by(group: str, found: Sequence[Combination], currency: str) -> list[Ranked]:
    """The same from what was read already."""
    sums: dict[str, list[int]] = {}
    for one in found:
        if one.currency in ("", currency):
            mine = sums.setdefault(one.names[group], [0] * len(FIGURES))
            for place, figure in enumerate(one.figures):
                mine[place] += figure
    ranked = [Ranked(value, *figures) for value, figures in sums.items()]
    return sorted(ranked, key=lambda one: (-one.cost, -one.n, one.value))[:RANKED]


def _dearest(wanted: UsageQuery, currency: str) -> list[str]:
    """The dearest users or sessions of each step of both windows. One that is never among the dearest of its step is
    left out; what it used is in "all others"."""
    step, kind, grain = STEPS[wanted.grain], SUBJECTS[wanted.group], GRAINS[wanted.grain]
    steps: list[Any] = [wanted.with_before().since, wanted.until, step, step]
    with connection.cursor() as cursor:
        cursor.execute(_DEAREST, [*steps, current_tenant_id(), kind, grain, currency, DEAREST])
        return [row[0] for row in cursor.fetchall()]


def total_of(ranked: Iterable[Ranked]) -> Ranked:
    """Everything together."""
    sums = [0] * len(FIGURES)
    for one in ranked:
        for place, name in enumerate(FIGURES):
            sums[place] += getattr(one, name)
    return Ranked("", *sums)


def series(wanted: UsageQuery, currency: str, shown: Sequence[str]) -> dict[tuple[datetime, str | None], int]:
    """Cost by step and value, for the values shown; what all others cost together is under None."""
    rows = rows_of(wanted).filter(currency=currency)
    if wanted.group in SUBJECTS:  # only those that are shown, from their index; the rest is what is left of everything
        rows = rows.filter(label__in=shown)
    stack = Case(When(label__in=shown, then=F("label")), default=None, output_field=CharField())
    grouped = rows.annotate(stack=stack).values("bucket", "stack").annotate(total=Sum(COST))
    values: dict[tuple[datetime, str | None], int] = {
        (row["bucket"], row["stack"]): int(row["total"]) for row in grouped
    }
    if wanted.group in SUBJECTS:
        rest = cost_by_step(wanted, currency)
        for (at, _), cost in values.items():
            rest[at] = rest.get(at, 0) - cost
        values |= {(at, None): cost for at, cost in rest.items() if cost > 0}
    return values


def cost_by_step(wanted: UsageQuery, currency: str) -> dict[datetime, int]:
    """Cost of each step, whatever the dimension."""
    subjects = set(wanted.narrow) & set(SUBJECTS)
    rows = rows_of(wanted) if subjects else narrowed(UsageRollup.objects.all(), wanted)
    grouped = rows.filter(currency=currency).values("bucket").annotate(total=Sum(COST))
    return {row["bucket"]: int(row["total"]) for row in grouped}
