"""What the result of a sample says about the population, as an auditor states it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from audits.sampling.limits import undiscovered, upper_limit
from audits.sampling.methods import OVERRELIANCE
from audits.sampling.money import misstatement
from audits.sampling.strata import Part, combined_limit, weighted_rate


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `deviations` in `n` items say. `observed`, `upper_limit` and `tolerable_rate` are shares of the population:
    of its decisions, or of their cost where items were drawn by cost. `basis` names the reckoning."""

    n: int
    deviations: int
    observed: float
    upper_limit: float
    tolerable_rate: float | None
    is_acceptable: bool
    words: str
    basis: str


def evaluate(deviations: int, n: int, tolerable_rate: float | None, risk: float = OVERRELIANCE) -> Evaluation:
    """A sample in which every decision had the same chance."""
    limit = upper_limit(deviations, n, risk)
    words = f"{deviations} of {n} deviate; {_against(limit, tolerable_rate)}"
    basis = "one-sided Clopper–Pearson upper limit"
    return Evaluation(
        n, deviations, deviations / n, limit, tolerable_rate, _within(limit, tolerable_rate), words, basis
    )


def evaluate_discovery(
    deviations: int, n: int, population: int, critical_rate: float, risk: float = OVERRELIANCE
) -> Evaluation:
    """A discovery sample: none met says that fewer than the critical rate deviate; one met says that it is no such."""
    if deviations:
        limit = upper_limit(deviations, n, risk)
        words = f"{deviations} of {n} deviate: discovered; examine more, or all"
        return Evaluation(n, deviations, deviations / n, limit, critical_rate, False, words, "discovery sampling")
    most = undiscovered(n, population, risk)
    limit = most / population
    words = f"None of {n} deviates; at {1 - risk:.0%} confidence at most {most:,} of {population:,} do ({limit:.1%})"
    basis = "discovery sampling, exact hypergeometric limit"
    return Evaluation(n, 0, 0.0, limit, critical_rate, limit < critical_rate, words, basis)


def evaluate_lot(deviations: int, n: int, acceptable: int, aql: str, risk: float = OVERRELIANCE) -> Evaluation:
    """A lot of ISO 2859-1: accepted or not by its numbers; the limit is told beside it."""
    limit, is_accepted = upper_limit(deviations, n, risk), deviations <= acceptable
    verdict = f"accepted (Ac {acceptable})" if is_accepted else f"not accepted (Re {acceptable + 1})"
    words = f"{deviations} of {n} nonconforming: lot {verdict} at AQL {aql} %; upper deviation limit {limit:.1%}"
    basis = "one-sided Clopper–Pearson upper limit"
    return Evaluation(n, deviations, deviations / n, limit, None, is_accepted, words, basis)


def evaluate_strata(parts: Sequence[Part], tolerable_rate: float | None, risk: float = OVERRELIANCE) -> Evaluation:
    """A stratified sample: the strata together, each with its weight."""
    n, deviations = sum(part.n for part in parts), sum(part.deviations for part in parts)
    rate, limit = weighted_rate(parts), combined_limit(parts, risk)
    words = f"{deviations} of {n} deviate, weighted rate {rate:.1%}; {_against(limit, tolerable_rate)}"
    basis = "strata weighted by their decisions, one-sided gamma limit of Fay and Feuer"
    return Evaluation(n, deviations, rate, limit, tolerable_rate, _within(limit, tolerable_rate), words, basis)


@dataclass(frozen=True, slots=True)
class Units:
    """A monetary-unit sample as drawn: `value` is the cost of the population, in micro-units of `currency`."""

    interval: int
    value: int
    tolerable: int
    currency: str


def evaluate_units(n: int, known: Sequence[int], drawn: int, units: Units, risk: float = OVERRELIANCE) -> Evaluation:
    """A monetary-unit sample of `n` items: `known` are the amounts that deviate of those drawn for certain, `drawn` how
    many deviate of the others. Each counts as deviating in its whole amount: a conclusion names no other."""
    found = misstatement(units.interval, [1.0] * drawn, sum(known), risk)
    deviations = len(known) + drawn
    words = (
        f"{deviations} of {n} deviate; projected {money(found.projected, units.currency)}, upper misstatement limit "
        f"{money(found.upper, units.currency)} versus tolerable {money(units.tolerable, units.currency)}"
    )
    observed, limit = min(1.0, found.projected / units.value), min(1.0, found.upper / units.value)
    tolerable = min(1.0, units.tolerable / units.value)
    basis = "of the cost: Stringer bound, each deviating decision counted with its whole cost"
    return Evaluation(n, deviations, observed, limit, tolerable, found.upper <= units.tolerable, words, basis)


def money(micros: int, currency: str) -> str:
    """`1,204.50 USD`; four digits more where the amount is below one."""
    digits = 2 if abs(micros) >= 1_000_000 else 6
    return f"{micros / 1_000_000:,.{digits}f} {currency}"


def _within(limit: float, tolerable_rate: float | None) -> bool:
    return tolerable_rate is None or limit <= tolerable_rate


def _against(limit: float, tolerable_rate: float | None) -> str:
    said = f"upper deviation limit {limit:.1%}"
    return said if tolerable_rate is None else f"{said} versus tolerable {tolerable_rate:.1%}"
