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
        ("cost_micros", INT8),
        ("saved_micros", INT8),
        ("currency", TEXT),
        ("price_sha256", BYTEA),
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
EVALUATIONS = BulkInsert(
    "traces_evaluation",
    [
        ("id", UUID),
        ("deployment_id", UUID),
        ("source_id", UUID),
        ("trace_id", UUID),
        ("policy_set", BYTEA),
        ("policy_match", TEXT),
        ("verdict", TEXT),
        ("action", TEXT),
        ("shadow_action", TEXT),
        ("body", BYTEA),
        ("salt", BYTEA),
        ("leaf_hash", BYTEA),
    ],
)
SPANS = BulkInsert(
    "traces_span",
    [
        ("id", UUID),
        ("trace_id", UUID),
        ("span_id", INT8),
        ("parent_span_id", INT8),
        ("started_at", TIMESTAMPTZ),
        ("duration_us", INT8),
        ("kind", INT8),
        ("status", INT8),
        ("name", TEXT),
        ("service", TEXT),
        ("environment", TEXT),
        ("instance", TEXT),
    ],
)
SPAN_CONTENTS = BulkInsert(
    "traces_spancontent",
    [
        ("id", UUID),
        ("trace_id", UUID),
        ("span_id", INT8),
        ("event", TEXT),
        ("occurred_at", TIMESTAMPTZ),
        ("position", INT8),
        ("leaf_hash", BYTEA),
    ],
)
UNINDEXED = BulkInsert("traces_searchqueue", [("id", UUID)])
UNCOUNTED = BulkInsert("traces_rollupqueue", [("id", UUID), ("restated", BOOL)])
UNSEEN = BulkInsert("traces_driftqueue", [("id", UUID), ("deployment_id", UUID), ("occurred_at", TIMESTAMPTZ)])
EMBED = 1  # `MeaningWork.EMBED`
UNEMBEDDED = BulkInsert("traces_meaningqueue", [("id", UUID), ("work", INT8)])
_ID, _DEPLOYMENT, _OCCURRED = 0, 1, 4  # places in `DECISIONS`
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
    usage, outcome, cost = typed.usage, typed.outcome, recorded.cost
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
        *((cost.micros, cost.saved_micros, cost.currency, cost.price_sha256) if cost else (None, None, None, None)),
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


def unseen_row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values for `UNSEEN`, from a decision's own row."""
    return row[_ID], row[_DEPLOYMENT], row[_OCCURRED]


def span_content_row(recorded: Recorded, event: str, position: int) -> tuple[Any, ...]:
    """Values for `SPAN_CONTENTS`."""
    typed = recorded.prepared.item.typed
    trace_id = uuid.UUID(hex=typed.trace_id)
    span_id = span_number(typed.span_id)
    return (recorded.id, trace_id, span_id, event, recorded.occurred_at, position, recorded.leaf_hash)


def rule_hit_rows(recorded: Recorded, about: uuid.UUID | None = None) -> Iterable[tuple[Any, ...]]:
    """Values for `RULE_HITS`: the rules that triggered or failed on it, as hits on the decision `about` or its own."""
    verdict = recorded.judgement.verdict
    for finding in verdict.findings if verdict else ():
        if finding.outcome != "not_triggered":
            yield (
                uuid7(uuid7_ms(recorded.id)),
                about or recorded.id,
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
