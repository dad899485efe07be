"""From a plan and a population to a sample: how many, which ones, and what fixes the choice. Writes nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from audits import sampling
from audits.frames import EXCEPTION, CostFrame, StratumFrame, cost_frame, exception_frame, stratum_frame
from audits.models import Population, Sample
from audits.sampling import Method, SamplingError, Size
from audits.sampling.limits import attribute_size, discovery_size
from audits.sampling.lots import Level, lot_plan
from audits.sampling.methods import Rule, Stratify
from audits.sampling.money import CERTAIN, SYSTEMATIC, draw_units, interval_of, start_of
from audits.sampling.selection import select_strata
from audits.sampling.strata import allocate, stratified_size

INDEX_BYTES = 8


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """How to draw. Rates in basis points (500 is 5 %), amounts in micro-units. Each method reads what it needs."""

    method: Method
    size: int = 0  # RANDOM; STRATIFIED, where it is not computed from the rates
    expected_bp: int = 0
    tolerable_bp: int | None = None  # DISCOVERY: the critical rate
    overreliance_bp: int = 500
    justification: str = ""  # why everything is examined, or anything else that the reader should know
    level: Level = Level.II  # LOT
    aql: str = ""  # LOT, in per cent as the standard writes it
    stratify_by: Stratify | None = None
    minimum: int = 1  # STRATIFIED: from each stratum
    rules: tuple[Rule, ...] = ()  # EXCEPTIONS
    expected_micros: int = 0  # MONETARY
    tolerable_micros: int = 0

    @property
    def expected(self) -> float:
        """As a fraction."""
        return self.expected_bp / 10_000

    @property
    def tolerable(self) -> float:
        """As a fraction. Raises `SamplingError` where none was said."""
        if self.tolerable_bp is None:
            raise SamplingError("Say which rate of deviation is tolerable.")
        return self.tolerable_bp / 10_000

    @property
    def risk(self) -> float:
        """Of overreliance, as a fraction."""
        return self.overreliance_bp / 10_000


@dataclass(frozen=True, slots=True)
class Chosen:
    """One leaf that was drawn: from which stratum, and what it cost, where the method knows."""

    leaf_index: int
    stratum: int | None = None
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class Draw:
    """What is to be drawn from: the population's leaf indexes, ascending, and the seed (empty: none is needed)."""

    population: Population
    indexes: list[int]
    seed: bytes


def indexes_of(population: Population) -> list[int]:
    """The leaf indexes of the population, ascending."""
    data = bytes(population.leaf_indexes)
    return [int.from_bytes(data[at : at + INDEX_BYTES], "big") for at in range(0, len(data), INDEX_BYTES)]


def draw(plan: SamplePlan, population: Population, seed: bytes) -> tuple[Sample, list[Chosen]]:
    """The sample, not yet stored, and its items in order. Raises `SamplingError` for a plan that gives none."""
    sample = Sample(
        population=population,
        method=plan.method,
        overreliance_bp=plan.overreliance_bp,
        justification=plan.justification.strip(),
        seed=seed or None,
    )
    chosen = DRAWERS[plan.method](sample, plan, Draw(population, indexes_of(population), seed))
    if not chosen:
        raise SamplingError("Nothing would be examined: no decision of the population meets this plan.")
    if len(chosen) > sampling.MAX_SAMPLE:
        raise SamplingError(f"A case holds at most {sampling.MAX_SAMPLE:,} items; draw a sample or narrow the scope.")
    sample.size = len(chosen)
    return sample, chosen


def _ranked(sample: Sample, size: Size, source: Draw) -> list[Chosen]:
    sample.acceptable = size.acceptable
    chosen = sampling.select(source.seed, source.indexes, min(size.n, sampling.MAX_SAMPLE + 1))
    return [Chosen(index) for index in chosen]


def _draw_all(sample: Sample, plan: SamplePlan, source: Draw) -> list[Chosen]:
    if not plan.justification.strip():
        raise SamplingError("Say why every decision is examined.")
    return [Chosen(index) for index in source.indexes]


def _draw_exceptions(sample: Sample, plan: SamplePlan, source: Draw) -> list[Chosen]:
    if not plan.rules:
        raise SamplingError("Say what makes a decision an exception.")
    frame = exception_frame(source.population.shard, source.indexes, plan.rules)
    exceptions, others = frame.counts
    _fix(sample, frame, [exceptions, 0])
    sample.rules = [str(rule) for rule in plan.rules]
    if not exceptions:
        raise SamplingError(
            f"None of the {others:,} decisions is an exception by these rules: there is nothing to draw."
        )
    return [Chosen(index, number) for index, number in frame.rows if number == EXCEPTION]


