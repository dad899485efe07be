"""What came of a case: findings, signatures, reports."""

import builtins
from datetime import date

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from audits.models.case import Case, person
from audits.models.population import CaseItem
from audits.workflow import FindingState
from tenants.models import TenantForeignKey, TenantModel


class FindingKind(models.TextChoices):
    MAJOR = "major_nonconformity", "Major nonconformity"
    MINOR = "minor_nonconformity", "Minor nonconformity"
    OBSERVATION = "observation", "Observation"
    EXCEPTION = "exception", "Exception"


class Severity(models.TextChoices):
    CRITICAL = "critical", "Critical"
    HIGH = "high", "High"
    MEDIUM = "medium", "Medium"
    LOW = "low", "Low"
    INFO = "info", "Informational"


class Finding(TenantModel):
    """What is wrong, by the five C's: criteria, condition, cause, consequence (effect), corrective recommendation."""

    case = TenantForeignKey(Case, on_delete=models.PROTECT, related_name="findings")
    item = TenantForeignKey(CaseItem, on_delete=models.PROTECT, null=True, blank=True, related_name="findings")
    number = models.IntegerField()
    kind = models.CharField(max_length=20, choices=FindingKind.choices)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    criteria = models.TextField()
    condition = models.TextField()
    cause = models.TextField(blank=True)
    effect = models.TextField(blank=True)
    recommendation = models.TextField(blank=True)
    response = models.TextField(blank=True)
    corrective_action = models.TextField(blank=True)
    effectiveness_check = models.TextField(blank=True)
    owner = person(null=True)
    due = models.DateField(null=True, blank=True)
    accepted_until = models.DateField(null=True, blank=True)
    accepted_by = person(null=True)
    transferred_to = TenantForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="came_from", db_index=False
    )
    state = models.CharField(max_length=20, choices=FindingState.choices, default=FindingState.DRAFT)
    version = models.IntegerField(default=1)
    written_by = person()
    written_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "case", "number"), name="finding_number_unique"),
            models.CheckConstraint(condition=~models.Q(owner=models.F("accepted_by")), name="finding_risk_by_another"),
            models.CheckConstraint(
                condition=~models.Q(state=FindingState.RISK_ACCEPTED)
                | models.Q(accepted_until__isnull=False, accepted_by__isnull=False),
                name="finding_risk_accepted_whole",
            ),
            models.CheckConstraint(
                condition=~models.Q(state=FindingState.CLOSED) | ~models.Q(effectiveness_check=""),
                name="finding_closed_after_check",
            ),
            models.CheckConstraint(
                condition=~models.Q(state=FindingState.TRANSFERRED) | models.Q(transferred_to__isnull=False),
                name="finding_transferred_somewhere",
            ),
            models.CheckConstraint(
                condition=~models.Q(transferred_to=models.F("id")), name="finding_transferred_elsewhere"
            ),
            models.UniqueConstraint(fields=("tenant", "transferred_to"), name="finding_transferred_once"),
        )
        indexes = (
            models.Index(
                fields=("tenant", "accepted_until"),
                condition=models.Q(state=FindingState.RISK_ACCEPTED),
                name="finding_risk_until",
            ),
            models.Index(fields=("tenant", "due"), condition=models.Q(due__isnull=False), name="finding_due"),
        )

    def is_lapsed(self, today: date) -> bool:
        """Whether the risk was accepted until a day that is past: it counts as open."""
        return self.state == FindingState.RISK_ACCEPTED and bool(self.accepted_until and self.accepted_until < today)

    def state_on(self, today: date) -> FindingState:
        """The state, whether or not the task has noticed that an accepted risk has run out."""
        return FindingState.OPEN if self.is_lapsed(today) else FindingState(self.state)

    @property
    def reference(self) -> str:
        """How people call it within its case: `F-3`."""
        return f"F-{self.number}"


class Meaning(models.TextChoices):
    """What a signature means (21 CFR 11.50); a case is signed when there is one of each, by different people."""

    RESPONSIBILITY = "responsibility", "I am responsible for this examination and its conclusions"
    APPROVAL = "approval", "I reviewed this examination and approve its conclusions"


class Signature(TenantModel):
    """A person's signature on one revision, bound to its content. Append-only. `id` is its ledger event's."""

    case = TenantForeignKey(Case, on_delete=models.PROTECT, related_name="signatures")
    revision = models.IntegerField()
    signer = person()
    role = models.CharField(max_length=20)
    meaning = models.CharField(max_length=20, choices=Meaning.choices)
    name_printed = models.CharField(max_length=200)
    signed_at = models.DateTimeField()
    auth_methods = ArrayField(models.CharField(max_length=20))
    payload_sha256 = models.BinaryField(max_length=32)  # the revision's content_sha256

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "case", "revision", "signer"), name="signature_signer_unique"),
            models.UniqueConstraint(fields=("tenant", "case", "revision", "meaning"), name="signature_meaning_unique"),
            models.CheckConstraint(
                condition=~models.Q(name_printed="") & ~models.Q(role="") & models.Q(auth_methods__len__gt=0),
                name="signature_whole",
            ),
        )


class ReportKind(models.TextChoices):
    DRAFT = "draft", "Draft"
    FINAL = "final", "Final"


class Pades(models.TextChoices):
    """The baseline level of the file's own signature (ETSI EN 319 142-1)."""

    B = "B-B", "PAdES B-B"
    T = "B-T", "PAdES B-T, with a time stamp"


class Report(TenantModel):
    """A PDF that was built: its hashes are in a leaf. Append-only. `id` is that of its ledger event.

    `sha256` and `bytes` are of the document as it was rendered: the same content gives the same. Where the instance
    signs reports (PAdES), the file is longer: those bytes, then the signature. `signed_sha256` is of the whole file.
    """

    case = TenantForeignKey(Case, on_delete=models.PROTECT, related_name="reports")
    revision = models.IntegerField()
    kind = models.CharField(max_length=10, choices=ReportKind.choices)
    content_sha256 = models.BinaryField(max_length=32)  # of the case's content that it shows
    sha256 = models.BinaryField(max_length=32)
    bytes = models.BigIntegerField()
    signed_sha256 = models.BinaryField(max_length=32, null=True)
    pades = models.CharField(max_length=3, choices=Pades.choices, blank=True)
    certificate_sha256 = models.BinaryField(max_length=32, null=True)
    built_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "case", "revision"),
                condition=models.Q(kind=ReportKind.FINAL),
                name="report_final_once",
            ),
            models.CheckConstraint(
                condition=models.Q(pades="", signed_sha256__isnull=True, certificate_sha256__isnull=True)
                | (~models.Q(pades="") & models.Q(signed_sha256__isnull=False, certificate_sha256__isnull=False)),
                name="report_pades_whole",
            ),
        )
        indexes = (models.Index(fields=("tenant", "case", "id"), name="report_case"),)

    @property
    def file_sha256(self) -> builtins.bytes:
        """SHA-256 of the file as it is handed out."""
        return builtins.bytes(self.signed_sha256 or self.sha256)


class ReportDocument(TenantModel):
    """The bytes of a report, apart from it: they can be erased, the record that they existed stays. `id` is its."""

    pdf = models.BinaryField()
