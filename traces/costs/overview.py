"""What the usage page shows, in a handful of queries: one scan of the window's rollups, put together in memory.

Places (system, model, …) are few: every combination of them is read once, for the window and the one before it, and
ranked by any dimension from there. Users and sessions are many: of those only the dearest of each step are looked at,
from an index, so that the page costs the same however many there are.
"""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, CharField, F, Min, Q, Sum, Value, When

from tenants.models import SourceSystem
from traces.costs.dearest import dearest
from traces.costs.spending import PLACES, SUBJECTS, UsageQuery, narrowed, rows_of
from traces.models import Deployment, ModelVersion
from traces.models.cost import UsageRollup

RANKED, LISTED, MOVERS = 500, 25, 5  # values of a place; of them, and of users and sessions, those that are shown
COST = F("cost_micros") + F("restated_micros")
FIGURES = ("cost", "before", "n", "n_before", "n_unpriced", "n_cached", "tokens", "saved")
PLACE = ("deployment_id", "model_version_id", "outcome", "currency")
# The column behind a dimension. Sources and agents are told apart only where the page is by them.
COLUMN = {
    "system": "deployment_id", "environment": "deployment_id", "task": "deployment_id",
    "provider": "model_version_id", "model": "model_version_id", "version": "model_version_id",
    "prompt": "model_version_id", "source": "source_id", "agent": "agent", "outcome": "outcome",
}  # fmt: skip
NOW = {
    "sum_cost": Sum(COST),
    "sum_n": Sum("n"),
    "sum_n_unpriced": Sum("n_unpriced"),
    "sum_n_cached": Sum("n_cached"),
    "sum_tokens": Sum(F("input_tokens") + F("output_tokens")),
    "sum_saved": Sum("saved_micros"),
}
BEFORE = {"sum_before": Sum(COST), "sum_n_before": Sum("n")}


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
    """Usage of one combination of places, by name; before the window only by the query's dimension."""

    key: Any  # what stands in the dimension's column
    names: dict[str, str]
    currency: str
    first: datetime | None  # in the window; None: this is the time before it
    figures: tuple[int, ...]  # in the order of `FIGURES`


def combinations(wanted: UsageQuery) -> list[Combination]:
    """Every combination of places in the window, and what each value of the dimension was before; nothing where a
    user or a session narrows.

    A window is read by itself: a sum with a condition costs twice as much.
    """
    if set(wanted.narrow) & set(SUBJECTS):
        return []
    column = COLUMN.get(wanted.group, "deployment_id")
    keys = dict.fromkeys((*PLACE, column))
    now = narrowed(UsageRollup.objects.all(), wanted).values(*keys).annotate(first=Min("bucket"), **NOW)
    before = narrowed(UsageRollup.objects.all(), wanted.before()).values(column, "currency").annotate(**BEFORE)
    rows: list[dict[str, Any]] = [*now, *before]
    names = _Names(rows)
    return [
        Combination(row[column], names.of(row), row["currency"], row.get("first"), _figures_in(row)) for row in rows
    ]


class _Names:
    """What the ids of some rows stand for: a query a kind, whatever the number of rows."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self.places: dict[uuid.UUID, dict[str, str]] = {
            pk: {"system": one.system, "environment": one.environment, "task": one.task}
            for pk, one in _by_id(Deployment, "deployment_id", rows).items()
        }
        self.places |= {
            pk: {
                "provider": one.provider,
                "model": one.name,
                "version": one.version,
                "prompt": f"{one.prompt_name} v{one.prompt_version}",
            }
            for pk, one in _by_id(ModelVersion, "model_version_id", rows).items()
        }
        self.places |= {pk: {"source": one.name} for pk, one in _by_id(SourceSystem, "source_id", rows).items()}

    def of(self, row: dict[str, Any]) -> dict[str, str]:
        """The names of one row, by dimension: of those that it has."""
        names: dict[str, str] = {name: row[name] for name in ("agent", "outcome") if name in row}
        for column in ("deployment_id", "model_version_id", "source_id"):
            if column in row:
                names |= self.places[row[column]]
        return names


def _by_id(model: Any, column: str, rows: Sequence[dict[str, Any]]) -> dict[uuid.UUID, Any]:
    wanted = {row[column] for row in rows if column in row}
    return model.objects.in_bulk(wanted) if wanted else {}


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


def currencies_of(wanted: UsageQuery, found: Iterable[Combination]) -> list[str]:
    """The currencies of the window, the one with the most decisions first."""
    counted: dict[str, int] = defaultdict(int)
    for one in found:
        counted[one.currency] += one.figures[FIGURES.index("n")]
    if set(wanted.narrow) & set(SUBJECTS):
        rows = rows_of(wanted).values("currency").annotate(total=Sum("n"))
        counted |= dict(rows.values_list("currency", "total"))
    return sorted((one for one in counted if one), key=lambda currency: (-counted[currency], currency))


def ranking(wanted: UsageQuery, found: Sequence[Combination], currency: str) -> list[Ranked]:
    """Values of the query's dimension by what they cost in the window, the dearest first."""
    if wanted.group in PLACES and not set(wanted.narrow) & set(SUBJECTS):
        return ranked_by(wanted.group, found, currency)
    if wanted.group in SUBJECTS and not set(wanted.narrow) & set(SUBJECTS):
        return [Ranked(value, *figures) for value, figures in dearest(wanted, currency, LISTED, MOVERS)]
    rows = rows_of(wanted.with_before()).filter(currency__in=("", currency))
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


def total_of(found: Sequence[Combination], ranked: Iterable[Ranked], currency: str) -> Ranked:
    """Everything together: of the combinations or, where a user or a session narrows, of the values ranked."""
    figures = [one.figures for one in found if one.currency in ("", currency)] or [
        tuple(getattr(one, name) for name in FIGURES) for one in ranked
    ]
    return Ranked("", *(sum(column) for column in zip(*figures, strict=True)))


def series(
    wanted: UsageQuery, found: Sequence[Combination], currency: str, shown: Sequence[str]
) -> dict[tuple[datetime, str | None], int]:
    """Cost by step and value, for the values shown; what all others cost together is under None."""
    if found and wanted.group in PLACES:
        return _series_of_places(wanted, found, currency, set(shown))
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


def _series_of_places(
    wanted: UsageQuery, found: Sequence[Combination], currency: str, shown: Collection[str]
) -> dict[tuple[datetime, str | None], int]:
    """The same by the column alone: names were read already, and joining them to every row costs more than the sums."""
    names = {one.key: one.names[wanted.group] for one in found}
    column = COLUMN[wanted.group]
    rows = narrowed(UsageRollup.objects.all(), wanted).filter(currency=currency)
    values: dict[tuple[datetime, str | None], int] = defaultdict(int)
    for key, at, total in (
        rows.values(column, "bucket").annotate(total=Sum(COST)).values_list(column, "bucket", "total")
    ):
        name = names.get(key)
        values[at, name if name in shown else None] += int(total)
    return values


def cost_by_step(wanted: UsageQuery, currency: str) -> dict[datetime, int]:
    """Cost of each step, whatever the dimension."""
    subjects = set(wanted.narrow) & set(SUBJECTS)
    rows = rows_of(wanted) if subjects else narrowed(UsageRollup.objects.all(), wanted)
    grouped = rows.filter(currency=currency).values("bucket").annotate(total=Sum(COST))
    return {row["bucket"]: int(row["total"]) for row in grouped}
