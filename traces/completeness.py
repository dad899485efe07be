"""Which numbers did a source skip? A ledger proves what arrived; this shows what did not."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Count, Exists, F, Min, OuterRef, Sum

from tenants.models import SourceSystem
from traces.models import Decision, SequenceGap, SequenceWatermark

CHUNK = 10_000
GAPS_A_RUN = 1_000


@dataclass(frozen=True, slots=True)
class Missing:
    """A run of numbers that did not arrive, both ends included."""

    first: int
    last: int


def missing_between(checked_to: int, numbers: Iterable[int]) -> list[Missing]:
    """Gaps above `checked_to` in ascending `numbers` (repeats allowed)."""
    gaps: list[Missing] = []
    for number in numbers:
        if number > checked_to + 1:
            gaps.append(Missing(checked_to + 1, number - 1))
        checked_to = max(checked_to, number)
    return gaps


def find_gaps(now: datetime | None = None) -> int:
    """Look at what arrived since the last look, for every source of the tenant in context; returns gaps noticed."""
    moment = now or datetime.now(UTC)
    noticed = 0
    for source in SourceSystem.objects.all():
        noticed += _find_source_gaps(source, moment)
        _close_filled(source, moment)
    return noticed


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A source of which records are missing: how many, in how many gaps, known since when."""

    source: str
    missing: int
    gaps: int
    since: datetime


def incomplete_sources() -> list[Incomplete]:
    """Every source with an open gap, by name. One query."""
    opened = SequenceGap.objects.filter(filled_at=None).order_by("source__name").values_list("source__name")
    width = F("last_missing") - F("first_missing") + 1
    return [Incomplete(*row) for row in opened.annotate(n=Sum(width), gaps=Count("id"), since=Min("noticed_at"))]


def _find_source_gaps(source: SourceSystem, now: datetime) -> int:
    watermark = SequenceWatermark.objects.select_for_update().filter(pk=source.pk).first()
    arrived = Decision.objects.filter(source_id=source.pk, source_seq__isnull=False).order_by("source_seq")
    if watermark is None:
        # A source may start anywhere; what came before its first number was never ours to miss.
        start = arrived.values_list("source_seq", flat=True).first()
        if start is None:
            return 0
        watermark = SequenceWatermark(id=source.pk, checked_to=start - 1, checked_at=now)
    later = arrived.filter(source_seq__gt=watermark.checked_to).values_list("source_seq", flat=True)[:CHUNK]
    numbers = [number for number in later if number is not None]
    gaps = missing_between(watermark.checked_to, numbers)
    rows = [SequenceGap(source=source, first_missing=g.first, last_missing=g.last, noticed_at=now) for g in gaps]
    SequenceGap.objects.bulk_create(rows, ignore_conflicts=True)
    watermark.checked_to = numbers[-1] if numbers else watermark.checked_to
    watermark.checked_at = now
    watermark.save()
    return len(gaps)


def _close_filled(source: SourceSystem, now: datetime) -> None:
    """Late numbers: a gap shrinks around what arrived, and is filled when nothing of it is missing."""
    arrived = Decision.objects.filter(source_id=source.pk)
    late = arrived.filter(source_seq__gte=OuterRef("first_missing"), source_seq__lte=OuterRef("last_missing"))
    for gap in SequenceGap.objects.filter(Exists(late), source=source, filled_at=None)[:GAPS_A_RUN]:
        numbers = arrived.filter(source_seq__gte=gap.first_missing, source_seq__lte=gap.last_missing)
        ordered = numbers.order_by("source_seq").values_list("source_seq", flat=True)
        known = [number for number in ordered if number is not None]
        left = missing_between(gap.first_missing - 1, [*known, gap.last_missing + 1])
        gap.filled_at = now
        gap.save(update_fields=["filled_at"])
        rows = [SequenceGap(source=source, first_missing=m.first, last_missing=m.last, noticed_at=now) for m in left]
        SequenceGap.objects.bulk_create(rows)
