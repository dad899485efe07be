"""Reads of cases, shaped for pages and for the report."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from audits import sampling
from audits.access import visible_cases
from audits.models import Case, CaseEvent, CaseItem, Conclusion, Finding, Population, Sample
from audits.sampling import Evaluation, Method
from audits.sampling.evaluation import Units, evaluate_discovery, evaluate_lot, evaluate_strata, evaluate_units
from audits.sampling.methods import SEEDLESS
from audits.sampling.money import CERTAIN
from audits.sampling.strata import Part
from audits.workflow import State
from tenants.actors import Actor

PAGE_SIZE = 50
ITEMS_PAGE = 25
EVENTS_SHOWN = 30


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the review of a case's items is; counts by conclusion."""

    total: int
    concluded: int
    passed: int
    failed: int
    exceptions: int
    not_applicable: int

    @property
    def percent(self) -> int:
        """Concluded items, 0 to 100."""
        return 100 * self.concluded // self.total if self.total else 0

    @property
    def deviations(self) -> int:
        """What counts against the population: fails and exceptions."""
        return self.failed + self.exceptions

    @property
    def examined(self) -> int:
        """Items that say something about the population: concluded, and applicable."""
        return self.concluded - self.not_applicable


def population_of(case: Case) -> Population | None:
    """The population in use: the newest freeze of the current revision."""
    return Population.objects.filter(case=case, revision=case.revision).order_by("-id").first()


def sample_of(case: Case) -> Sample | None:
    """The sample drawn from the population in use."""
    population = population_of(case)
    return sample_from(population) if population else None


def sample_from(population: Population) -> Sample | None:
    """The sample drawn from a population, without its frame, which may be large."""
    sample = Sample.objects.filter(population=population).defer("frame").first()
    if sample is not None:
        sample.population = population
    return sample


def items_of(case: Case) -> "QuerySet[CaseItem]":
    """The items of the current revision, in the order of selection."""
    return CaseItem.objects.filter(case=case, revision=case.revision).order_by("ordinal")


def progress_of(case: Case) -> Progress:
    """Counted in one query."""
    counts = items_of(case).order_by().aggregate(total=Count("id"), **_conclusion_counts())
    return Progress(**counts)


def _conclusion_counts(prefix: str = "") -> dict[str, Count]:
    column = f"{prefix}conclusion"
    return {
        "concluded": Count(f"{prefix}id", filter=~Q(**{column: ""})),
        "passed": Count(f"{prefix}id", filter=Q(**{column: Conclusion.PASS})),
        "failed": Count(f"{prefix}id", filter=Q(**{column: Conclusion.FAIL})),
        "exceptions": Count(f"{prefix}id", filter=Q(**{column: Conclusion.EXCEPTION})),
        "not_applicable": Count(f"{prefix}id", filter=Q(**{column: Conclusion.NOT_APPLICABLE})),
    }


def evaluation_of(case: Case, sample: Sample | None, progress: Progress) -> Evaluation | None:
    """What the sample says so far; None before anything applicable was concluded, or where nothing was left to chance.

    An item that says nothing (not applicable, not concluded yet) counts neither for nor against.
    """
    if sample is None or not progress.examined or sample.method in SEEDLESS:
        return None
    n, deviations, risk = progress.examined, progress.deviations, sample.risk
    if sample.method == Method.LOT:
        return evaluate_lot(deviations, n, sample.acceptable, sample.aql, risk)
    if sample.method == Method.DISCOVERY:
        return evaluate_discovery(deviations, n, sample.population.count, sample.tolerable_rate or 0, risk)
    if sample.method == Method.STRATIFIED:
        return evaluate_strata(_parts(case, sample), sample.tolerable_rate, risk)
    if sample.method == Method.MONETARY:
        return _units(case, sample, n)
    return sampling.evaluate(deviations, n, sample.tolerable_rate, risk)


DEVIATES = Q(conclusion__in=[Conclusion.FAIL, Conclusion.EXCEPTION])


def _parts(case: Case, sample: Sample) -> list[Part]:
    """Each stratum with what its items show, in one query."""
    said = items_of(case).order_by().exclude(conclusion__in=["", Conclusion.NOT_APPLICABLE]).values_list("stratum")
    rows = said.annotate(n=Count("id"), deviating=Count("id", filter=DEVIATES))
    found = {stratum: (n, deviating) for stratum, n, deviating in rows}
    return [
        Part(stratum.population, *found.get(number, (0, 0))) for number, stratum in enumerate(sample.parts, start=1)
    ]


