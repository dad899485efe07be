"""What a case says, as canonical JSON: what is reviewed, hashed, signed and exported. Ids, numbers and text only."""

import hashlib
import uuid
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Q

from audits.models import Case, CaseEvent, CaseItem, EvidenceFile, EvidenceRequest, Finding, Procedure, TestStep
from audits.selectors import population_of, sample_of
from tenants.ledger.canonical import dumps, parse_strict

FORMAT = "affidavit-case/1"


def case_content(case: Case) -> bytes:
    """RFC 8785 bytes of the current revision: scope, population, sample, items, working papers. Not who signed it."""
    return dumps(case_document(case))


def content_sha256(content: bytes) -> bytes:
    """What a signature binds to: 32 bytes."""
    return hashlib.sha256(content).digest()


def case_document(case: Case) -> dict[str, Any]:
    """The same, decoded."""
    items = CaseItem.objects.filter(case=case, revision=case.revision).order_by("ordinal")
    findings = Finding.objects.filter(case=case).select_related("item").order_by("number")
    told = histories(case)
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
        "procedures": _procedures(case),
        "findings": [_finding(finding, told[finding.pk]) for finding in findings],
        "requests": [_request(request, told[request.pk]) for request in case.requests.order_by("number")],
        "evidence": [file_document(file) for file in _files(case)],
        "review_notes": [
            {"number": note.number, "text": note.text, "history": told[note.pk]}
            for note in case.notes.filter(revision=case.revision).order_by("number")
        ],
    }


def histories(case: Case) -> Mapping[uuid.UUID, list[dict[str, Any]]]:
    """What happened to each finding, request and note, oldest first: what a sealed revision does not hold left out."""
    about = Q(finding__isnull=False) | Q(request__isnull=False) | Q(review_note__isnull=False)
    events = CaseEvent.objects.filter(about, case=case).exclude(follows=case.sealed_revision or -1).order_by("id")
    found: defaultdict[uuid.UUID, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        line = {"event": str(event.pk), "action": event.action, "to": event.to_state, "by": event.actor}
        subject: uuid.UUID = event.finding_id or event.request_id or event.review_note_id  # type: ignore[assignment]
        found[subject].append(line | {"text": event.note} | event.data)
    return found


def _files(case: Case) -> Iterable[EvidenceFile]:
    rows = EvidenceFile.objects.filter(case=case).exclude(follows=case.sealed_revision or -1)
    return rows.select_related("request", "item", "finding", "supersedes").order_by("number")


def file_document(file: EvidenceFile) -> dict[str, Any]:
    """What is said of a file, beside its bytes."""
    return {
        "number": file.number,
        "name": file.name,
        "media_type": file.media_type,
        "bytes": file.bytes,
        "sha256": bytes(file.sha256).hex(),
        "source": file.source,
        "collected_by": file.collected_by,
        "collected_at": file.collected_at.isoformat(),
        "expires": file.expires.isoformat() if file.expires else None,
        "request": file.request.number if file.request else None,
        "item": file.item.ordinal if file.item else None,
        "finding": file.finding.number if file.finding else None,
        "supersedes": file.supersedes.number if file.supersedes else None,
    }


def _request(request: EvidenceRequest, history: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "number": request.number,
        "title": request.title,
        "detail": request.detail,
        "addressee": _id(request.addressee_id),
        "due": request.due.isoformat() if request.due else None,
        "history": history,
    }


def _procedures(case: Case) -> list[dict[str, Any]]:
    procedures = Procedure.objects.filter(case=case, revision=case.revision).order_by("number")
    steps: defaultdict[uuid.UUID, list[dict[str, Any]]] = defaultdict(list)
    rows = TestStep.objects.filter(procedure__in=procedures.order_by()).select_related("item").order_by("item__ordinal")
    for row in rows:
        told = {"item": row.item.ordinal, "result": row.result, "actual": row.actual, "by": _id(row.performed_by_id)}
        steps[row.procedure_id].append(told)
    return [
        {
            "number": procedure.number,
            "title": procedure.title,
            "expected": procedure.expected,
            "workpaper": procedure.workpaper,
            "steps": steps[procedure.pk],
        }
        for procedure in procedures
    ]


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
    } | _set(
        {
            "level": sample.level,
            "aql": sample.aql,
            "code_letter": sample.code_letter,
            "stratify_by": sample.stratify_by,
            "minimum": sample.minimum,
            "rules": sample.rules,
            "currency": sample.currency,
            "value_micros": sample.value_micros,
            "expected_micros": sample.expected_micros,
            "tolerable_micros": sample.tolerable_micros,
            "interval_micros": sample.interval_micros,
            "strata": [
                {
                    "number": number,
                    "name": part.name,
                    "population": part.population,
                    "size": part.size,
                    "value": part.value,
                }
                for number, part in enumerate(sample.parts, start=1)
            ],
            "frame_sha256": bytes(sample.frame_sha256).hex() if sample.frame_sha256 else None,
        }
    )


def _set(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that say something: what a method has no use for is not there, in what was signed before it too."""
    return {name: value for name, value in members.items() if value}


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
    } | _set(
        {
            "stratum": item.stratum,
            "amount_micros": item.amount_micros,
            "replaces": item.replaces,
            "replaced_by": item.replaced_by,
        }
    )


def _finding(finding: Finding, history: list[dict[str, Any]]) -> dict[str, Any]:
    """Its text, and what had happened to it: the answer, owner and day that the report shows are in there."""
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
        "history": history,
    }
