"""Reading what OTLP brought beside decisions."""

import uuid

from traces.models import SpanContent
from traces.sealing import Content
from traces.selectors import read_contents


def content_of_span(trace_id: uuid.UUID, span_id: int) -> list[tuple[SpanContent, Content | None]]:
    """Content that arrived apart from its span, oldest first; None where it was erased. Inside `tenant_atomic`."""
    rows = list(
        SpanContent.objects.filter(trace_id=trace_id, span_id=span_id).order_by("occurred_at", "position", "id")
    )
    contents = read_contents([row.pk for row in rows])
    return [(row, contents.get(row.pk)) for row in rows]
