"""Shapes of the case API: what comes in is checked here, what goes out is built here."""

from typing import Any

from rest_framework import serializers

from audits.models import Case, CaseType
from audits.selectors import Progress
from audits.workflow import Action
from tenants.ledger.canonical import parse_strict


class CaseInput(serializers.Serializer[Any]):
    """A case to open. `filter` has the members of the decision list's query."""

    title = serializers.CharField(max_length=200)
    lead = serializers.EmailField(help_text="E-mail of the member who leads the case")
    filter = serializers.DictField(child=serializers.CharField(), required=False, default=dict)
    type = serializers.ChoiceField(choices=CaseType.choices, default=CaseType.PERIODIC)
    objective = serializers.CharField(required=False, default="", allow_blank=True)
    criteria = serializers.CharField(required=False, default="", allow_blank=True)
    due = serializers.DateField(required=False, default=None, allow_null=True)


class TransitionInput(serializers.Serializer[Any]):
    """A step to take. `version` (or `If-Match`) is the one that the caller saw."""

    action = serializers.CharField(max_length=20)
    reason = serializers.CharField(required=False, default="", allow_blank=True)
    version = serializers.IntegerField(required=False, default=None, allow_null=True)


class EvidenceInput(serializers.Serializer[Any]):
    """A file, and what it is evidence for, by numbers in the case. With `sha256`, other bytes are refused."""

    file = serializers.FileField()
    sha256 = serializers.RegexField(r"^[0-9a-f]{64}$", required=False, help_text="Of the file as you sent it")
    # The metaclass takes fields off the class: none hides the attribute `source` that every field has.
    source = serializers.CharField(max_length=300, required=False, default="", allow_blank=True)  # type: ignore[assignment]
    expires = serializers.DateField(required=False, default=None, allow_null=True)
    request = serializers.IntegerField(required=False, default=None, min_value=1, help_text="The request it answers")
    item = serializers.IntegerField(required=False, default=None, min_value=1)
    finding = serializers.IntegerField(required=False, default=None, min_value=1)
    supersedes = serializers.IntegerField(required=False, default=None, min_value=1, help_text="The file it replaces")


def case_summary(case: Case) -> dict[str, Any]:
    """One line of the list."""
    return {
        "id": str(case.pk),
        "number": case.number,
        "title": case.title,
        "type": case.type,
        "state": case.state,
        "revision": case.revision,
        "version": case.version,
        "lead": str(case.lead),
        "opened_at": case.opened_at,
        "due": case.due,
        "filter": parse_strict(bytes(case.scope_query)),
    }


def case_detail(
    case: Case, document: dict[str, Any], progress: Progress, actions: tuple[Action, ...]
) -> dict[str, Any]:
    """The whole case: what a signature covers, how far the work is, what the caller may do next."""
    return case_summary(case) | {
        "content": document,
        "progress": {"items": progress.total, "concluded": progress.concluded, "deviations": progress.deviations},
        "signatures": [
            {
                "name": signature.name_printed,
                "role": signature.role,
                "meaning": signature.meaning,
                "signed_at": signature.signed_at,
                "auth_methods": signature.auth_methods,
                "payload_sha256": bytes(signature.payload_sha256).hex(),
            }
            for signature in case.signatures.filter(revision=case.revision).order_by("id")
        ],
        "reports": [
            {
                "kind": report.kind,
                "sha256": bytes(report.sha256).hex(),
                "bytes": report.bytes,
                "file_sha256": report.file_sha256.hex(),
                "pades": report.pades or None,
                "built_at": report.built_at,
            }
            for report in case.reports.filter(revision=case.revision).order_by("id")
        ],
        "allowed": list(actions),
    }
