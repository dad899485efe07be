"""How many false alarms a tenant is willing to have, and what that leaves for each look at each deployment. Pure.

A month of looks at one deployment is one hypothesis; the tenant's deployments are tested one after the other by
LORD++ (Ramdas et al. 2017): the false discovery rate stays under `alpha`, and real alarms earn back what they spent,
so that a tenant with many deployments keeps its power.
"""

import math
from collections.abc import Sequence

BUDGET = 0.2  # expected false alarms a tenant and month
MAX_SHARE = 0.01  # of a deployment-month, however few deployments a tenant has
LOOKS_WORTH = 200.0  # independent looks that a deployment-month's are worth, channels together (replayed null streams)


def _gamma(j: int) -> float:
    """LORD's spending sequence, normalised: ∝ log(j ∨ 2) / (j · exp √log j)."""
    return 0.0722 * math.log(max(j, 2)) / (j * math.exp(math.sqrt(math.log(j)))) if j > 0 else 0.0


def lord_level(t: int, discoveries: Sequence[int], alpha: float) -> float:
    """The level of the `t`-th hypothesis (from 1), after discoveries at these earlier ones."""
    start = alpha / 2
    level = _gamma(t) * start
    for number, at in enumerate(d for d in discoveries if d < t):
        level += _gamma(t - at) * (alpha - start if number == 0 else alpha)
    return level


def look_level(n_deployments: int, n_alarms: int = 0, *, budget: float = BUDGET) -> float:
    """The p below which a channel of weight 1 alarms at one look, for each of `n_deployments` of a tenant.

    The month's budget is shared evenly; alarms that proved real this month add their wealth to everybody's share.
    """
    share = budget / max(n_deployments, 1)
    earned = lord_level(n_alarms + 1, range(1, n_alarms + 1), budget) if n_alarms else 0.0
    return min(MAX_SHARE, share + earned / max(n_deployments, 1)) / LOOKS_WORTH
