"""Freezing a population at a signed checkpoint, and drawing a sample from it that anyone can draw again."""

from collections.abc import Iterator, Sequence
from hashlib import sha256

from audits import sampling
from audits.drawing import INDEX_BYTES, Chosen, SamplePlan, draw, indexes_of
from audits.models import Case, CaseItem, Population, Sample, SelectedBy
from audits.sampling.methods import SEEDLESS
from audits.selectors import population_of
from audits.timeline import move, open_to_change, refuse, target
from audits.workflow import Action, State
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.canonical import parse_strict
from tenants.ledger.log import active_log
from tenants.models import LedgerCheckpoint, LedgerLeaf
from traces.selectors import DecisionFilter, filtered

__all__ = ["SamplePlan", "draw_sample", "freeze_population", "indexes_of", "scope_of", "seed_checkpoint"]

MAX_POPULATION = 5_000_000


def scope_of(case: Case) -> DecisionFilter:
    """The filter that the case was opened with."""
    return DecisionFilter.from_query(parse_strict(bytes(case.scope_query)))


def freeze_population(*, by: Actor, case: Case, reason: str = "", version: int | None = None) -> Population:
    """Run the scope query against the tree of the newest signed checkpoint, and keep what it found.

    A second freeze needs a reason. Raises `NotAllowed` where no checkpoint or no decision is there yet.
    """
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk, version)
        action = Action.REFREEZE if locked.state == State.POPULATION_FROZEN else Action.FREEZE
        target(locked, by, action, reason)  # refuse before the work
        log = active_log(by.tenant_id)
        checkpoint = LedgerCheckpoint.objects.filter(shard=log.shard).order_by("-size").first()
        if checkpoint is None:
            raise refuse(locked, by, "The log has no signed checkpoint yet; one comes within seconds.")
        data = b"".join(index.to_bytes(INDEX_BYTES, "big") for index in _indexes_in(locked, checkpoint))
        if not data:
            raise refuse(locked, by, f"No decision in scope is among the first {checkpoint.size} leaves of the log.")
        count, digest = len(data) // INDEX_BYTES, sha256(data).digest()
        body = {"count": count, "checkpoint_size": checkpoint.size, "checkpoint_root": bytes(checkpoint.root).hex()}
        event = move(
            locked,
            by,
            action,
            tag=Tag.CASE_FROZEN,
            body=body | {"population_sha256": digest.hex()},
            reason=reason.strip(),
        )
        return Population.objects.create(
            id=event.pk,
            case=locked,
            revision=locked.revision,
            shard=log.shard,
            checkpoint_size=checkpoint.size,
            checkpoint_root=bytes(checkpoint.root),
            count=count,
            sha256=digest,
            leaf_indexes=data,
            reason=reason.strip(),
        )


def _indexes_in(case: Case, checkpoint: LedgerCheckpoint) -> Iterator[int]:
    """Leaf indexes, ascending, of the decisions in scope that the checkpoint covers."""
    decisions = filtered(scope_of(case)).order_by().values("pk")
    leaves = LedgerLeaf.objects.filter(shard=checkpoint.shard, leaf_index__lt=checkpoint.size, rid__in=decisions)
    indexes = leaves.order_by("leaf_index").values_list("leaf_index", flat=True)[: MAX_POPULATION + 1]
    yield from indexes.iterator(chunk_size=10_000)


def seed_checkpoint(population: Population) -> LedgerCheckpoint | None:
    """The first checkpoint that covers the freeze itself, so nobody knew its root then; None before it is signed."""
    freeze = LedgerLeaf.objects.filter(shard=population.shard, rid=population.pk).first()
    if freeze is None:
        return None
    later = LedgerCheckpoint.objects.filter(shard=population.shard, size__gt=freeze.leaf_index)
    return later.order_by("size").first()


def draw_sample(*, by: Actor, case: Case, plan: SamplePlan, version: int | None = None) -> Sample:
    """Draw once, and begin fieldwork. `NotAllowed` before the seed's checkpoint, `SamplingError` for a bad plan."""
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk, version)
        target(locked, by, Action.BEGIN)
        population = population_of(locked)
        if population is None:
            raise refuse(locked, by, "Freeze the population first.")
        checkpoint = None if plan.method in SEEDLESS else seed_checkpoint(population)
        if checkpoint is None and plan.method not in SEEDLESS:
            raise refuse(locked, by, "The seed comes from the first checkpoint after the freeze: due within seconds.")
        seed = sampling.seed_of(bytes(checkpoint.root), locked.pk) if checkpoint else b""
        sample, chosen = draw(plan, population, seed)
        sample.seed_checkpoint_size = checkpoint.size if checkpoint else None
        sample.save(force_insert=True)
        _keep_items(locked, population, chosen, SelectedBy.SAMPLE if seed else SelectedBy.QUERY)
        move(locked, by, Action.BEGIN, tag=Tag.CASE_SAMPLE_DRAWN, body=_drawn(sample))
    return sample


def _drawn(sample: Sample) -> dict[str, object]:
    """What the log keeps of a draw: with the population's hash it fixes which items must have come of it."""
    fixed = {"interval_micros": sample.interval_micros, "strata": sample.strata}
    if sample.frame_sha256:
        fixed["frame_sha256"] = bytes(sample.frame_sha256).hex()
    return {
        "method": sample.method,
        "size": sample.size,
        "seed": bytes(sample.seed).hex() if sample.seed else None,
        "population": str(sample.population_id),
    } | {name: value for name, value in fixed.items() if value}


def _keep_items(case: Case, population: Population, chosen: Sequence[Chosen], selected_by: SelectedBy) -> None:
    wanted = [one.leaf_index for one in chosen]
    leaves = LedgerLeaf.objects.filter(shard=population.shard, leaf_index__in=wanted)
    by_index = {leaf.leaf_index: leaf for leaf in leaves.only("tenant_id", "shard", "leaf_index", "rid", "leaf_hash")}
    items = (
        item_of(case, ordinal, by_index[one.leaf_index], one, selected_by)
        for ordinal, one in enumerate(chosen, start=1)
    )
    CaseItem.objects.bulk_create(items, batch_size=1_000)


def item_of(
    case: Case, ordinal: int, leaf: LedgerLeaf, chosen: Chosen, selected_by: SelectedBy, replaces: int | None = None
) -> CaseItem:
    """An item, not yet stored, for a leaf that was drawn."""
    return CaseItem(
        case=case,
        revision=case.revision,
        ordinal=ordinal,
        decision_id=leaf.rid,
        leaf_index=leaf.leaf_index,
        leaf_hash=bytes(leaf.leaf_hash),
        selected_by=selected_by,
        stratum=chosen.stratum,
        amount_micros=chosen.amount,
        replaces=replaces,
    )
