"""Sampling: how many, which ones, and what the result says. Pure; re-performable by anyone offline.

`methods` names the ways, `limits`, `lots`, `strata` and `money` compute sizes and limits, `selection` draws by a seed
that nobody chose, `evaluation` says what came of it.
"""

from audits.sampling.evaluation import Evaluation, evaluate
from audits.sampling.limits import attribute_size, binomial_cdf, upper_limit
from audits.sampling.methods import MAX_SAMPLE, OVERRELIANCE, Method, SamplingError, Size
from audits.sampling.selection import rank, seed_of, select

__all__ = [
    "MAX_SAMPLE",
    "OVERRELIANCE",
    "Evaluation",
    "Method",
    "SamplingError",
    "Size",
    "attribute_size",
    "binomial_cdf",
    "evaluate",
    "rank",
    "seed_of",
    "select",
    "upper_limit",
]
