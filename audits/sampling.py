"""Attribute sampling: how many, which ones, and what the result says. Pure; re-performable by anyone offline.

Sizes come from the binomial and reproduce the tables of the AICPA Audit Guide *Audit Sampling*; limits are one-sided
Clopper–Pearson. Rates are fractions (0.05 is 5 %).
"""

import hashlib
import heapq
import math
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import models

OVERRELIANCE = 0.05  # the risk of relying on a control that fails more often than tolerable
MAX_SAMPLE = 10_000


class Method(models.TextChoices):
    ALL = "all", "Every decision"
    ATTRIBUTE = "attribute", "Attribute sample: size computed from the tolerable rate"
    RANDOM = "random", "Random sample of a given size"


class SamplingError(ValueError):
    """Parameters for which there is no sample."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many items to examine, and how many deviations the plan still accepts."""

    n: int
    acceptable: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `deviations` in `n` items say about the population."""

    n: int
    deviations: int
    upper_limit: float
    tolerable_rate: float | None

    @property
    def is_acceptable(self) -> bool:
        """Whether the upper limit stays within the tolerable rate; True when none was set."""
        return self.tolerable_rate is None or self.upper_limit <= self.tolerable_rate

    @property
    def words(self) -> str:
        """The result as an auditor states it."""
        said = f"{self.deviations} of {self.n} deviate; upper deviation limit {self.upper_limit:.1%}"
        return said if self.tolerable_rate is None else f"{said} versus tolerable {self.tolerable_rate:.1%}"


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


def evaluate(deviations: int, n: int, tolerable_rate: float | None, risk: float = OVERRELIANCE) -> Evaluation:
    """The result of a sample, for the report."""
    return Evaluation(n, deviations, upper_limit(deviations, n, risk), tolerable_rate)


def seed_of(root: bytes, case_id: uuid.UUID) -> bytes:
    """SHA-256(root ‖ 16 bytes of the case's id); `root` is of the first checkpoint that covers the freeze."""
    return hashlib.sha256(root + case_id.bytes).digest()


def rank(seed: bytes, leaf_index: int) -> bytes:
    """SHA-256(seed ‖ leaf index as 8 bytes, big-endian): the order of selection."""
    return hashlib.sha256(seed + leaf_index.to_bytes(8, "big")).digest()


def select(seed: bytes, leaf_indexes: Iterable[int], n: int) -> list[int]:
    """The `n` leaf indexes of lowest rank, in that order."""
    return heapq.nsmallest(n, leaf_indexes, key=lambda index: rank(seed, index))
