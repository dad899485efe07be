"""Reads of usage, from the rollups alone: a page costs by the rollup rows in its window, whatever is stored."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import CharField, F, Q, QuerySet, Sum, Value
from django.db.models.functions import Cast, Concat

from traces.costs.budgets import DAY, midnight
from traces.costs.rollups import MEASURES, MINUTES_KEPT
from traces.models.cost import Grain, SubjectKind, SubjectRollup, UsageRollup
from traces.selectors import FilterError, parse_moment

GRAINS = {"minute": Grain.MINUTE, "hour": Grain.HOUR, "day": Grain.DAY}
STEPS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": DAY}
MOST_BUCKETS = 3_000

# Dimension → where its value is. `prompt` is a name and a version.
PLACES = {
    "system": "deployment__system",
    "environment": "deployment__environment",
    "task": "deployment__task",
    "provider": "model_version__provider",
    "model": "model_version__name",
    "version": "model_version__version",
    "prompt": "prompt",
    "source": "source__name",
    "agent": "agent",
    "outcome": "outcome",
}
SUBJECTS = {"user": SubjectKind.USER, "session": SubjectKind.SESSION}
DIMENSIONS = (*PLACES, *SUBJECTS)
PROMPT = Concat("model_version__prompt_name", Value(" v"), "model_version__prompt_version", output_field=CharField())


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Which usage: a window in steps, grouped by a dimension, narrowed by others."""

    since: datetime
    until: datetime
    grain: str = "day"
    group: str = "system"
    narrow: Mapping[str, str] = field(default_factory=dict)

    @property
    def length(self) -> timedelta:
        return self.until - self.since

    def buckets(self) -> list[datetime]:
        """The start of every step."""
        step = STEPS[self.grain]
        return [self.since + step * number for number in range(int(self.length / step))]

    def before(self) -> "UsageQuery":
        """The window of the same length that ends where this one starts."""
        return UsageQuery(self.since - self.length, self.since, self.grain, self.group, self.narrow)

    def with_before(self) -> "UsageQuery":
        """The window together with the one of the same length before it."""
        return UsageQuery(self.since - self.length, self.until, self.grain, self.group, self.narrow)


def read_query(query: Mapping[str, str], now: datetime, *, group: str = "system") -> UsageQuery:
    """From URL parameters: `since`, `until`, `grain`, `group`, and any dimension to narrow by. Raises `FilterError`."""
    group = query.get("group") or group
    if group not in DIMENSIONS:
        raise FilterError(f"group={group!r} is not one of {', '.join(DIMENSIONS)}.")
    until = parse_moment("until", query["until"]) if query.get("until") else None
    since = parse_moment("since", query["since"]) if query.get("since") else None
    until = until or (midnight(now) + DAY)
    since = since or until - 30 * DAY
    grain = query.get("grain") or ("hour" if until - since <= 2 * DAY else "day")
    if grain not in GRAINS:
        raise FilterError(f"grain={grain!r} is not one of {', '.join(GRAINS)}.")
    narrow = {name: query[name] for name in DIMENSIONS if query.get(name)}
    found = UsageQuery(_floor(since, grain), _ceiling(until, grain), grain, group, narrow)
    _refuse(found, now)
    return found


def is_counted(group: str, narrow: Mapping[str, str]) -> bool:
    """Whether usage is counted by these dimensions together: users and sessions only by where they were."""
    names = {group, *narrow}
    subjects = names & set(SUBJECTS)
    return not subjects or (len(subjects) == 1 and names - subjects <= {"system", "environment", "task"})


