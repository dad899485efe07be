"""Requests to erase a person's data: asked for by one, approved by another, carried out by a worker."""

from django.db import models
from django.utils import timezone

from audits.lifecycles import ErasureState
from tenants.models import TenantModel

DECIDED = (ErasureState.APPROVED, ErasureState.RUNNING, ErasureState.COMPLETED)


class Ground(models.TextChoices):
    """Article 17(1) GDPR, by its letters."""

    NOT_NEEDED = "a", "No longer needed for its purpose"
    WITHDRAWN = "b", "Consent was withdrawn"
    OBJECTION = "c", "The person objects"
    UNLAWFUL = "d", "It was processed unlawfully"
    DUTY = "e", "A law demands it"
    CHILD = "f", "Offered to a child"


class Erasure(TenantModel):
    """A data subject's erasure. Their name is sealed, and gone once it is done: what stays is a keyed hash of it, by
    which a restored backup can be erased again. Requester and decider are as the ledger names them."""

    number = models.IntegerField(editable=False)  # 1, 2, 3 … within the tenant
    subject_hmac = models.BinaryField(max_length=32)
    sealed_subject = models.BinaryField(default=bytes)
    ground = models.CharField(max_length=1, choices=Ground.choices)
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=20, choices=ErasureState.choices, default=ErasureState.REQUESTED)
    requested_by = models.CharField(max_length=200)
    requested_label = models.CharField(max_length=200)
    requested_at = models.DateTimeField(default=timezone.now, editable=False)
    decided_by = models.CharField(max_length=200, blank=True)
    decided_label = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)
    decision_note = models.CharField(max_length=500, blank=True)
    held_by = models.CharField(max_length=20, blank=True)  # the hold that it last stopped at
    removed = models.JSONField(default=dict)  # what → how many, so far
    completed_at = models.DateTimeField(null=True)
    certificate = models.BinaryField(default=bytes)  # canonical JSON
    certificate_note = models.TextField(blank=True)  # signed note over its digest

    class Meta(TenantModel.Meta):
        verbose_name = "erasure request"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "number"), name="erasure_number_unique"),
            models.CheckConstraint(
                condition=~models.Q(decided_by=models.F("requested_by")), name="erasure_decided_by_another"
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=DECIDED) | ~models.Q(decided_by=""), name="erasure_decided"
            ),
            models.CheckConstraint(
                condition=~models.Q(state=ErasureState.COMPLETED)
                | models.Q(sealed_subject=b"", completed_at__isnull=False) & ~models.Q(certificate=b""),
                name="erasure_completed_whole",
            ),
        )
        indexes = (models.Index(fields=("tenant", "state", "number"), name="erasure_state"),)

    def __str__(self) -> str:
        return self.reference

    @property
    def reference(self) -> str:
        """How people call it: `ER-3`."""
        return f"ER-{self.number}"

    @property
    def spoken_reason(self) -> str:
        """What stands in the content's place."""
        return f"{self.reference}: erasure at the request of the data subject"
