"""The case: what is examined, by whom, where it stands; its timeline; its sealed revisions."""

from datetime import date, datetime, timedelta
from typing import Any

from django.db import models
from django.utils import timezone

from audits.deadlines import paused_due
from audits.workflow import SEALED, WORKABLE, State
from tenants.models import TenantForeignKey, TenantModel


class CaseType(models.TextChoices):
    PERIODIC = "periodic", "Periodic review"
    TRIGGERED = "triggered", "Triggered review"
    INCIDENT = "incident", "Incident"
    EXPLANATION = "explanation", "Explanation"
    CONTEST = "contest", "Contested decision"
    ERASURE = "erasure", "Erasure"
    MODEL_CHANGE = "model_change", "Model change"
    POLICY_EXCEPTION = "policy_exception", "Policy exception"


def person(*, null: bool = False) -> "models.ForeignKey[Any, Any]":
    """A reference to a person, who outlives their membership."""
    return models.ForeignKey("tenants.User", on_delete=models.PROTECT, null=null, blank=null, related_name="+")


class Case(TenantModel):
    """An audit of decisions. `version` grows with each transition and is what a caller expects (If-Match);
    `revision` grows when a signed case is reopened."""

    number = models.IntegerField(editable=False)  # 1, 2, 3 … within the tenant
    type = models.CharField(max_length=20, choices=CaseType.choices, default=CaseType.PERIODIC)
    title = models.CharField(max_length=200)
    objective = models.TextField(blank=True)
    criteria = models.TextField(blank=True)
    scope_query = models.BinaryField()  # canonical JSON of a traces DecisionFilter
    state = models.CharField(max_length=20, choices=State.choices, default=State.DRAFT)
    held_from = models.CharField(max_length=20, choices=State.choices, blank=True)
    version = models.IntegerField(default=1)
    revision = models.IntegerField(default=1)
    lead = person()
    preparer = person(null=True)
    reviewer = person(null=True)
    due = models.DateField(null=True, blank=True)
    opened_at = models.DateTimeField(default=timezone.now, editable=False)
    state_at = models.DateTimeField(default=timezone.now, editable=False)
    held_for = models.DurationField(default=timedelta)  # in holds that have ended: the due date moves with it

    class Meta(TenantModel.Meta):
        default_permissions = ()
        permissions = (
            ("view_case", "Can read this case"),
            ("work_case", "Can work on this case"),
            ("review_case", "Can review this case"),
            ("sign_case", "Can sign this case"),
            ("open_payloads_of_case", "Can read the content of this case's decisions"),
        )
        constraints = (
            models.UniqueConstraint(fields=("tenant", "number"), name="case_number_unique"),
            models.CheckConstraint(condition=~models.Q(preparer=models.F("reviewer")), name="case_reviewer_is_another"),
            models.CheckConstraint(
                condition=models.Q(state=State.ON_HOLD) ^ models.Q(held_from=""), name="case_held_from_somewhere"
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "state", "number"), name="case_state"),
            models.Index(fields=("tenant", "due"), condition=models.Q(due__isnull=False), name="case_due"),
        )

    def __str__(self) -> str:
        return f"{self.reference} {self.title}"

    @property
    def reference(self) -> str:
        """How people call it: `C-12`."""
        return f"C-{self.number}"

    @property
    def is_workable(self) -> bool:
        """Whether items and findings may change now."""
        return self.state in WORKABLE

    @property
    def is_sealed(self) -> bool:
        """Whether the current revision is signed."""
        return self.state in SEALED

    @property
    def is_still(self) -> bool:
        """Whether nothing in it moves: held or cancelled."""
        return self.state in {State.ON_HOLD, State.CANCELLED}

    @property
    def sealed_revision(self) -> int:
        """The revision whose content stands fixed now, waiting for signatures or signed; 0: none."""
        fixed = self.is_sealed or State.PENDING_SIGNOFF in {self.state, self.held_from}
        return self.revision if fixed else 0

    def due_by(self, now: datetime) -> date | None:
        """The due date; it moves by the days that the case was, or is, on hold."""
        return paused_due(self.due, self.held_for, self.state_at if self.state == State.ON_HOLD else None, now)


class CaseEvent(TenantModel):
    """A line of the case's timeline, append-only. `id` is that of the ledger event it belongs to.

    A line about a finding, a request, a note, a file or a letter names it: these lines are its history, or custody.
    """

    case = TenantForeignKey(Case, on_delete=models.PROTECT, related_name="events")
    finding = TenantForeignKey("audits.Finding", on_delete=models.PROTECT, null=True, related_name="events")
    request = TenantForeignKey("audits.EvidenceRequest", on_delete=models.PROTECT, null=True, related_name="events")
    review_note = TenantForeignKey("audits.ReviewNote", on_delete=models.PROTECT, null=True, related_name="events")
    file = TenantForeignKey("audits.EvidenceFile", on_delete=models.PROTECT, null=True, related_name="events")
    letter = TenantForeignKey(
        "audits.Letter", on_delete=models.PROTECT, null=True, related_name="events", db_index=False
    )  # found through the case
    revision = models.IntegerField()
    follows = models.IntegerField(default=0)  # the sealed revision that it came after; 0: it is part of its content
    tag = models.CharField(max_length=64)
    action = models.CharField(max_length=20, blank=True)
    from_state = models.CharField(max_length=20, blank=True)  # of the case, or of what the line is about
    to_state = models.CharField(max_length=20, blank=True)
    actor = models.CharField(max_length=200)  # as the ledger names them
    actor_label = models.CharField(max_length=200)  # as people knew them then
    note = models.TextField(blank=True)
    data = models.JSONField(default=dict)  # what else was set: owner, due, until

    class Meta(TenantModel.Meta):
        indexes = (models.Index(fields=("tenant", "case", "id"), name="case_event_case"),)

    @property
    def is_about_case(self) -> bool:
        """Whether it tells of the case itself, and not of something in it."""
        return not (self.finding_id or self.request_id or self.review_note_id or self.file_id or self.letter_id)


class CaseRevision(TenantModel):
    """What was reviewed and is signed: the canonical content of one revision. Append-only."""

    case = TenantForeignKey(Case, on_delete=models.PROTECT, related_name="revisions")
    revision = models.IntegerField()
    content = models.BinaryField()  # canonical JSON (audits.content)
    content_sha256 = models.BinaryField(max_length=32)
    sealed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=("tenant", "case", "revision"), name="case_revision_unique"),)