def _units(case: Case, sample: Sample, n: int) -> Evaluation:
    rows = items_of(case).order_by().filter(DEVIATES).values_list("stratum", "amount_micros")
    known = [amount or 0 for stratum, amount in rows if stratum == CERTAIN]
    units = Units(sample.interval_micros or 0, sample.value_micros or 0, sample.tolerable_micros or 0, sample.currency)
    return evaluate_units(n, known, len(rows) - len(known), units, sample.risk)


TABS = {"": Q(), "todo": Q(conclusion=""), "failed": DEVIATES}


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Items in the order of selection; `after` and `before` are ordinals that continue the list (0: an end)."""

    items: list[CaseItem]
    after: int
    before: int


def item_page(case: Case, tab: str, after: int = 0, before: int = 0, size: int = ITEMS_PAGE) -> ItemPage:
    """One page of a tab, each item with its decision, deployment and preparer."""
    rows = items_of(case).filter(TABS[tab]).select_related("decision__deployment", "preparer")
    if before:
        found = list(rows.filter(ordinal__lt=before).order_by("-ordinal")[: size + 1])
        more, shown = len(found) > size, found[:size][::-1]
        return ItemPage(shown, before - 1 if shown else 0, shown[0].ordinal if more else 0)
    found = list(rows.filter(ordinal__gt=after)[: size + 1])
    shown = found[:size]
    return ItemPage(shown, shown[-1].ordinal if len(found) > size else 0, shown[0].ordinal if shown and after else 0)


def timeline_of(case: Case, size: int = EVENTS_SHOWN) -> list[CaseEvent]:
    """The newest lines of the timeline, and all that changed the state of this revision, newest first."""
    about = ("finding", "request", "review_note", "file", "letter")
    events = CaseEvent.objects.filter(case=case).select_related(*about).order_by("-id")
    itself = {f"{name}__isnull": True for name in about}
    moves = events.filter(revision=case.revision, **itself).exclude(to_state="")
    return sorted({*events[:size], *moves}, key=lambda event: event.pk, reverse=True)


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """What the list shows; empty members do not narrow."""

    state: str = ""
    mine: bool = False

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "CaseFilter":
        """From URL parameters; unknown states are ignored."""
        state = query.get("state", "")
        return cls(state if state in State.values else "", bool(query.get("mine")))


@dataclass(frozen=True, slots=True)
class CasePage:
    """Cases newest first; `before` continues the list (0: there is no more)."""

    cases: list[Case]
    before: int


def case_page(actor: Actor, wanted: CaseFilter, before: int = 0, size: int = PAGE_SIZE) -> CasePage:
    """One page, by number downwards, each case with counts: `n_items`, `n_concluded`, `n_findings`."""
    rows = visible_cases(actor).select_related("lead", "reviewer").prefetch_related("clocks").order_by("-number")
    if wanted.state:
        rows = rows.filter(state=wanted.state)
    if wanted.mine:
        rows = rows.filter(Q(lead=actor.user_id) | Q(preparer=actor.user_id) | Q(reviewer=actor.user_id))
    if before:
        rows = rows.filter(number__lt=before)
    found = list(rows[: size + 1])
    shown = found[:size]
    _attach_counts(shown)
    return CasePage(shown, shown[-1].number if len(found) > size else 0)


def _attach_counts(cases: list[Case]) -> None:
    rows = CaseItem.objects.filter(case__in=[case.pk for case in cases]).values_list("case_id", "revision")
    grouped = rows.annotate(n=Count("id"), done=Count("id", filter=~Q(conclusion="")))
    counts = {(case_id, revision): (n, done) for case_id, revision, n, done in grouped}
    findings = dict(
        Finding.objects.filter(case__in=[case.pk for case in cases]).values_list("case_id").annotate(n=Count("id"))
    )
    for case in cases:
        case.n_findings = findings.get(case.pk, 0)  # type: ignore[attr-defined]
        case.n_items, case.n_concluded = counts.get((case.pk, case.revision), (0, 0))  # type: ignore[attr-defined]


def open_counts(actor: Actor) -> dict[str, int]:
    """How many visible cases are in each state: the board's headings."""
    rows = visible_cases(actor).order_by().values_list("state").annotate(n=Count("id"))
    counts = dict(rows)
    return {state: counts.get(state, 0) for state in State.values}
