"""Signed revisions, after the case was reopened: read as they were, from what was sealed."""

from copy import copy
from typing import Any

from django.http import Http404

from audits.models import Case, CaseRevision, ReportKind, Signature
from audits.presentation import page_url, signature_entry
from audits.workflow import State
from tenants.ledger.canonical import parse_strict


def as_of(case: Case, number: int) -> Case:
    """The case as it stood when this revision was signed, never saved; 404 for a revision that was not."""
    if not Signature.objects.filter(case=case, revision=number).exists():
        raise Http404("No such revision.")
    if number == case.revision and not case.is_sealed:
        raise Http404("No such revision.")
    then = copy(case)
    then.revision = number
    if number != case.revision:
        then.state = State.REPORTED
    return then


def signed_revisions(slug: str, case: Case) -> list[dict[str, Any]]:
    """The earlier revisions that were signed, newest first."""
    signed = Signature.objects.filter(case=case, revision__lt=case.revision).order_by().values_list("revision")
    numbers = sorted({number for (number,) in signed.distinct()}, reverse=True) if case.revision > 1 else []
    return [{"number": number, "url": page_url(slug, "case-revision", case, number)} for number in numbers]


def revision_page(slug: str, then: Case) -> dict[str, Any]:
    """What the page of a signed revision shows, read from its sealed content."""
    sealed = CaseRevision.objects.get(case=then, revision=then.revision)
    content = parse_strict(bytes(sealed.content))
    signatures = Signature.objects.filter(case=then, revision=then.revision).order_by("id")
    report = then.reports.filter(revision=then.revision, kind=ReportKind.FINAL).first()
    results = [item["conclusion"] for item in content["items"]]
    return {
        "number": then.revision,
        "sealed_at": sealed.sealed_at,
        "content_sha256": bytes(sealed.content_sha256).hex(),
        "facts": [
            {"label": "Objective", "value": content["objective"]},
            {"label": "Criteria", "value": content["criteria"]},
            {"label": "Items", "value": f"{len(results)}, of which {results.count('fail')} failed"},
            {"label": "Findings", "value": str(len(content["findings"]))},
        ],
        "findings": content["findings"],
        "signatures": [signature_entry(signature) for signature in signatures],
        "report_sha256": bytes(report.sha256).hex() if report else "",
        "report_url": page_url(slug, "case-revision-report", then, then.revision) if report else None,
        "bundle_url": page_url(slug, "case-revision-bundle", then, then.revision),
    }
