"""Stratified sampling: how many from each stratum, and what the strata say together. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from audits.sampling.limits import confidence_factor
from audits.sampling.methods import MAX_SAMPLE, OVERRELIANCE, SamplingError, Size


@dataclass(frozen=True, slots=True)
class Part:
    """What the examined items of one stratum show: `deviations` in `n`, of a stratum of `population`."""

    population: int
    n: int
    deviations: int


def stratified_size(expected_rate: float, tolerable_rate: float, overreliance: float = OVERRELIANCE) -> Size:
    """The smallest sample, all strata together, whose combined limit (`combined_limit`) stays within the tolerable rate
    at the acceptable number of deviations. A little more than the binomial's: the limit is the Poisson's."""
    if not 0 <= expected_rate < tolerable_rate < 1 or not 0 < overreliance < 1:
        raise SamplingError("The expected rate must be below the tolerable one, and both between 0 and 100 %.")
    for acceptable in range(MAX_SAMPLE):
        n = math.ceil(confidence_factor(acceptable, overreliance) / tolerable_rate)
        if n * expected_rate <= acceptable:
            return Size(n, acceptable)
        if n > MAX_SAMPLE:
            break
    raise SamplingError(f"These rates are too close: the sample would exceed {MAX_SAMPLE:,} items.")


def allocate(populations: Sequence[int], n: int, minimum: int = 1) -> list[int]:
    """How many to draw from each stratum: in proportion, rounded up, at least `minimum`, at most all of it.

    Rounded up in each, so that no item stands for more decisions than in a plain sample of `n`.
    """
    total = sum(populations)
    return [min(size, max(minimum, -(-n * size // total))) for size in populations]


def weighted_rate(parts: Sequence[Part]) -> float:
    """The rate of deviations, each stratum weighted by its share of the population."""
    total = sum(part.population for part in parts)
    return sum(part.population * part.deviations / part.n for part in parts if part.n) / total


def combined_limit(parts: Sequence[Part], risk: float = OVERRELIANCE) -> float:
    """One-sided upper limit of the population's rate at confidence 1 − risk.

    Sampled strata: the gamma limit of Fay and Feuer (Statistics in Medicine 16, 1997) for a weighted sum, which is the
    exact Poisson limit where all items weigh the same. A stratum that is examined whole adds what was found in it; one
    of which nothing is examined yet counts as deviating.
    """
    total = sum(part.population for part in parts)
    known = sum(part.deviations for part in parts if part.n >= part.population)
    unknown = sum(part.population for part in parts if not part.n)
    sampled = [part for part in parts if 0 < part.n < part.population]
    if not sampled:
        return (known + unknown) / total
    weights = [part.population / total / part.n for part in sampled]
    rate = sum(weight * part.deviations for weight, part in zip(weights, sampled, strict=True))
    variance = sum(weight**2 * part.deviations for weight, part in zip(weights, sampled, strict=True))
    largest = max(weights)
    rate, variance = rate + largest, variance + largest**2
    limit = variance / rate * confidence_factor(rate**2 / variance - 1, risk)
    return min(1.0, limit + (known + unknown) / total)
