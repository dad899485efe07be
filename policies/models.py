"""Policies: identity, immutable versions, what people decided about them, and when each applied."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.utils import timezone

from policies.lifecycle import OPEN_STAGES, Run, Stage
from tenants.models import TenantForeignKey, TenantModel


class Mode(models.TextChoices):
    ENFORCE = "enforce", "Enforced"
    SHADOW = "shadow", "Shadow"


class Policy(TenantModel):
    """A policy's identity; what it says is in its versions."""

    slug = models.CharField(max_length=100)
    title = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = "policy"
        verbose_name_plural = "policies"
        constraints = (models.UniqueConstraint(fields=("tenant", "slug"), name="policy_slug_unique"),)

    def __str__(self) -> str:
        return self.title


class PolicyVersion(TenantModel):
    """What a policy says, content-addressed: `sha256` is of the canonical document. Never changed."""

    policy = TenantForeignKey(Policy, on_delete=models.PROTECT, related_name="versions")
    number = models.IntegerField()
    sha256 = models.BinaryField(max_length=32)
    source = models.TextField()  # as its author typed it
    canonical = models.BinaryField()
    risk_class = models.CharField(max_length=10)
    change_reason = models.TextField(blank=True)
    author = models.ForeignKey("tenants.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "policy", "number"), name="policy_version_number_unique"),
        )

    def __str__(self) -> str:
        return f"{self.policy.slug} v{self.number}"


class PolicyReview(TenantModel):
    """What people decided about a version. A policy has at most one version in the making: the database refuses two.

    `round` counts submissions: approvals of an earlier one do not count. `revision` rises with every step.
    """

    policy = TenantForeignKey(Policy, on_delete=models.PROTECT, related_name="reviews")
    version = TenantForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="reviews")
    stage = models.CharField(
        max_length=12, choices=[(stage.value, stage.value) for stage in Stage], default=Stage.DRAFT
    )
    revision = models.IntegerField(default=1)
    round = models.IntegerField(default=0)
    requester = models.ForeignKey("tenants.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    submitted_at = models.DateTimeField(null=True, blank=True)
    quorum = models.JSONField(default=dict, blank=True)  # frozen at submission: needed, approvers, contributors
    approved_until = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "version"), name="policy_review_version_unique"),
            models.UniqueConstraint(
                fields=("tenant", "policy"),
                condition=models.Q(stage__in=[stage.value for stage in OPEN_STAGES]),
                name="policy_review_one_open",
            ),
        )


class PolicyApproval(TenantModel):
    """A person's yes or no to exactly one statement: content, difference, backtest, quorum and meaning.

    `statement` is canonical JSON and ends in a nonce that can be used once.
    """

    review = TenantForeignKey(PolicyReview, on_delete=models.PROTECT, related_name="approvals")
    round = models.IntegerField()
    approver = models.ForeignKey("tenants.User", on_delete=models.PROTECT, related_name="+")
    is_approved = models.BooleanField()
    statement = models.BinaryField()
    nonce = models.CharField(max_length=32)
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "review", "round", "approver"), name="policy_approval_once_a_person"
            ),
            models.UniqueConstraint(fields=("tenant", "nonce"), name="policy_approval_nonce_unique"),
        )


class PolicyActivation(TenantModel):
    """When a version applies. Ranges of one policy and mode never overlap: the database refuses.

    Closing sets the upper bound, the lower one never changes, and nothing starts before it was recorded. What was
    known when is kept: `past_ends` has each earlier end and until when it was the record, `closed_at` when the present
    one became it. `planned_end` is the end it would have had.
    """

    policy = TenantForeignKey(Policy, on_delete=models.PROTECT, related_name="activations")
    version = TenantForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="activations")
    mode = models.CharField(max_length=10, choices=Mode.choices, default=Mode.ENFORCE)
    effective = DateTimeRangeField()
    recorded_at = models.DateTimeField(default=timezone.now, editable=False)
    activated_by = models.ForeignKey("tenants.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    planned_end = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    past_ends = models.JSONField(default=list, blank=True)  # [[believed until, end or null], …] in RFC 3339
    ended_as = models.CharField(max_length=12, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    is_break_glass = models.BooleanField(default=False)
    reason = models.TextField(blank=True)

    class Meta(TenantModel.Meta):
        constraints = (
            ExclusionConstraint(
                name="policy_activation_no_overlap",
                expressions=[
                    ("tenant", RangeOperators.EQUAL),
                    ("policy", RangeOperators.EQUAL),
                    ("mode", RangeOperators.EQUAL),
                    ("effective", RangeOperators.OVERLAPS),
                ],
                condition=models.Q(cancelled_at__isnull=True),
            ),
            models.CheckConstraint(
                condition=models.Q(effective__isempty=False)
                & models.Q(effective__lower_inf=False)
                & models.Q(effective__startswith__gte=models.F("recorded_at")),
                name="policy_activation_range",
            ),
        )

    @property
    def run(self) -> Run:
        """As the lifecycle sees it."""
        return Run(self.effective.lower, self.effective.upper, self.ended_as)


class PolicyFollowUp(TenantModel):
    """A break-glass activation that somebody must look into: polled from above, which opens the case."""

    activation = TenantForeignKey(PolicyActivation, on_delete=models.PROTECT, related_name="follow_ups")
    reason = models.TextField()
    raised_at = models.DateTimeField(default=timezone.now, editable=False)
    due_at = models.DateTimeField()
    case_id = models.UUIDField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=("tenant", "activation"), name="policy_follow_up_unique"),)


class PolicyBacktest(TenantModel):
    """A version replayed over stored decisions; `result` is canonical JSON, final once `state` is done."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        CANCELLED = "cancelled", "Cancelled"
        FAILED = "failed", "Failed"

    version = TenantForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="backtests")
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    since = models.DateTimeField()
    until = models.DateTimeField()
    system = models.CharField(max_length=200, blank=True)
    cursor = models.CharField(max_length=64, blank=True)  # where the next chunk begins: the replayer's own mark
    processed = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True, blank=True)
    result = models.BinaryField(default=bytes)
    sha256 = models.BinaryField(max_length=32, default=bytes)
    message = models.TextField(blank=True)
    requested_by = models.ForeignKey("tenants.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        indexes = (models.Index(fields=("tenant", "version", "-created_at"), name="policy_backtest_by_version"),)


class PolicySet(TenantModel):
    """The versions in force together somewhere, content-addressed: what a decision says it was judged by."""

    sha256 = models.BinaryField(max_length=32)
    members = models.BinaryField()  # canonical JSON: [[policy slug, version sha256 hex, mode], …]
    first_used_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=("tenant", "sha256"), name="policy_set_unique"),)
