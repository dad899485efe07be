"""What a case examines: a population frozen at a checkpoint, a sample of it, and the items reviewed."""

from django.db import models
from django.utils import timezone

from audits.models.case import Case, person
from audits.sampling import Method
from tenants.models import TenantForeignKey, TenantModel


class SelectedBy(models.TextChoices):
    QUERY = "query", "Query: every decision in scope"
    SAMPLE = "sample", "Sample"
    MANUAL = "manual", "By hand"
    DRIFT = "drift", "Drift"


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
    time of the freeze. Rates are in basis points.
    """

    population = TenantForeignKey(Population, on_delete=models.PROTECT, related_name="samples")
    method = models.CharField(max_length=20, choices=Method.choices)
    size = models.IntegerField()
    acceptable = models.IntegerField(default=0)
    expected_bp = models.IntegerField(null=True)
    tolerable_bp = models.IntegerField(null=True)
    overreliance_bp = models.IntegerField(null=True)
    seed = models.BinaryField(max_length=32, null=True)  # none where everything is examined
    seed_checkpoint_size = models.BigIntegerField(null=True)
    justification = models.TextField(blank=True)
    drawn_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "population"), name="sample_once"),
            models.CheckConstraint(
                condition=models.Q(method=Method.ALL)
                | models.Q(seed__isnull=False, seed_checkpoint_size__isnull=False),
                name="sample_has_seed",
            ),
        )

    @property
    def tolerable_rate(self) -> float | None:
        """As a fraction; None where none was set."""
        return None if self.tolerable_bp is None else self.tolerable_bp / 10_000


class CaseItem(TenantModel):
    """One decision under review in one revision of a case."""

    case = TenantForeignKey(Case, on_delete=models.PROTECT, related_name="items")
    revision = models.IntegerField()
    ordinal = models.IntegerField()  # 1, 2, 3 … in the order of selection
    decision = TenantForeignKey("traces.Decision", on_delete=models.PROTECT, related_name="+", db_index=False)
    leaf_index = models.BigIntegerField()
    leaf_hash = models.BinaryField(max_length=32)
    selected_by = models.CharField(max_length=10, choices=SelectedBy.choices)
    conclusion = models.CharField(max_length=10, choices=Conclusion.choices, blank=True)
    note = models.TextField(blank=True)
    preparer = person(null=True)
    concluded_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "case", "revision", "decision"), name="case_item_unique"),
            models.UniqueConstraint(fields=("tenant", "case", "revision", "ordinal"), name="case_item_ordinal_unique"),
            models.CheckConstraint(
                condition=models.Q(conclusion="", preparer__isnull=True, concluded_at__isnull=True)
                | (~models.Q(conclusion="") & models.Q(preparer__isnull=False, concluded_at__isnull=False)),
                name="case_item_concluded_whole",
            ),
        )
