"""Cases, what was found in them, who signed, and what was reported."""

from audits.models.alert import AlertCase, AlertRule
from audits.models.case import Case, CaseEvent, CaseRevision, CaseType
from audits.models.erasure import Erasure, Ground
from audits.models.evidence import EvidenceContent, EvidenceFile, EvidenceRequest
from audits.models.grants import CaseUserObjectPermission
from audits.models.hold import Hold, HoldScope
from audits.models.letter import Letter
from audits.models.outcome import (
    Finding,
    FindingKind,
    Meaning,
    Pades,
    Report,
    ReportDocument,
    ReportKind,
    Severity,
    Signature,
)
from audits.models.population import CaseItem, Conclusion, Population, Sample, SelectedBy
from audits.models.retention import Purge, PurgeState, RetentionRule
from audits.models.workpapers import CaseClock, Procedure, ReviewNote, TestStep

__all__ = [
    "AlertCase",
    "AlertRule",
    "Case",
    "CaseClock",
    "CaseEvent",
    "CaseItem",
    "CaseRevision",
    "CaseType",
    "CaseUserObjectPermission",
    "Conclusion",
    "Erasure",
    "EvidenceContent",
    "EvidenceFile",
    "EvidenceRequest",
    "Finding",
    "FindingKind",
    "Ground",
    "Hold",
    "HoldScope",
    "Letter",
    "Meaning",
    "Pades",
    "Population",
    "Procedure",
    "Purge",
    "PurgeState",
    "Report",
    "ReportDocument",
    "ReportKind",
    "RetentionRule",
    "ReviewNote",
    "Sample",
    "SelectedBy",
    "Severity",
    "Signature",
    "TestStep",
]
