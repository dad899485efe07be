"""Sizes and limits from the binomial, hypergeometric and Poisson distributions. Pure.

Attribute sizes reproduce the tables of the AICPA Audit Guide *Audit Sampling*, and confidence factors those of its
monetary-unit chapter: they are computed, no table is kept. Rates are fractions (0.05 is 5 %).
"""

import math

from audits.sampling.methods import MAX_SAMPLE, OVERRELIANCE, SamplingError, Size
from traces.drift.tails import gamma_tail


def binomial_cdf(k: int, n: int, p: float) -> float:
    """P(X ≤ k) for X ~ Binomial(n, p), summed in logarithms so that a large n does not underflow."""
    if k >= n or p <= 0:
        return 1.0
    if p >= 1:
        return 0.0
    log_p, log_q = math.log(p), math.log1p(-p)
    terms = (
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * log_p + (n - i) * log_q
        for i in range(k + 1)
    )
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def attribute_size(expected_rate: float, tolerable_rate: float, overreliance: float = OVERRELIANCE) -> Size:
    """The smallest sample whose acceptable deviations cover the expected rate. Raises `SamplingError`."""
    if not 0 <= expected_rate < tolerable_rate < 1 or not 0 < overreliance < 1:
        raise SamplingError("The expected rate must be below the tolerable one, and both between 0 and 100 %.")
    n = acceptable = 0
    while n <= MAX_SAMPLE:
        n = _smallest_n(acceptable, max(n, acceptable + 1), tolerable_rate, overreliance)
        if n * expected_rate <= acceptable:
            return Size(n, acceptable)
        acceptable += 1
    raise SamplingError(f"These rates are too close: the sample would exceed {MAX_SAMPLE:,} items.")


def _smallest_n(acceptable: int, start: int, rate: float, risk: float) -> int:
    """The smallest n from `start` with P(X ≤ acceptable) ≤ risk; the probability falls as n grows."""
    low, high = start - 1, start
    while binomial_cdf(acceptable, high, rate) > risk:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if binomial_cdf(acceptable, middle, rate) > risk else (low, middle)
    return high


def upper_limit(deviations: int, n: int, risk: float = OVERRELIANCE) -> float:
    """One-sided Clopper–Pearson upper limit at confidence 1 − risk, by bisection to 1e-9."""
    if not 0 <= deviations <= n or n == 0:
        raise SamplingError("There cannot be more deviations than items, nor a limit without items.")
    if deviations == n:
        return 1.0
    low, high = deviations / n, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_cdf(deviations, n, middle) > risk else (low, middle)
    return high


def discovery_size(critical_rate: float, population: int, risk: float = OVERRELIANCE) -> Size:
    """The smallest sample that meets a deviation with probability 1 − risk if the rate is critical. Exact: without
    replacement from `population`, of which the critical rate's share, rounded up, deviates. Raises `SamplingError`."""
    if not 0 < critical_rate < 1 or not 0 < risk < 1 or population < 1:
        raise SamplingError("The critical rate must be between 0 and 100 %.")
    deviating = math.ceil(critical_rate * population - 1e-9)
    low, high = 0, population
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if none_met(middle, deviating, population) > risk else (low, middle)
    return Size(high, 0)


def none_met(n: int, deviating: int, population: int) -> float:
    """The probability that `n` items drawn from `population` without replacement miss all that deviate."""
    if n + deviating > population:
        return 0.0
    return math.exp(_log_choose(population - deviating, n) - _log_choose(population, n))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def undiscovered(n: int, population: int, risk: float = OVERRELIANCE) -> int:
    """How many of the population may deviate though none of `n` does, at confidence 1 − risk."""
    low, high = 0, population - n + 1  # low may still be missed; high may not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if none_met(n, middle, population) > risk else (low, middle)
    return low


def confidence_factor(k: float, risk: float = OVERRELIANCE) -> float:
    """The Poisson mean at which k or fewer events have probability `risk`: 3.00 for 0 at 5 %, 4.74 for 1 …

    That is the (1 − risk) quantile of the gamma distribution of shape k + 1; k need not be whole.
    """
    low, high = 0.0, 2 * k + 20.0
    while gamma_tail(k + 1, high) > risk:
        high *= 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if gamma_tail(k + 1, middle) > risk else (low, middle)
    return high
