"""Monetary-unit sampling: each micro-unit of cost has the same chance, and draws the decision that it belongs to. Pure.

Amounts are whole micro-units. The confidence factors are the Poisson's (AICPA *Audit Sampling*, chapter 6), computed.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from audits.sampling.limits import confidence_factor
from audits.sampling.methods import OVERRELIANCE, SamplingError

START_TAG = b"affidavit/v1/monetary-unit-start"
CERTAIN, SYSTEMATIC = 1, 2  # the numbers of the strata that amounts fall into; 3: decisions without a cost


def planning_factor(expected: int, tolerable: int, risk: float = OVERRELIANCE) -> float:
    """The confidence factor for an expected misstatement: 3.00 for none at 5 %, 3.68 where a tenth of the tolerable.

    Solves F = Gamma⁻¹(1 − risk; 1 + expected/tolerable · F), as the guide's table does. Raises `SamplingError`.
    """
    if not 0 <= expected < tolerable or not 0 < risk < 1:
        raise SamplingError("The expected misstatement must be below the tolerable one, which is above 0.")
    ratio = expected / tolerable
    factor = confidence_factor(0, risk)
    for _ in range(500):
        before, factor = factor, confidence_factor(ratio * factor, risk)
        if factor - before < 1e-7:
            return factor
    raise SamplingError("The expected misstatement is too close to the tolerable one.")


def interval_of(expected: int, tolerable: int, risk: float = OVERRELIANCE) -> int:
    """The sampling interval in micro-units."""
    interval = int(tolerable / planning_factor(expected, tolerable, risk))
    if interval < 1:
        raise SamplingError("The tolerable misstatement is too small.")
    return interval


def start_of(seed: bytes, interval: int) -> int:
    """The random start, 0 to interval − 1: SHA-256(tag ‖ seed) as a number, modulo the interval."""
    return int.from_bytes(hashlib.sha256(START_TAG + seed).digest(), "big") % interval


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn, ascending: the decisions that cost the interval or more, and those that a unit was drawn of."""

    certain: list[int]
    systematic: list[int]

    @property
    def indexes(self) -> list[int]:
        """All of them, in the order of the log."""
        return sorted([*self.certain, *self.systematic])


def draw_units(amounts: Sequence[tuple[int, int]], interval: int, start: int) -> Drawn:
    """Draw from (leaf index, amount), ascending by index. Each unit number start, start + interval, … draws.

    Decisions of the interval or more are drawn for certain and leave the line of units; nothing and less than nothing
    is never drawn.
    """
    certain, systematic, passed, due = [], [], 0, start
    for index, amount in amounts:
        if amount >= interval:
            certain.append(index)
        elif amount > 0:
            passed += amount
            if due < passed:
                systematic.append(index)
                due += interval
    return Drawn(certain, systematic)


@dataclass(frozen=True, slots=True)
class Misstatement:
    """What the deviating amounts come to, in micro-units: found for certain, projected, and at most."""

    known: int
    projected: int
    upper: int


def misstatement(interval: int, taints: Sequence[float], known: int, risk: float = OVERRELIANCE) -> Misstatement:
    """Evaluate: `taints` are the deviating shares (0 to 1) of the items drawn by a unit, `known` the misstatement of
    those drawn for certain.

    Upper limit: known + interval · (F₀ + Σ (Fᵢ − Fᵢ₋₁) · taintᵢ), taints in falling order (Stringer bound).
    """
    if any(not 0 <= taint <= 1 for taint in taints):
        raise SamplingError("A taint is between 0 and 1.")
    factors = [confidence_factor(k, risk) for k in range(len(taints) + 1)]
    steps = [after - before for before, after in pairwise(factors)]
    worst = sorted(taints, reverse=True)
    bound = factors[0] + sum(step * taint for step, taint in zip(steps, worst, strict=True))
    return Misstatement(known, known + round(interval * sum(taints)), known + round(interval * bound))
