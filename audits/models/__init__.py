"""Cases, what was found in them, who signed, and what was reported."""

from audits.models.case import Case, CaseEvent, CaseRevision, CaseType
from audits.models.grants import CaseUserObjectPermission
from audits.models.outcome import Finding, FindingKind, Meaning, Report, ReportDocument, ReportKind, Severity, Signature
from audits.models.population import CaseItem, Conclusion, Population, Sample, SelectedBy

__all__ = [
    "Case",
    "CaseEvent",
    "CaseItem",
    "CaseRevision",
    "CaseType",
    "CaseUserObjectPermission",
    "Conclusion",
    "Finding",
    "FindingKind",
    "Meaning",
    "Population",
    "Report",
    "ReportDocument",
    "ReportKind",
    "Sample",
    "SelectedBy",
    "Severity",
    "Signature",
]
