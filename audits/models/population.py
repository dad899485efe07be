"""What a case examines: a population frozen at a checkpoint, a sample of it, and the items reviewed."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from audits.models.case import Case, person
from audits.sampling.lots import Level
from audits.sampling.methods import RANKED, SEEDLESS, Method, Stratify, Stratum
from tenants.models import TenantForeignKey, TenantModel


class SelectedBy(models.TextChoices):
    QUERY = "query", "Query: every decision in scope"
    SAMPLE = "sample", "Sample"
    MANUAL = "manual", "By hand"
    DRIFT = "drift", "Drift"
    REPLACEMENT = "replaced", "In place of another"


OTHERWISE = [SelectedBy.QUERY, SelectedBy.SAMPLE, SelectedBy.MANUAL, SelectedBy.DRIFT]


class Conclusion(models.TextChoices):
    PASS = "pass", "Pass"
    FAIL = "fail", "Fail"
    NOT_APPLICABLE = "na", "Not applicable"
    EXCEPTION = "exception", "Exception"


class Population(TenantModel):
    """The decisions that the scope query found in the tree of one signed checkpoint. Append-only.

    `leaf_indexes` are ascending, 8 bytes big-endian each; `sha256` is over exactly those bytes. A second freeze is
    another row, with its reason: nobody re-rolls unseen. `id` is that of the freeze's ledger event.
    """

    case = TenantForeignKey(Case, on_delete=models.PROTECT, related_name="populations")
    revision = models.IntegerField()
    shard = models.SmallIntegerField()
    checkpoint_size = models.BigIntegerField()
    checkpoint_root = models.BinaryField(max_length=32)
    count = models.IntegerField()
    sha256 = models.BinaryField(max_length=32)
    leaf_indexes = models.BinaryField()
    reason = models.TextField(blank=True)
    frozen_at = models.DateTimeField(default=timezone.now, editable=False)


class Sample(TenantModel):
    """Which items were drawn, and how: enough to draw them again. Append-only.

    The seed is SHA-256(root of the first checkpoint that covers the freeze ‖ case id): unknown to everybody at the
    time of the freeze. Rates are in basis points, amounts in micro-units of `currency`. A method that looks at the
    decisions themselves fixes what it saw in `frame`: CSV, a line for each leaf index, with its stratum or its cost.
    """

    population = TenantForeignKey(Population, on_delete=models.PROTECT, related_name="samples")
    method = models.CharField(max_length=20, choices=Method.choices)
    size = models.IntegerField()
    acceptable = models.IntegerField(default=0)
    expected_bp = models.IntegerField(null=True)
    tolerable_bp = models.IntegerField(null=True)  # of a discovery sample: the critical rate
    overreliance_bp = models.IntegerField(null=True)
    seed = models.BinaryField(max_length=32, null=True)  # none where nothing is left to chance
    seed_checkpoint_size = models.BigIntegerField(null=True)
    justification = models.TextField(blank=True)
    level = models.CharField(max_length=3, choices=Level.choices, blank=True)
    aql = models.CharField(max_length=5, blank=True)  # per cent, as the standard writes it
    code_letter = models.CharField(max_length=1, blank=True)
    stratify_by = models.CharField(max_length=20, choices=Stratify.choices, blank=True)
    minimum = models.IntegerField(null=True)  # from each stratum
    rules = ArrayField(models.CharField(max_length=20), default=list)  # `sampling.methods.Rule`: what is an exception
    currency = models.CharField(max_length=3, blank=True)
    value_micros = models.BigIntegerField(null=True)
    expected_micros = models.BigIntegerField(null=True)
    tolerable_micros = models.BigIntegerField(null=True)
    interval_micros = models.BigIntegerField(null=True)
    strata = models.JSONField(default=list)  # [[name, population, size, value]], numbered from 1
    frame = models.BinaryField(null=True)
    frame_sha256 = models.BinaryField(max_length=32, null=True)
    drawn_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "population"), name="sample_once"),
            models.CheckConstraint(
                condition=models.Q(method__in=sorted(SEEDLESS))
                | models.Q(seed__isnull=False, seed_checkpoint_size__isnull=False),
                name="sample_has_seed",
            ),
            models.CheckConstraint(
                condition=models.Q(frame__isnull=False, frame_sha256__isnull=False)
                | models.Q(frame__isnull=True, frame_sha256__isnull=True)
                & ~models.Q(method__in=[Method.EXCEPTIONS, Method.MONETARY, Method.STRATIFIED]),
                name="sample_has_frame",
            ),
            models.CheckConstraint(
                condition=~models.Q(method=Method.MONETARY) | models.Q(interval_micros__gt=0, value_micros__gt=0),
                name="sample_has_interval",
            ),
        )

    @property
    def tolerable_rate(self) -> float | None:
        """As a fraction; None where none was set."""
        return None if self.tolerable_bp is None else self.tolerable_bp / 10_000

    @property
    def risk(self) -> float:
        """Of overreliance, as a fraction."""
        return (self.overreliance_bp or 500) / 10_000

    @property
    def parts(self) -> list[Stratum]:
        """The strata, in the order of their numbers; none where the method has none."""
        return [Stratum(*row) for row in self.strata]

    @property
    def is_ranked(self) -> bool:
        """Whether the next in rank can stand in for an item."""
        return self.method in RANKED


class CaseItem(TenantModel):
    """One decision under review in one revision of a case."""

    case = TenantForeignKey(Case, on_delete=models.PROTECT, related_name="items")
    revision = models.IntegerField()
    ordinal = models.IntegerField()  # 1, 2, 3 … in the order of selection
    decision = TenantForeignKey("traces.Decision", on_delete=models.PROTECT, related_name="+", db_index=False)
    leaf_index = models.BigIntegerField()
    leaf_hash = models.BinaryField(max_length=32)
    selected_by = models.CharField(max_length=10, choices=SelectedBy.choices)
    stratum = models.IntegerField(null=True)  # its number in the sample's strata
    amount_micros = models.BigIntegerField(null=True)  # its cost, where it was drawn by cost
    replaces = models.IntegerField(null=True)  # the ordinal of the item that it stands in for
    replaced_by = models.IntegerField(null=True)  # the ordinal of the item that stands in for it
    conclusion = models.CharField(max_length=10, choices=Conclusion.choices, blank=True)
    note = models.TextField(blank=True)
    preparer = person(null=True)
    concluded_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "case", "revision", "decision"), name="case_item_unique"),
            models.UniqueConstraint(fields=("tenant", "case", "revision", "ordinal"), name="case_item_ordinal_unique"),
            models.UniqueConstraint(fields=("tenant", "case", "revision", "replaces"), name="case_item_replaced_once"),
            models.CheckConstraint(
                condition=models.Q(replaces__isnull=True, selected_by__in=OTHERWISE)
                | models.Q(replaces__lt=models.F("ordinal"), selected_by=SelectedBy.REPLACEMENT),
                name="case_item_replaces_earlier",
            ),
            models.CheckConstraint(
                condition=models.Q(replaced_by__isnull=True)
                | models.Q(conclusion=Conclusion.NOT_APPLICABLE) & ~models.Q(note=""),
                name="case_item_replaced_with_reason",
            ),
            models.CheckConstraint(
                condition=models.Q(conclusion="", preparer__isnull=True, concluded_at__isnull=True)
                | (~models.Q(conclusion="") & models.Q(preparer__isnull=False, concluded_at__isnull=False)),
                name="case_item_concluded_whole",
            ),
        )

    @property
    def is_ranked(self) -> bool:
        """Whether it was drawn by rank, so that the next in rank can stand in for it."""
        return self.selected_by in {SelectedBy.SAMPLE, SelectedBy.REPLACEMENT} and self.amount_micros is None
