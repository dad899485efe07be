"""Reading what OTLP brought beside decisions."""

import uuid

from tenants.access import require
from tenants.actors import Actor
from tenants.events import Tag
from tenants.ledger.log import append
from traces.models import Decision, SpanContent
from traces.sealing import Content
from traces.selectors import read_contents


def content_of_span(trace_id: uuid.UUID, span_id: int) -> list[tuple[SpanContent, Content | None]]:
    """Content that arrived apart from its span, oldest first; None where it was erased. Inside `tenant_atomic`."""
    rows = list(
        SpanContent.objects.filter(trace_id=trace_id, span_id=span_id).order_by("occurred_at", "position", "id")
    )
    contents = read_contents([row.pk for row in rows])
    return [(row, contents.get(row.pk)) for row in rows]


def open_beside(decision: Decision, *, by: Actor, purpose: str) -> list[tuple[SpanContent, Content | None]]:
    """What arrived apart from a decision's span, its reading recorded in the log; the decision is the door to it."""
    require(by, "decision.read_payload")
    if decision.trace_id is None or decision.span_id is None:
        return []
    found = content_of_span(decision.trace_id, decision.span_id)
    if opened := [str(row.pk) for row, content in found if content]:
        body = {"decisions": [str(decision.pk)], "contents": opened, "purpose": purpose}
        append(Tag.PAYLOAD_READ, by=by, body=body)
    return found
