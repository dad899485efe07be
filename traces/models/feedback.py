"""What people and programs think of a decision."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from tenants.models import TenantForeignKey, TenantModel


class Feedback(TenantModel):
    """A judgement on a decision. Append-only: a correction is another row, which `supersedes` the first.

    Its comment, if there is one, is a `Remark` of the same id: it can be erased, this cannot.
    """

    decision_id = models.UUIDField()
    name = models.CharField(max_length=60)  # what is judged: helpful, correct, tone, …
    label = models.CharField(max_length=60, blank=True)
    score = models.FloatField(null=True)
    given_by = models.CharField(max_length=200, blank=True)  # as the application names who said so
    actor = models.CharField(max_length=200)
    has_comment = models.BooleanField()
    supersedes_id = models.UUIDField(null=True)
    request_id = models.UUIDField(null=True)  # from the Idempotency-Key
    fingerprint = models.BinaryField(max_length=32)
    given_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = "feedback"
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "supersedes_id"),
                condition=models.Q(supersedes_id__isnull=False),
                name="feedback_superseded_once",
            ),
            models.UniqueConstraint(
                fields=("tenant", "request_id"), condition=models.Q(request_id__isnull=False), name="feedback_request"
            ),
            models.CheckConstraint(
                condition=models.Q(score__isnull=False) | ~models.Q(label="") | models.Q(has_comment=True),
                name="feedback_says_something",
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "decision_id", "id"), name="feedback_decision"),
            models.Index(fields=("tenant", "label", "decision_id"), name="feedback_label"),
        )

    def __str__(self) -> str:
        return f"{self.name}: {self.label or self.score}"


class ThumbKey(TenantModel):
    """What an application's own pages send thumbs with. Public by intent: it stands in their source.

    It judges decisions of one source, by their unguessable id, from pages of `origins`, and does nothing else.
    """

    name = models.CharField(max_length=60)
    source = TenantForeignKey("tenants.SourceSystem", on_delete=models.PROTECT, related_name="+", db_index=False)
    origins = ArrayField(models.CharField(max_length=200))
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "name"), name="thumb_key_name_unique"),
            models.CheckConstraint(condition=models.Q(origins__len__gt=0), name="thumb_key_has_origin"),
        )

    def __str__(self) -> str:
        return self.name
