"""The tables of a decision as bulk inserts: which column takes what."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tenants.bulk import BOOL, BYTEA, INT8, TEXT, TIMESTAMPTZ, UUID, BulkInsert
from tenants.ids import uuid7, uuid7_ms
from traces.recording import Recorded

DECISIONS = BulkInsert(
    "traces_decision",
    [
        ("id", UUID),
        ("deployment_id", UUID),
        ("model_version_id", UUID),
        ("source_id", UUID),
        ("occurred_at", TIMESTAMPTZ),
        ("source_seq", INT8),
        ("external_id", TEXT),
        ("system_version", TEXT),
        ("trace_id", UUID),
        ("span_id", INT8),
        ("parent_span_id", INT8),
        ("session", TEXT),
        ("user", TEXT),
        ("agent", TEXT),
        ("instance", TEXT),
        ("input_tokens", INT8),
        ("output_tokens", INT8),
        ("cache_read_tokens", INT8),
        ("cache_write_tokens", INT8),
        ("reasoning_tokens", INT8),
        ("latency_ms", INT8),
        ("outcome", TEXT),
        ("adverse", BOOL),
        ("verdict", TEXT),
        ("action", TEXT),
        ("policy_set", BYTEA),
        ("policy_match", TEXT),
        ("late", BOOL),
        ("clock_skewed", BOOL),
        ("leaf_hash", BYTEA),
    ],
)
PAYLOADS = BulkInsert("traces_decisionpayload", [("id", UUID), ("subject_key_id", UUID), ("sealed", BYTEA)])
SUBMISSIONS = BulkInsert(
    "traces_submission", [("id", UUID), ("fingerprint", BYTEA), ("answer", BYTEA)], skip_conflicts=True
)
RULE_HITS = BulkInsert(
    "traces_rulehit",
    [
        ("id", UUID),
        ("decision_id", UUID),
        ("policy", TEXT),
        ("rule", TEXT),
        ("outcome", TEXT),
        ("action", TEXT),
        ("occurred_at", TIMESTAMPTZ),
    ],
)
QUEUE = BulkInsert("tenants_ledgerqueue", [("rid", UUID), ("leaf", BYTEA)])


def span_number(span_id: str | None) -> int | None:
    """A W3C span id, 16 hex digits, as the signed 64-bit number it is stored as."""
    return int.from_bytes(bytes.fromhex(span_id), "big", signed=True) if span_id else None


def span_hex(number: int | None) -> str:
    """The inverse of `span_number`; empty for none."""
    return number.to_bytes(8, "big", signed=True).hex() if number is not None else ""


def decision_row(
    recorded: Recorded, deployment_id: uuid.UUID, model_version_id: uuid.UUID, source_id: uuid.UUID | None
) -> tuple[Any, ...]:
    """Values for `DECISIONS`."""
    typed = recorded.prepared.item.typed
    usage, outcome = typed.usage, typed.outcome
    tokens = (
        (
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
        )
        if usage
        else (None, None, None, None, None)
    )
    return (
        recorded.id,
        deployment_id,
        model_version_id,
        source_id,
        recorded.occurred_at,
        typed.source_seq,
        typed.external_id or "",
        typed.system_version or "",
        uuid.UUID(hex=typed.trace_id) if typed.trace_id else None,
        span_number(typed.span_id),
        span_number(typed.parent_span_id),
        typed.session or "",
        typed.user or "",
        typed.agent or "",
        typed.instance or "",
        *tokens,
        round(typed.latency_ms) if typed.latency_ms is not None else None,
        (outcome.decision or "") if outcome else "",
        outcome.adverse if outcome else None,
        recorded.judgement.outcome,
        recorded.judgement.action,
        recorded.judgement.in_force.sha256,
        recorded.judgement.match,
        recorded.late,
        recorded.clock_skewed,
        recorded.leaf_hash,
    )


def rule_hit_rows(recorded: Recorded) -> Iterable[tuple[Any, ...]]:
    """Values for `RULE_HITS`: the rules that triggered or failed."""
    verdict = recorded.judgement.verdict
    for finding in verdict.findings if verdict else ():
        if finding.outcome != "not_triggered":
            yield (
                uuid7(uuid7_ms(recorded.id)),
                recorded.id,
                finding.policy,
                finding.rule,
                finding.outcome,
                finding.action,
                recorded.occurred_at,
            )


def payload_rows(
    batch: Sequence[Recorded], tenant_id: uuid.UUID, keys: Mapping[str, tuple[uuid.UUID, bytes]]
) -> list[tuple[Any, ...]]:
    """Values for `PAYLOADS`, encrypted under each subject's key."""
    rows = []
    for recorded in batch:
        key_id, key = keys[recorded.prepared.subject]
        rows.append((recorded.id, key_id, recorded.sealed(tenant_id, key)))
    return rows
