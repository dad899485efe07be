"""How many alarms of a tenant may be false, and what that leaves for each look at each deployment. Pure.

A hypothesis is a deployment's month ("nothing changed here"), or what is left of the month after an alarm. They are
tested while they last, all at once, and what moves one often moves the next (one provider, one release): so only
methods count that hold under any dependence and at any time. A hypothesis has a weight, settled by what was known
when it began; all weights of a tenant's month add up to at most one. Half of `BUDGET` goes by weight (Bonferroni: the
chance of any false alarm), half by e-LOND, whose levels grow with each alarm (Xu and Ramdas, "Online multiple testing
with e-values", AISTATS 2024). Together the false discovery rate of a month stays under `BUDGET`. A p becomes an e-value
by Vovk and Wang's calibrator κ·p^(κ−1) ("E-values: calibration, combination and applications", 2021).
"""

import math

BUDGET = 0.2  # share of a tenant-month's alarms that may be false, in expectation
MAX_SHARE = 0.01  # of a hypothesis, however few a tenant has
# Independent looks that a deployment-month's are worth, channels together: of 200 streams in which nothing changes, 11
# alarmed at a level of 1e-3 (`benchmarks.drift --shuffled 200 --level 1e-3`), which makes 55.
LOOKS_WORTH = 60.0
KNOWN = 0.75  # of the weight: for deployments that were there when the month began, alike; the rest by order of arrival
FIRST = 0.75  # of a deployment's weight: until its first alarm of the month; of the rest so much until the second, …
KAPPA = 0.1  # of the calibrator: small, since what matters is tiny p


def weight(known: int, arrival: int = 0, again: int = 0) -> float:
    """Of a deployment of `known` at the month's beginning, or (`arrival` from 1) of a new one; after `again` alarms."""
    place = KNOWN / known if not arrival else (1 - KNOWN) * 6 / (math.pi * arrival) ** 2
    return float(place * FIRST * (1 - FIRST) ** again)


def month_level(share: float, n_alarms: int = 0) -> float:
    """The p of a whole hypothesis of this weight below which it alarms, when the tenant had `n_alarms` this month."""
    evidence = 2 / (BUDGET * share * (n_alarms + 1))  # the e-value that e-LOND asks for
    return max(BUDGET / 2 * share, math.pow(evidence / KAPPA, -1 / (1 - KAPPA)))


def look_level(share: float, n_alarms: int = 0) -> float:
    """The p below which a channel of weight 1 alarms at one look."""
    return min(MAX_SHARE, month_level(share, n_alarms)) / LOOKS_WORTH
