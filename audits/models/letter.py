"""Letters to the people whom decisions concern: what is told to each, who approved it, when it left."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from audits.lifecycles import LetterState
from audits.models.case import Case, person
from audits.models.population import CaseItem
from tenants.models import TenantForeignKey, TenantModel

LEFT = (LetterState.APPROVED, LetterState.SENT)


class Letter(TenantModel):
    """An explanation of one decision (AI Act, Art. 86). Its words lie beside the decision's content, under the
    subject's key (`traces.meaning.remarks`), and go when that goes; the row, the hashes and the leaves stay."""

    case = TenantForeignKey(Case, on_delete=models.PROTECT, related_name="letters")
    item = TenantForeignKey(CaseItem, on_delete=models.PROTECT, related_name="letters")
    number = models.IntegerField()
    state = models.CharField(max_length=20, choices=LetterState.choices, default=LetterState.DRAFT)
    version = models.IntegerField(default=1)
    text_id = models.UUIDField()  # of the sealed words as they now are
    text_sha256 = models.BinaryField(max_length=32)
    document_id = models.UUIDField(null=True)  # of the sealed PDF, once it is approved
    pdf_sha256 = models.BinaryField(max_length=32, null=True)
    written_by = person()  # who changed its words last
    written_at = models.DateTimeField(default=timezone.now)
    approved_by = person(null=True)
    approved_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "case", "number"), name="letter_number_unique"),
            models.CheckConstraint(condition=~Q(approved_by=models.F("written_by")), name="letter_approved_by_another"),
            models.CheckConstraint(
                condition=Q(approved_by=None, approved_at=None, document_id=None, pdf_sha256=None)
                | Q(approved_by__isnull=False, approved_at__isnull=False, document_id__isnull=False)
                & Q(pdf_sha256__isnull=False),
                name="letter_approved_whole",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=LEFT) | Q(approved_by__isnull=False), name="letter_leaves_approved"
            ),
            models.CheckConstraint(
                condition=Q(state=LetterState.SENT, sent_at__isnull=False)
                | ~Q(state=LetterState.SENT) & Q(sent_at__isnull=True),
                name="letter_sent_sometime",
            ),
        )

    @property
    def reference(self) -> str:
        """How people call it within its case: `L-1`."""
        return f"L-{self.number}"
