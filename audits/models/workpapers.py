"""The working papers of a case: procedures with what each found, and the reviewer's notes; and its statutory clocks."""

from django.db import models
from django.utils import timezone

from audits.deadlines import ClockKind
from audits.lifecycles import NoteState
from audits.models.case import Case, person
from audits.models.population import CaseItem, Conclusion
from tenants.models import TenantForeignKey, TenantModel


class Procedure(TenantModel):
    """A test that is carried out on every item of one revision: what is done, and what should be seen."""

    case = TenantForeignKey(Case, on_delete=models.PROTECT, related_name="procedures")
    revision = models.IntegerField()
    number = models.IntegerField()
    title = models.CharField(max_length=200)
    expected = models.TextField()
    workpaper = models.CharField(max_length=60, blank=True)  # the reference in the auditors' own files
    written_by = person()
    written_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "case", "revision", "number"), name="procedure_number_unique"),
        )

    @property
    def reference(self) -> str:
        """How people call it within its case: `P-1`."""
        return f"P-{self.number}"


class TestStep(TenantModel):
    """What one procedure found on one item."""

    __test__ = False  # pytest: no test

    procedure = TenantForeignKey(Procedure, on_delete=models.PROTECT, related_name="steps")
    item = TenantForeignKey(CaseItem, on_delete=models.PROTECT, related_name="steps")
    result = models.CharField(max_length=10, choices=Conclusion.choices)
    actual = models.TextField(blank=True)
    performed_by = person()
    performed_at = models.DateTimeField(default=timezone.now)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "procedure", "item"), name="test_step_unique"),
            models.CheckConstraint(
                condition=models.Q(result__in=[Conclusion.PASS, Conclusion.NOT_APPLICABLE]) | ~models.Q(actual=""),
                name="test_step_says_what_is_wrong",
            ),
        )


class ReviewNote(TenantModel):
    """A reviewer's question or objection; the work is accepted when every one is cleared."""

    case = TenantForeignKey(Case, on_delete=models.PROTECT, related_name="notes")
    item = TenantForeignKey(CaseItem, on_delete=models.PROTECT, null=True, blank=True, related_name="notes")
    revision = models.IntegerField()
    number = models.IntegerField()
    text = models.TextField()
    state = models.CharField(max_length=20, choices=NoteState.choices, default=NoteState.OPEN)
    version = models.IntegerField(default=1)
    raised_by = person()
    raised_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=("tenant", "case", "number"), name="note_number_unique"),)

    @property
    def reference(self) -> str:
        """How people call it within its case: `N-3`."""
        return f"N-{self.number}"


class CaseClock(TenantModel):
    """A statutory deadline that runs since somebody knew. When it is due is computed, never stored."""

    case = TenantForeignKey(Case, on_delete=models.PROTECT, related_name="clocks")
    kind = models.CharField(max_length=20, choices=ClockKind.choices)
    started_at = models.DateTimeField()
    extension = models.TextField(blank=True)  # the reason given to the person; the law allows one
    met_at = models.DateTimeField(null=True)
    met_how = models.TextField(blank=True)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "case", "kind"), name="case_clock_unique"),
            models.CheckConstraint(
                condition=models.Q(met_at__isnull=True, met_how="")
                | (models.Q(met_at__isnull=False) & ~models.Q(met_how="")),
                name="case_clock_met_somehow",
            ),
        )
