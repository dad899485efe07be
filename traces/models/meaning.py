"""What decisions mean, as numbers: embeddings with their queue, and what evaluators found."""

from typing import Any

from django.db import models
from django.utils import timezone

from tenants.models import TenantForeignKey, TenantModel
from tenants.models.base import TenantRow
from traces.models.decision import Deployment

DIMENSIONS = 384


class SignField(models.Field):  # type: ignore[type-arg]  # no generic at run time
    """PostgreSQL's bit(384): the signs of a vector. A search compares these before it reads any vector."""

    def db_type(self, connection: Any) -> str:
        return f"bit({DIMENSIONS})"


class Embedding(TenantModel):
    """A decision's question and answer as vectors; `id` is the decision's. Goes with the content: by trigger.

    What is said twice is encoded once: the digests are keyed hashes of the texts, and a known text's vector is copied.
    Each row holds its own copy all the same, so that one decision's can be erased without asking about another's.
    """

    deployment = TenantForeignKey(Deployment, on_delete=models.PROTECT, related_name="+", db_index=False)
    subject_key = TenantForeignKey("tenants.SubjectKey", on_delete=models.PROTECT, related_name="+", db_index=False)
    occurred_at = models.DateTimeField()
    version = models.SmallIntegerField()  # `traces.meaning.encoder.VERSION`
    asked_digest = models.BinaryField(max_length=16, null=True)
    answered_digest = models.BinaryField(max_length=16, null=True)
    asked_signs = SignField(null=True)
    answered_signs = SignField(null=True)
    asked = models.BinaryField(null=True)  # float32 × 384, kept apart from the row by PostgreSQL (see the migration)
    answered = models.BinaryField(null=True)

    class Meta(TenantModel.Meta):
        indexes = (
            models.Index(fields=("tenant", "occurred_at", "id"), name="embedding_time"),
            models.Index(fields=("tenant", "deployment", "occurred_at", "id"), name="embedding_deployment"),
            models.Index(fields=("tenant", "asked_digest"), name="embedding_asked"),
            models.Index(fields=("tenant", "answered_digest"), name="embedding_answered"),
            models.Index(fields=("tenant", "subject_key"), name="embedding_subject"),
        )


class MeaningWork(models.IntegerChoices):
    EMBED = 1, "Embed and assess"
    JUDGE = 2, "Ask the judge"


class MeaningQueue(TenantRow):
    """Decisions that are not embedded, or not judged, yet; one leaves in the transaction that stores what was found."""

    pk = models.CompositePrimaryKey("tenant_id", "work", "id")
    work = models.SmallIntegerField(choices=MeaningWork.choices)
    id = models.UUIDField()  # a decision's
    tried = models.SmallIntegerField(default=0, db_default=0)


class Assessment(TenantModel):
    """What one version of one evaluator found about one decision. Append-only, and free of anybody's words.

    `score` is a probability or a similarity between 0 and 1, as the evaluator says; `figures` are numbers behind it.
    """

    decision_id = models.UUIDField()
    evaluator = models.CharField(max_length=60)
    version = models.CharField(max_length=100)
    score = models.FloatField(null=True)
    label = models.CharField(max_length=60)
    figures = models.JSONField(default=dict)
    cost_micros = models.BigIntegerField(null=True)  # 0: it ran here; none: no price is known of the judge's model
    currency = models.CharField(max_length=3, blank=True)
    took_us = models.BigIntegerField()
    assessed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "decision_id", "evaluator", "version"), name="assessment_once"),
        )


class Remark(TenantModel):
    """Words about a decision, of a person or a judge, or a letter that tells of it, sealed under its subject's key.

    `id` is the feedback's or the assessment's; a letter names its own. Goes with the decision's content: by trigger.
    """

    decision_id = models.UUIDField()
    subject_key = TenantForeignKey("tenants.SubjectKey", on_delete=models.PROTECT, related_name="+", db_index=False)
    sealed = models.BinaryField()

    class Meta(TenantModel.Meta):
        indexes = (models.Index(fields=("tenant", "decision_id"), name="remark_decision"),)
