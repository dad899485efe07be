"""Decisions, recorded through the product's own write path."""

import uuid
from collections.abc import Mapping
from typing import Any

from tenants.actors import Actor, Kind
from tenants.authentication import SCOPE_PERMISSIONS
from tests.factories.tenants import Cast
from traces.services import record_decisions
from traces.submissions import validate


def a_decision(**changes: Any) -> dict[str, Any]:
    """A believable submission with an identity of its own; `None` takes a member out."""
    decision: dict[str, Any] = {
        "external_id": f"loan-{uuid.uuid4().hex[:12]}",
        "occurred_at": "2026-11-20T08:46:14.123Z",
        "system": "loan-assistant",
        "system_version": "2.4.0",
        "environment": "production",
        "task": "pre-screening",
        "trace_id": uuid.uuid4().hex,
        "span_id": "00f067aa0ba902b7",
        "session": "s-77",
        "user": "u-1032",
        "subject": "customer-5521",
        "model": {
            "provider": "openai",
            "name": "gpt-5-mini",
            "version": "2026-08-01",
            "prompt": {"name": "screen", "version": "14"},
        },
        "input": [
            {"role": "system", "content": "You screen loans."},
            {"role": "user", "content": "May I borrow 5,000?"},
        ],
        "context": [{"id": "doc-9", "score": 0.83, "text": "Up to three times the monthly income."}],
        "output": [{"role": "assistant", "content": "Please send a proof of income first."}],
        "outcome": {
            "decision": "refer",
            "adverse": False,
            "reasons": [{"code": "income_unverified", "text": "No payslip."}],
        },
        "usage": {"input_tokens": 812, "output_tokens": 96},
        "latency_ms": 930,
        "metadata": {"region": "eu"},
    }
    return {name: value for name, value in (decision | changes).items() if value is not None}


def ingestor(cast: Cast) -> Actor:
    """The program behind the cast's ingest key."""
    return Actor(
        Kind.KEY,
        cast.tenant.pk,
        "ingest",
        SCOPE_PERMISSIONS["ingest"],
        key_id=cast.keys["ingest"].row.pk,
        source_id=cast.source.pk,
    )


def submit(cast: Cast, n: int = 1, **changes: Any) -> list[uuid.UUID]:
    """Record `n` decisions; returns their ids in order."""
    return submit_each(cast, [a_decision(**changes) for _ in range(n)])


def submit_each(cast: Cast, decisions: list[Mapping[str, Any]] | list[dict[str, Any]]) -> list[uuid.UUID]:
    """Record these decisions as one batch; returns their ids in order."""
    answers = record_decisions(by=ingestor(cast), items=validate(decisions))
    return [uuid.UUID(answer["id"]) for answer in answers.items]