def _refuse(wanted: UsageQuery, now: datetime) -> None:
    if wanted.since >= wanted.until:
        raise FilterError("until must be after since.")
    if wanted.length / STEPS[wanted.grain] > MOST_BUCKETS:
        raise FilterError(f"More than {MOST_BUCKETS:,} steps; ask for a shorter time or a coarser grain.")
    if wanted.grain == "minute" and wanted.since < now - MINUTES_KEPT - timedelta(minutes=1):
        raise FilterError(f"Minutes are kept for {MINUTES_KEPT.days} days; ask for hours.")
    if not is_counted(wanted.group, wanted.narrow):
        raise FilterError("Usage by user or by session is counted by system, environment and task only.")


def _floor(at: datetime, grain: str) -> datetime:
    at = at.astimezone(UTC).replace(second=0, microsecond=0)
    if grain == "minute":
        return at
    return at.replace(minute=0) if grain == "hour" else midnight(at)


def _ceiling(at: datetime, grain: str) -> datetime:
    floor = _floor(at, grain)
    return floor if floor == at else floor + STEPS[grain]


def rows_of(wanted: UsageQuery) -> QuerySet[Any]:
    """The rollup rows of the query's window, with their dimension as `label`."""
    names = (wanted.group, *wanted.narrow)
    subject = next((name for name in names if name in SUBJECTS), "")
    rows: QuerySet[Any] = SubjectRollup.objects.filter(kind=SUBJECTS[subject]) if subject else UsageRollup.objects.all()
    rows = narrowed(rows, wanted)
    if wanted.group == "prompt" and "prompt" not in wanted.narrow:
        rows = rows.annotate(prompt=PROMPT)
    labelled: QuerySet[Any] = rows.annotate(label=Cast(F(_path(wanted.group)), CharField()))
    return labelled


def narrowed(rows: QuerySet[Any], wanted: UsageQuery) -> QuerySet[Any]:
    """The rows of the query's window and dimensions."""
    rows = rows.filter(grain=GRAINS[wanted.grain], bucket__gte=wanted.since, bucket__lt=wanted.until)
    if "prompt" in wanted.narrow:
        rows = rows.annotate(prompt=PROMPT)
    found: QuerySet[Any] = rows.filter(**{_path(name): value for name, value in wanted.narrow.items()})
    return found


def _path(name: str) -> str:
    return "value" if name in SUBJECTS else PLACES[name]


def sums() -> dict[str, Any]:
    """Every measure, added up; `cost_micros` as it is today, restatements in it."""
    found = {f"sum_{name}": Sum(name) for name in MEASURES}
    found["sum_cost_micros"] = Sum(F("cost_micros") + F("restated_micros"))
    return found


@dataclass(frozen=True, slots=True)
class Line:
    """Usage of one value of the dimension in one step."""

    bucket: datetime
    value: str
    currency: str
    measures: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LinePage:
    lines: list[Line]
    cursor: str  # of the next page; empty: there is none


def usage_page(wanted: UsageQuery, cursor: str, size: int) -> LinePage:
    """Lines in order of time, value and currency, `size` at a time. Raises `FilterError` for a strange cursor."""
    rows = rows_of(wanted)
    if cursor:
        bucket, value, currency = _decode(cursor)
        rows = rows.filter(bucket__gte=bucket).filter(
            Q(bucket__gt=bucket) | Q(label__gt=value) | Q(label=value, currency__gt=currency)
        )
    grouped = rows.values("bucket", "label", "currency").annotate(**sums()).order_by("bucket", "label", "currency")
    found = [
        Line(row["bucket"], row["label"], row["currency"], {name: int(row[f"sum_{name}"]) for name in MEASURES})
        for row in grouped[: size + 1]
    ]
    more, shown = len(found) > size, found[:size]
    return LinePage(shown, _encode(shown[-1]) if more else "")


def _encode(line: Line) -> str:
    text = f"{line.bucket.isoformat()}\n{line.currency}\n{line.value}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[datetime, str, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        bucket, currency, value = text.split("\n", 2)
        return datetime.fromisoformat(bucket), value, currency
    except (ValueError, binascii.Error):
        raise FilterError("This cursor is not one of ours; start again without it.") from None
