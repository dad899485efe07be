"""The sample as the pages show it: which methods there are, what each is for, and how one was drawn."""

from collections.abc import Mapping
from typing import Any

from audits.models import Case, Population, Sample
from audits.sampling import Method
from audits.sampling.evaluation import money
from audits.sampling.methods import SEEDLESS, Rule
from audits.selectors import population_of

# In the order of the page: what the tab says, and when the method is the right one.
METHODS: Mapping[Method, tuple[str, str]] = {
    Method.ATTRIBUTE: (
        "Attribute",
        "How often does a control fail? The size is the smallest from which the rate can be held against what is "
        "tolerable.",
    ),
    Method.DISCOVERY: (
        "Discovery",
        "Something must not happen at all. The sample is large enough to meet one case if the critical rate were true.",
    ),
    Method.LOT: (
        "Lot (ISO 2859-1)",
        "The population is a lot to be accepted or not: single sampling, normal inspection, by its size and an AQL.",
    ),
    Method.STRATIFIED: (
        "Stratified",
        "Parts of the population differ. Each is drawn from in proportion, the small ones at least so often.",
    ),
    Method.MONETARY: (
        "Monetary unit",
        "What matters is the cost. Dear decisions are drawn in proportion to it, those above the interval for certain.",
    ),
    Method.RANDOM: ("Random", "You know how many you will examine; no rate is set beforehand."),
    Method.EXCEPTIONS: (
        "Exceptions",
        "Every decision is held against rules, without a person; those that a rule names are examined by hand.",
    ),
    Method.ALL: ("Everything", "Every decision of the population is examined by hand."),
}


def method_tabs(current: Method) -> list[dict[str, Any]]:
    """A tab for each method, an address each."""
    return [
        {"label": label, "url": f"?method={method}", "active": method == current}
        for method, (label, _) in METHODS.items()
    ]


def sample_page(case: Case, method: Method) -> dict[str, Any]:
    """What `audits/sample_form.html` shows beside the form."""
    population = population_of(case)
    label, text = METHODS[method]
    return {
        "tabs": method_tabs(method),
        "method": {"label": label, "text": text},
        "is_seeded": method not in SEEDLESS,
        "count": population.count if population else None,
    }


def population_panel(population: Population | None, sample: Sample | None) -> dict[str, Any] | None:
    """What was frozen and how it was drawn from."""
    if population is None:
        return None
    return {
        "count": population.count,
        "checkpoint_size": population.checkpoint_size,
        "root": bytes(population.checkpoint_root).hex(),
        "frozen_at": population.frozen_at,
        "method": Method(sample.method).label if sample else "",
        "seed": bytes(sample.seed).hex() if sample and sample.seed else "",
        "sample": sample.size if sample else None,
        "terms": [{"label": label, "value": value} for label, value in terms(sample)] if sample else [],
        "strata": strata_rows(sample) if sample else [],
    }


def terms(sample: Sample) -> list[tuple[str, str]]:
    """What was laid down before the draw, in words; only what the method has a use for."""
    rate = "Critical rate" if sample.method == Method.DISCOVERY else "Tolerable rate"
    found = [
        ("Expected rate", _percent(sample.expected_bp)),
        (rate, _percent(sample.tolerable_bp)),
        ("Risk of overreliance", _percent(sample.overreliance_bp) if sample.seed else ""),
        ("Inspection level", sample.level),
        ("AQL", f"{sample.aql} %, code letter {sample.code_letter}" if sample.aql else ""),
        ("Acceptance number", f"{sample.acceptable} (Re {sample.acceptable + 1})" if sample.aql else ""),
        ("Strata by", sample.get_stratify_by_display()),
        ("At least", f"{sample.minimum} of each stratum" if (sample.minimum or 0) > 1 else ""),
        ("Exceptions", "; ".join(Rule(rule).label for rule in sample.rules)),
        ("Cost of the population", in_currency(sample, sample.value_micros)),
        ("Expected misstatement", in_currency(sample, sample.expected_micros)),
        ("Tolerable misstatement", in_currency(sample, sample.tolerable_micros)),
        ("Sampling interval", in_currency(sample, sample.interval_micros)),
        ("Justification", sample.justification),
    ]
    return [(label, value) for label, value in found if value]


def strata_rows(sample: Sample) -> list[dict[str, Any]]:
    """Each stratum with how many it has, how many of them are examined, and what they cost."""
    return [
        {"name": part.name, "population": part.population, "size": part.size, "value": in_currency(sample, part.value)}
        for part in sample.parts
    ]


def _percent(basis_points: int | None) -> str:
    return "" if basis_points is None else f"{basis_points / 100:g} %"


def in_currency(sample: Sample, micros: int | None) -> str:
    """An amount in the currency of the sample's costs; empty for none."""
    return money(micros, sample.currency) if micros and sample.currency else ""
