"""What a case asks for and gets: requests for evidence, and files, which are superseded and never overwritten.

Where the bytes are. They lie in the database, sealed with the tenant's key, in a table apart from the record of the
file. A folder of content-addressed files was considered: it would need its own isolation between tenants, its own
backup that agrees with the database's to the transaction, and its own erasure. Files of evidence are small (at most
25 MiB, see `audits.filetypes`) and few (tens a case), and the row, its leaf and its bytes must commit together. Who
collects gigabytes names their SHA-256 and their place in the answer to a request.
"""

from django.db import models
from django.utils import timezone

from audits.lifecycles import RequestState
from audits.models.case import Case, person
from audits.models.outcome import Finding
from audits.models.population import CaseItem
from tenants.models import TenantForeignKey, TenantModel


class EvidenceRequest(TenantModel):
    """Something that the auditors need from somebody. `is_blocking`: the case waits for it. Overdue is derived."""

    case = TenantForeignKey(Case, on_delete=models.PROTECT, related_name="requests")
    item = TenantForeignKey(CaseItem, on_delete=models.PROTECT, null=True, blank=True, related_name="requests")
    number = models.IntegerField()
    title = models.CharField(max_length=200)
    detail = models.TextField(blank=True)
    addressee = person(null=True)  # nobody: whoever answers for the organisation
    due = models.DateField(null=True, blank=True)
    is_blocking = models.BooleanField(default=True)
    state = models.CharField(max_length=20, choices=RequestState.choices, default=RequestState.OPEN)
    version = models.IntegerField(default=1)
    revision = models.IntegerField()
    asked_by = person()
    asked_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=("tenant", "case", "number"), name="request_number_unique"),)
        indexes = (models.Index(fields=("tenant", "due"), condition=models.Q(due__isnull=False), name="request_due"),)

    @property
    def reference(self) -> str:
        """How people call it within its case: `R-2`."""
        return f"R-{self.number}"


class EvidenceFile(TenantModel):
    """A file as it was handed in. Append-only: a better one supersedes it."""

    case = TenantForeignKey(Case, on_delete=models.PROTECT, related_name="files")
    request = TenantForeignKey(EvidenceRequest, on_delete=models.PROTECT, null=True, related_name="files")
    item = TenantForeignKey(CaseItem, on_delete=models.PROTECT, null=True, related_name="files")
    finding = TenantForeignKey(Finding, on_delete=models.PROTECT, null=True, related_name="files")
    supersedes = TenantForeignKey("self", on_delete=models.PROTECT, null=True, related_name="superseded_by")
    number = models.IntegerField()
    name = models.CharField(max_length=150)
    media_type = models.CharField(max_length=100)  # by its bytes, whatever its name says
    bytes = models.BigIntegerField()
    sha256 = models.BinaryField(max_length=32)
    source = models.CharField(max_length=300, blank=True)  # where the collector had it from
    expires = models.DateField(null=True, blank=True)
    revision = models.IntegerField()
    follows = models.IntegerField(default=0)  # the sealed revision that it came after; 0: it is part of its content
    collected_by = models.CharField(max_length=200)  # as the ledger names them
    collected_label = models.CharField(max_length=200)  # as people knew them then
    collected_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "case", "number"), name="evidence_number_unique"),
            models.UniqueConstraint(fields=("tenant", "supersedes"), name="evidence_superseded_once"),
            models.CheckConstraint(condition=~models.Q(supersedes=models.F("id")), name="evidence_not_by_itself"),
        )

    @property
    def reference(self) -> str:
        """How people call it within its case: `E-4`."""
        return f"E-{self.number}"


class EvidenceContent(TenantModel):
    """The bytes of a file, sealed with the tenant's key; they can be erased, the record that it existed stays."""

    sealed = models.BinaryField()
