"""The decision record: what is committed to in the log, its searchable projection, and its erasable content."""

from django.db import models

from tenants.models import TenantForeignKey, TenantModel
from tenants.models.base import TenantRow


class Deployment(TenantModel):
    """An AI application in one place doing one task: system × environment × task. Baselines and filters hang on it."""

    system = models.CharField(max_length=200)
    environment = models.CharField(max_length=100, blank=True)
    task = models.CharField(max_length=200, blank=True)
    first_seen_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "system", "environment", "task"), name="deployment_unique"),
        )

    def __str__(self) -> str:
        return " · ".join(part for part in (self.system, self.environment, self.task) if part)


class ModelVersion(TenantModel):
    """What answered: provider, model, version, and the prompt it was given. Content-addressed by `sha256`."""

    sha256 = models.BinaryField(max_length=32)
    provider = models.CharField(max_length=100, blank=True)
    name = models.CharField(max_length=200, blank=True)
    version = models.CharField(max_length=200, blank=True)
    prompt_name = models.CharField(max_length=200, blank=True)
    prompt_version = models.CharField(max_length=100, blank=True)
    first_seen_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=("tenant", "sha256"), name="model_version_unique"),)

    def __str__(self) -> str:
        return " ".join(part for part in (self.name, self.version) if part) or "unknown model"


class Pairing(TenantRow):
    """A model version that has answered in a deployment: so that a filter for two that never met reads nothing."""

    pk = models.CompositePrimaryKey("tenant_id", "deployment_id", "model_version_id")
    deployment_id = models.UUIDField()
    model_version_id = models.UUIDField()


class PolicyMatch(models.TextChoices):
    """How the policy set that the application claims relates to the one in force at `occurred_at`."""

    MATCH = "match", "Claim matches"
    STALE = "stale", "Claims an older set"
    FUTURE = "future", "Claims a set not yet in force"
    UNKNOWN = "unknown", "Claims a set nobody knows"
    NONE = "none", "No claim"


FAILED = "error"  # the outcome of an AI action that ended in one, by its span's status or the application's own word


class Decision(TenantModel):
    """One AI action. Append-only; its received time is the timestamp inside its UUIDv7 id.

    The columns are a projection for lists and filters. What was hashed is in `DecisionPayload`, byte for byte.
    """

    deployment = TenantForeignKey(Deployment, on_delete=models.PROTECT, related_name="+", db_index=False)
    model_version = TenantForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+", db_index=False)
    source = TenantForeignKey("tenants.SourceSystem", on_delete=models.PROTECT, related_name="+", db_index=False)
    occurred_at = models.DateTimeField()
    source_seq = models.BigIntegerField(null=True)
    external_id = models.TextField()
    system_version = models.TextField()
    trace_id = models.UUIDField(null=True)  # 16 bytes of W3C trace id, as they are
    span_id = models.BigIntegerField(null=True)  # 8 bytes, as a signed 64-bit number
    parent_span_id = models.BigIntegerField(null=True)
    session = models.TextField()
    user = models.TextField()
    agent = models.TextField()
    instance = models.TextField()
    input_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)
    cache_read_tokens = models.BigIntegerField(null=True)
    cache_write_tokens = models.BigIntegerField(null=True)
    reasoning_tokens = models.BigIntegerField(null=True)
    latency_ms = models.BigIntegerField(null=True)
    cost_micros = models.BigIntegerField(null=True)  # none: no price is known
    saved_micros = models.BigIntegerField(null=True)  # by caches
    currency = models.CharField(max_length=3, null=True)  # noqa: DJ001  a column added to a table that is never rewritten
    price_sha256 = models.BinaryField(max_length=32, null=True)  # of the price's document
    outcome = models.TextField()
    adverse = models.BooleanField(null=True)
    verdict = models.TextField()
    action = models.TextField()
    policy_set = models.BinaryField(max_length=32)
    policy_match = models.CharField(max_length=8, choices=PolicyMatch.choices)
    late = models.BooleanField()
    clock_skewed = models.BooleanField()  # it claims to have happened later than it was received
    leaf_hash = models.BinaryField(max_length=32)

    class Meta(TenantModel.Meta):
        indexes = (
            models.Index(fields=("tenant", "occurred_at", "id"), name="decision_time"),
            models.Index(fields=("tenant", "deployment", "occurred_at", "id"), name="decision_deployment"),
            models.Index(fields=("tenant", "model_version", "occurred_at", "id"), name="decision_model"),
            models.Index(
                fields=("tenant", "user", "occurred_at", "id"), name="decision_user", condition=~models.Q(user="")
            ),
            models.Index(
                fields=("tenant", "session", "occurred_at", "id"),
                name="decision_session",
                condition=~models.Q(session=""),
            ),
            models.Index(
                fields=("tenant", "trace_id"), name="decision_trace", condition=models.Q(trace_id__isnull=False)
            ),
            models.Index(
                fields=("tenant", "source", "source_seq"),
                name="decision_source_seq",
                condition=models.Q(source_seq__isnull=False),
            ),
            models.Index(
                fields=("tenant", "action", "occurred_at", "id"),
                name="decision_action",
                condition=~models.Q(action="allow"),
            ),
            models.Index(
                fields=("tenant", "occurred_at", "id"), name="decision_failed", condition=models.Q(outcome=FAILED)
            ),
        )

    def __str__(self) -> str:
        return str(self.id)


class DecisionPayload(TenantModel):
    """The content that was committed to, encrypted under the subject's key. Can be erased; the record stays.

    `sealed` holds, before encryption, the canonical bytes of each field group and the salt of its commitment
    (`traces.sealing`). `id` is the decision's.
    """

    subject_key = TenantForeignKey("tenants.SubjectKey", on_delete=models.PROTECT, related_name="+", db_index=False)
    sealed = models.BinaryField()

    class Meta(TenantModel.Meta):
        indexes = (models.Index(fields=("tenant", "subject_key"), name="decision_payload_subject"),)


class Submission(TenantModel):
    """What makes a retry safe: one row for each idempotency key and each (source, external id).

    `id` is derived from the kind and the key (UUIDv5), so the primary key is the uniqueness.
    """

    fingerprint = models.BinaryField(max_length=32)
    answer = models.BinaryField()  # what the first request was told, as canonical JSON


class RuleHit(TenantModel):
    """A policy rule that triggered, or failed, on a decision: few rows, for filters and for policy pages."""

    decision_id = models.UUIDField()
    policy = models.TextField()
    rule = models.TextField()
    outcome = models.CharField(max_length=16)
    action = models.TextField()
    occurred_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        indexes = (
            models.Index(fields=("tenant", "policy", "occurred_at", "decision_id"), name="rule_hit_policy"),
            models.Index(fields=("tenant", "decision_id"), name="rule_hit_decision"),
        )