def _draw_attribute(sample: Sample, plan: SamplePlan, source: Draw) -> list[Chosen]:
    sample.expected_bp, sample.tolerable_bp = plan.expected_bp, plan.tolerable_bp
    return _ranked(sample, attribute_size(plan.expected, plan.tolerable, plan.risk), source)


def _draw_discovery(sample: Sample, plan: SamplePlan, source: Draw) -> list[Chosen]:
    sample.tolerable_bp = plan.tolerable_bp
    return _ranked(sample, discovery_size(plan.tolerable, source.population.count, plan.risk), source)


def _draw_lot(sample: Sample, plan: SamplePlan, source: Draw) -> list[Chosen]:
    found = lot_plan(source.population.count, plan.level, plan.aql)
    sample.level, sample.aql, sample.code_letter = plan.level, plan.aql, found.letter
    return _ranked(sample, Size(found.n, found.acceptable), source)


def _draw_random(sample: Sample, plan: SamplePlan, source: Draw) -> list[Chosen]:
    if plan.size < 1:
        raise SamplingError("Say how many decisions to draw.")
    sample.tolerable_bp = plan.tolerable_bp
    return _ranked(sample, Size(plan.size, 0), source)


def _draw_stratified(sample: Sample, plan: SamplePlan, source: Draw) -> list[Chosen]:
    if plan.stratify_by is None:
        raise SamplingError("Say what the strata are made by.")
    size = Size(plan.size, 0) if plan.size else stratified_size(plan.expected, plan.tolerable, plan.risk)
    sample.expected_bp, sample.tolerable_bp = None if plan.size else plan.expected_bp, plan.tolerable_bp
    sample.acceptable = size.acceptable
    frame = stratum_frame(source.population.shard, source.indexes, plan.stratify_by)
    sizes = allocate(frame.counts, size.n, plan.minimum)
    sample.stratify_by, sample.minimum = plan.stratify_by, plan.minimum
    _fix(sample, frame, sizes)
    return [Chosen(index, number) for index, number in select_strata(source.seed, frame.rows, sizes)]


def _draw_units(sample: Sample, plan: SamplePlan, source: Draw) -> list[Chosen]:
    interval = interval_of(plan.expected_micros, plan.tolerable_micros, plan.risk)
    frame = cost_frame(source.population.shard, source.indexes)
    amounts = frame.amounts
    drawn = draw_units(amounts, interval, start_of(source.seed, interval))
    sample.currency, sample.interval_micros = frame.currency, interval
    sample.expected_micros, sample.tolerable_micros = plan.expected_micros, plan.tolerable_micros
    sample.value_micros = sum(amount for _, amount in amounts)
    above = [amount for _, amount in amounts if amount >= interval]
    below = len(amounts) - len(above)
    sample.strata = [
        ["the interval or more", len(above), len(above), sum(above)],
        ["less than the interval", below, len(drawn.systematic), sample.value_micros - sum(above)],
        ["without a cost", len(frame.rows) - len(amounts), 0, 0],
    ]
    _keep_frame(sample, frame)
    certain, amount_of = set(drawn.certain), dict(amounts)
    return [Chosen(index, CERTAIN if index in certain else SYSTEMATIC, amount_of[index]) for index in drawn.indexes]


def _fix(sample: Sample, frame: StratumFrame, sizes: list[int]) -> None:
    sample.strata = [[name, n, size, 0] for name, n, size in zip(frame.names, frame.counts, sizes, strict=True)]
    _keep_frame(sample, frame)


def _keep_frame(sample: Sample, frame: StratumFrame | CostFrame) -> None:
    sample.frame = frame.csv
    sample.frame_sha256 = sha256(sample.frame).digest()


DRAWERS: Mapping[Method, Callable[[Sample, SamplePlan, Draw], list[Chosen]]] = {
    Method.ALL: _draw_all,
    Method.EXCEPTIONS: _draw_exceptions,
    Method.ATTRIBUTE: _draw_attribute,
    Method.DISCOVERY: _draw_discovery,
    Method.LOT: _draw_lot,
    Method.STRATIFIED: _draw_stratified,
    Method.MONETARY: _draw_units,
    Method.RANDOM: _draw_random,
}
