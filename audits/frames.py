"""Sampling frames: what is known of each decision of a population before it is examined, fixed by a hash.

A frame is CSV, a line for each leaf index, ascending: its stratum's number, or its cost in micro-units. Recorded
decisions do not change, so whoever builds it again from the same records gets the same bytes.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from audits.sampling.methods import Rule, SamplingError, Stratify
from tenants.models import LedgerLeaf
from traces.models import Decision, PolicyMatch

BATCH = 5_000
MAX_FRAME = 1_000_000  # decisions that are looked at one by one
MAX_STRATA = 50

ADVERSE = {True: "adverse", False: "not adverse", None: "not stated"}
Label = Callable[[Decision], str]
LABELS: Mapping[Stratify, Label] = {
    Stratify.ACTION: lambda decision: decision.action,
    Stratify.VERDICT: lambda decision: decision.verdict,
    Stratify.OUTCOME: lambda decision: decision.outcome or "not stated",
    Stratify.ADVERSE: lambda decision: ADVERSE[decision.adverse],
    Stratify.DEPLOYMENT: lambda decision: str(decision.deployment),
    Stratify.MODEL: lambda decision: str(decision.model_version),
}
RULES: Mapping[Rule, Callable[[Decision], bool]] = {
    Rule.ACTION: lambda decision: decision.action != "allow",
    Rule.VERDICT: lambda decision: decision.verdict in {"triggered", "error"},
    Rule.ADVERSE: lambda decision: bool(decision.adverse),
    Rule.LATE: lambda decision: decision.late,
    Rule.CLAIM: lambda decision: decision.policy_match not in {PolicyMatch.MATCH, PolicyMatch.NONE},
}
EXCEPTION, CONFORMING = 1, 2


@dataclass(frozen=True, slots=True)
class StratumFrame:
    """(leaf index, stratum number from 1), ascending; `names` and `counts` in the order of the numbers."""

    rows: list[tuple[int, int]]
    names: list[str]

    @property
    def counts(self) -> list[int]:
        """How many decisions each stratum has."""
        found = Counter(number for _, number in self.rows)
        return [found[number] for number in range(1, len(self.names) + 1)]

    @property
    def csv(self) -> bytes:
        """The bytes that are hashed and exported."""
        return ("leaf_index,stratum\n" + "".join(f"{index},{number}\n" for index, number in self.rows)).encode()


@dataclass(frozen=True, slots=True)
class CostFrame:
    """(leaf index, cost in micro-units of `currency`; None: no price is known), ascending."""

    rows: list[tuple[int, int | None]]
    currency: str

    @property
    def amounts(self) -> list[tuple[int, int]]:
        """Those that have a cost."""
        return [(index, amount) for index, amount in self.rows if amount and amount > 0]

    @property
    def csv(self) -> bytes:
        """The bytes that are hashed and exported; no digits where no cost is known."""
        lines = (f"{index},{'' if amount is None else amount}\n" for index, amount in self.rows)
        return ("leaf_index,cost_micros\n" + "".join(lines)).encode()


def stratum_frame(shard: int, indexes: Sequence[int], by: Stratify) -> StratumFrame:
    """Strata in the order of their names. Raises `SamplingError` where there are too many."""
    label = LABELS[by]
    labels = [(index, label(decision)) for index, decision in _decisions(shard, indexes)]
    names = sorted({name for _, name in labels})
    if len(names) > MAX_STRATA:
        raise SamplingError(f"That gives {len(names):,} strata; at most {MAX_STRATA} can be reviewed. Choose another.")
    numbers = {name: number for number, name in enumerate(names, start=1)}
    return StratumFrame([(index, numbers[name]) for index, name in labels], names)


def exception_frame(shard: int, indexes: Sequence[int], rules: Sequence[Rule]) -> StratumFrame:
    """Stratum 1: the decisions that one of the rules names; stratum 2: the others."""
    tests = [RULES[rule] for rule in rules]
    rows = [
        (index, EXCEPTION if any(test(decision) for test in tests) else CONFORMING)
        for index, decision in _decisions(shard, indexes)
    ]
    return StratumFrame(rows, ["exceptions", "by rule only"])


def cost_frame(shard: int, indexes: Sequence[int]) -> CostFrame:
    """Costs as recorded. Raises `SamplingError` where they are in several currencies, or there are none."""
    found = [(index, decision.cost_micros, decision.currency) for index, decision in _decisions(shard, indexes)]
    currencies = {currency for _, amount, currency in found if amount and currency}
    if not currencies:
        raise SamplingError("No decision of the population has a cost.")
    if len(currencies) > 1:
        listed = ", ".join(sorted(currencies))
        raise SamplingError(f"The costs are in several currencies ({listed}): narrow the scope to one.")
    return CostFrame([(index, amount) for index, amount, _ in found], currencies.pop())


def _decisions(shard: int, indexes: Sequence[int]) -> Iterator[tuple[int, Decision]]:
    """Each decision of the population with its leaf index, ascending; in batches."""
    if len(indexes) > MAX_FRAME:
        raise SamplingError(f"This method looks at each decision: at most {MAX_FRAME:,}. Narrow the scope.")
    columns = ("tenant", "action", "verdict", "outcome", "adverse", "late", "policy_match", "cost_micros", "currency")
    for start in range(0, len(indexes), BATCH):
        wanted = indexes[start : start + BATCH]
        leaves = LedgerLeaf.objects.filter(shard=shard, leaf_index__in=wanted).order_by("leaf_index")
        pairs = list(leaves.values_list("leaf_index", "rid"))
        rows = Decision.objects.filter(pk__in=[rid for _, rid in pairs])
        found = rows.select_related("deployment", "model_version").only(*columns, "deployment", "model_version")
        by_id = {decision.pk: decision for decision in found}
        yield from ((index, by_id[rid]) for index, rid in pairs)
