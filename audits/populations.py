"""Freezing a population at a signed checkpoint, and drawing a sample from it that anyone can draw again."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from audits import sampling
from audits.models import Case, CaseItem, Population, Sample, SelectedBy
from audits.sampling import Method, SamplingError
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

INDEX_BYTES = 8
MAX_POPULATION = 5_000_000


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """How to draw. Rates in basis points (500 is 5 %)."""

    method: Method
    size: int = 0  # RANDOM only
    expected_bp: int = 0
    tolerable_bp: int | None = None
    overreliance_bp: int = 500
    justification: str = ""  # ALL only: why everything is examined


def scope_of(case: Case) -> DecisionFilter:
    """The filter that the case was opened with."""
    return DecisionFilter.from_query(parse_strict(bytes(case.scope_query)))


def indexes_of(population: Population) -> list[int]:
    """The leaf indexes of the population, ascending."""
    data = bytes(population.leaf_indexes)
    return [int.from_bytes(data[at : at + INDEX_BYTES], "big") for at in range(0, len(data), INDEX_BYTES)]


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
        size = sample_size(plan, population.count)
        checkpoint = None if plan.method == Method.ALL else seed_checkpoint(population)
        if checkpoint is None and plan.method != Method.ALL:
            raise refuse(locked, by, "The seed comes from the first checkpoint after the freeze: due within seconds.")
        seed = sampling.seed_of(bytes(checkpoint.root), locked.pk) if checkpoint else None
        indexes = indexes_of(population)
        chosen = sampling.select(seed, indexes, size.n) if seed else indexes
        sample = _keep_sample(population, plan, size, seed, checkpoint)
        _keep_items(locked, population, chosen, SelectedBy.SAMPLE if seed else SelectedBy.QUERY)
        body = {"method": plan.method, "size": sample.size, "seed": seed.hex() if seed else None}
        move(locked, by, Action.BEGIN, tag=Tag.CASE_SAMPLE_DRAWN, body=body | {"population": str(population.pk)})
    return sample


def sample_size(plan: SamplePlan, population: int) -> sampling.Size:
    """How many items the plan asks for, at most the population. Raises `SamplingError`."""
    if plan.method == Method.ALL:
        if not plan.justification.strip():
            raise SamplingError("Say why every decision is examined.")
        size = sampling.Size(population, 0)
    elif plan.method == Method.RANDOM:
        if plan.size < 1:
            raise SamplingError("Say how many decisions to draw.")
        size = sampling.Size(min(plan.size, population), 0)
    else:
        if plan.tolerable_bp is None:
            raise SamplingError("Say which rate of deviation is tolerable.")
        computed = sampling.attribute_size(
            plan.expected_bp / 10_000, plan.tolerable_bp / 10_000, plan.overreliance_bp / 10_000
        )
        size = sampling.Size(min(computed.n, population), computed.acceptable)
    if size.n > sampling.MAX_SAMPLE:
        raise SamplingError(f"A case holds at most {sampling.MAX_SAMPLE:,} items; draw a sample or narrow the scope.")
    return size


def _keep_sample(
    population: Population,
    plan: SamplePlan,
    size: sampling.Size,
    seed: bytes | None,
    checkpoint: LedgerCheckpoint | None,
) -> Sample:
    is_attribute = plan.method == Method.ATTRIBUTE
    return Sample.objects.create(
        population=population,
        method=plan.method,
        size=size.n,
        acceptable=size.acceptable,
        expected_bp=plan.expected_bp if is_attribute else None,
        tolerable_bp=plan.tolerable_bp,
        overreliance_bp=plan.overreliance_bp,
        seed=seed,
        seed_checkpoint_size=checkpoint.size if checkpoint else None,
        justification=plan.justification.strip(),
    )


def _keep_items(case: Case, population: Population, chosen: list[int], selected_by: SelectedBy) -> None:
    leaves = LedgerLeaf.objects.filter(shard=population.shard, leaf_index__in=chosen)
    by_index = {leaf.leaf_index: leaf for leaf in leaves.only("tenant_id", "shard", "leaf_index", "rid", "leaf_hash")}
    items = (
        CaseItem(
            case=case,
            revision=case.revision,
            ordinal=ordinal,
            decision_id=by_index[index].rid,
            leaf_index=index,
            leaf_hash=bytes(by_index[index].leaf_hash),
            selected_by=selected_by,
        )
        for ordinal, index in enumerate(chosen, start=1)
    )
    CaseItem.objects.bulk_create(items, batch_size=1_000)
