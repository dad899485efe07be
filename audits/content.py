"""What a case says, as canonical JSON: what is reviewed, hashed, signed and exported. Ids, numbers and text only."""

import hashlib
from base64 import b64encode
from typing import Any

from audits.models import Case, CaseItem, Finding
from audits.selectors import population_of, sample_of
from tenants.ledger.canonical import dumps, parse_strict

FORMAT = "affidavit-case/1"


def case_content(case: Case) -> bytes:
    """RFC 8785 bytes of the current revision: scope, population, sample, items, findings. Not who signed it."""
    return dumps(case_document(case))


def content_sha256(content: bytes) -> bytes:
    """What a signature binds to: 32 bytes."""
    return hashlib.sha256(content).digest()


def case_document(case: Case) -> dict[str, Any]:
    """The same, decoded."""
    items = CaseItem.objects.filter(case=case, revision=case.revision).order_by("ordinal")
    findings = Finding.objects.filter(case=case).select_related("item").order_by("number")
    return {
        "format": FORMAT,
        "id": str(case.pk),
        "number": case.number,
        "revision": case.revision,
        "type": case.type,
        "title": case.title,
        "objective": case.objective,
        "criteria": case.criteria,
        "scope": parse_strict(bytes(case.scope_query)),
        "lead": _id(case.lead_id),
        "preparer": _id(case.preparer_id),
        "reviewer": _id(case.reviewer_id),
        "population": _population(case),
        "sample": _sample(case),
        "items": [_item(item) for item in items],
        "findings": [_finding(finding) for finding in findings],
    }


def _id(value: object) -> str | None:
    return str(value) if value else None


def _population(case: Case) -> dict[str, Any] | None:
    population = population_of(case)
    if population is None:
        return None
    return {
        "event": str(population.pk),
        "count": population.count,
        "checkpoint": {"size": population.checkpoint_size, "root": b64encode(population.checkpoint_root).decode()},
        "sha256": bytes(population.sha256).hex(),
        "reason": population.reason,
    }


def _sample(case: Case) -> dict[str, Any] | None:
    sample = sample_of(case)
    if sample is None:
        return None
    return {
        "method": sample.method,
        "size": sample.size,
        "acceptable": sample.acceptable,
        "expected_bp": sample.expected_bp,
        "tolerable_bp": sample.tolerable_bp,
        "overreliance_bp": sample.overreliance_bp,
        "seed": bytes(sample.seed).hex() if sample.seed else None,
        "seed_checkpoint_size": sample.seed_checkpoint_size,
        "justification": sample.justification,
    }


def _item(item: CaseItem) -> dict[str, Any]:
    return {
        "ordinal": item.ordinal,
        "decision": str(item.decision_id),
        "leaf_index": item.leaf_index,
        "leaf_hash": bytes(item.leaf_hash).hex(),
        "selected_by": item.selected_by,
        "conclusion": item.conclusion,
        "note": item.note,
        "preparer": _id(item.preparer_id),
        "concluded_at": item.concluded_at.isoformat() if item.concluded_at else None,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "number": finding.number,
        "item": finding.item.ordinal if finding.item else None,
        "kind": finding.kind,
        "severity": finding.severity,
        "criteria": finding.criteria,
        "condition": finding.condition,
        "cause": finding.cause,
        "effect": finding.effect,
        "recommendation": finding.recommendation,
        "response": finding.response,
        "owner": _id(finding.owner_id),
        "due": finding.due.isoformat() if finding.due else None,
    }
