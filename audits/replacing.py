"""An item that cannot be examined gives way to the next in rank, with a reason, and stays visible beside it."""

from datetime import UTC, datetime

from django.core.exceptions import ValidationError
from django.db.models import Max

from audits import sampling
from audits.drawing import Chosen, indexes_of
from audits.models import Case, CaseItem, Conclusion, Population, Sample, SelectedBy
from audits.populations import item_of
from audits.selectors import items_of
from audits.services import require_workable
from audits.timeline import open_to_change, record, refuse
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.models import LedgerLeaf


def replace_item(*, by: Actor, item: CaseItem, reason: str) -> CaseItem:
    """Conclude that an item is not applicable, and examine the next one in rank of its stratum in its place.

    The reason stands on the item that gives way. Refused where chance did not draw by rank (`sampling.methods.RANKED`),
    for an item that was replaced already, and when there is no other decision left.
    """
    reason = reason.strip()
    if not reason:
        raise ValidationError({"note": "Say why this item cannot be examined; the reason stays beside it."})
    with tenant_atomic(by.tenant_id):
        case = open_to_change(by, item.case_id)
        require_workable(case, by, item)
        gone = CaseItem.objects.select_for_update().get(pk=item.pk)
        if gone.replaced_by is not None:
            raise refuse(case, by, f"Item {gone.ordinal} was replaced by item {gone.replaced_by} already.")
        chosen = _next_in_rank(case, by, gone)
        last = items_of(case).aggregate(last=Max("ordinal"))["last"]
        leaf = LedgerLeaf.objects.get(shard=_population(case).shard, leaf_index=chosen.leaf_index)
        stand_in = item_of(case, last + 1, leaf, chosen, SelectedBy.REPLACEMENT, gone.ordinal)
        stand_in.save(force_insert=True)
        before, gone.conclusion, gone.note, gone.replaced_by = (
            gone.conclusion,
            Conclusion.NOT_APPLICABLE,
            reason,
            last + 1,
        )
        gone.preparer_id, gone.concluded_at = by.user_id, datetime.now(UTC)
        gone.save(update_fields=["conclusion", "note", "replaced_by", "preparer", "concluded_at"])
        body = {
            "item": gone.ordinal,
            "decision": str(gone.decision_id),
            "before": before,
            "replaced_by": stand_in.ordinal,
            "stand_in": str(stand_in.decision_id),
        }
        record(case, by, Tag.CASE_ITEM_REPLACED, body, action="replace", note=reason)
    return stand_in


def _population(case: Case) -> Population:
    return Population.objects.filter(case=case, revision=case.revision).order_by("-id")[0]


def _next_in_rank(case: Case, by: Actor, gone: CaseItem) -> Chosen:
    """The first member of the item's stratum, by rank, that is no item yet."""
    population = _population(case)
    sample = Sample.objects.get(population=population)
    if not sample.is_ranked or sample.seed is None:
        raise refuse(case, by, "This sample has no next in rank: conclude on the item as it is, or as an exception.")
    members = _stratum(sample, gone.stratum) if gone.stratum else indexes_of(population)
    used = items_of(case).filter(stratum=gone.stratum).count()
    ranked = sampling.select(bytes(sample.seed), members, used + 1)
    if len(ranked) == used:
        raise refuse(case, by, "Every decision that could stand in is an item already.")
    return Chosen(ranked[used], gone.stratum)


def _stratum(sample: Sample, number: int) -> list[int]:
    """The leaf indexes of one stratum, from the frame that the draw fixed."""
    lines = bytes(sample.frame or b"").decode().splitlines()[1:]
    pairs = (line.split(",") for line in lines)
    return [int(index) for index, stratum in pairs if int(stratum) == number]
