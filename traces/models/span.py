"""What OTLP brings beside decisions: spans of the services around them, and content that came apart from its span."""

from django.db import models

from tenants.models import TenantModel


class Span(TenantModel):
    """A span that is no AI action: what ran where, when, how long, and how it ended. Append-only, lean by intent.

    A span that became a decision is not here: trace trees take it from the decision's row. Ids and times are stored
    as there; `id` holds the time of receipt.
    """

    trace_id = models.UUIDField()
    span_id = models.BigIntegerField()  # 8 bytes, as a signed 64-bit number
    parent_span_id = models.BigIntegerField(null=True)
    started_at = models.DateTimeField()
    duration_us = models.BigIntegerField()
    kind = models.SmallIntegerField()  # opentelemetry.proto.trace.v1.Span.SpanKind
    status = models.SmallIntegerField()  # 0 unset, 1 ok, 2 error
    name = models.TextField()
    service = models.TextField()
    environment = models.TextField()
    instance = models.TextField()

    class Meta(TenantModel.Meta):
        indexes = (
            models.Index(fields=("tenant", "trace_id"), name="span_trace"),
            models.Index(fields=("tenant", "service", "started_at", "id"), name="span_service"),
        )

    def __str__(self) -> str:
        return self.name


class SpanContent(TenantModel):
    """Content of an AI action that arrived in a log record: a leaf of its own beside the decision, never an edit of it.

    It belongs to the decision of the same trace and span, which may come before it or after. The content is the
    `DecisionPayload` of the same id, encrypted under the key of the subject `trace:<trace id>`: whoever erases the
    decisions of a trace erases that subject too.
    """

    trace_id = models.UUIDField()
    span_id = models.BigIntegerField()
    event = models.TextField()
    occurred_at = models.DateTimeField()
    position = models.IntegerField()  # in its batch: the messages of a call are often of one instant
    leaf_hash = models.BinaryField(max_length=32)

    class Meta(TenantModel.Meta):
        indexes = (models.Index(fields=("tenant", "trace_id", "span_id"), name="span_content_span"),)

    def __str__(self) -> str:
        return self.event
