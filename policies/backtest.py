"""Replay stored decisions against a candidate: which would be acted on differently. Pure and deterministic.

Facts come from the record, with the time of the record, so two runs over the same decisions give the same bytes.
Chunks can be replayed apart and merged in order: the whole is the same as in one go.

`old` is the action recorded for the decision. `new` is what it would have been with the candidate in the place of the
version of the same policy that applied then (if any): the strongest of what the *other* policies asked for and what
the candidate asks for now. So a decision that another policy blocked stays blocked, and is no flip.

The stored result (`PolicyBacktest.result`, RFC 8785 JSON, lists in a fixed order; the report reads this):

    {"decisions": 1200,                          replayed
     "erased": 3,                                left out: their content is gone
     "flips": 17,                                old ≠ new
     "matrix": [[old, new, decisions], …],       every pair that occurs, unchanged ones too
     "examples": [[old, new, [id, …]], …],       flips: the first ≤ 5 decision ids
     "segments": [{"system": …, "environment": …, "task": …, "model": …, "decisions": 40,
                   "flips": [[old, new, decisions, [id, …]], …]}, …],
     "rules": [[rule, decisions], …],            of the candidate: triggered on
     "errors": [[rule, code, decisions], …],     of the candidate: could not be decided
     "withheld": {"decisions": 9, "tokens": 8211, "costs": [["EUR", 7, 41200]]},
     "released": {"decisions": 1, "tokens": 900, "costs": []}}

`withheld` are decisions whose answer went out and now would not (refrain, block, stop, failed closed), `released` the
opposite: their tokens, and what they cost where that is known, as [currency, decisions, micro-units] each. At most
1,000 segments are kept apart; those first seen later are counted in one whose members are all empty.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from policies.engine import ACTIONS, DENIALS, STRENGTH, CompiledPolicy, Verdict, evaluate
from policies.facts import Facts
from tenants.ledger.canonical import dumps, parse_strict

EXAMPLES_A_FLIP = 5
SEGMENTS_KEPT = 1_000

Flip = tuple[str, str]
Segment = tuple[str, str, str, str]
"""System, environment, task, model."""

SEGMENT_MEMBERS = ("system", "environment", "task", "model")
REMAINDER: Segment = ("", "", "", "")


@dataclass(frozen=True, slots=True)
class Case:
    """A stored decision: what is known of it, and what was done about it then.

    `others` is the strongest action that policies other than the candidate's asked for; `cost_micros` None: not known.
    """

    id: str
    facts: Facts
    old_action: str
    others: str = "allow"
    segment: Segment = REMAINDER
    tokens: int = 0
    cost_micros: int | None = None
    currency: str = ""


@dataclass(slots=True)
class Effect:
    """Decisions, the tokens they used and, where known, what they cost, by currency."""

    decisions: int = 0
    tokens: int = 0
    priced: Counter[str] = field(default_factory=Counter)  # currency → decisions
    cost_micros: Counter[str] = field(default_factory=Counter)  # currency → micro-units

    def add(self, case: Case) -> None:
        """One more."""
        self.decisions += 1
        self.tokens += case.tokens
        if case.cost_micros is not None:
            self.priced[case.currency] += 1
            self.cost_micros[case.currency] += case.cost_micros

    def merge(self, other: "Effect") -> None:
        """Both together."""
        self.decisions += other.decisions
        self.tokens += other.tokens
        self.priced.update(other.priced)
        self.cost_micros.update(other.cost_micros)

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        costs = [[currency, n, self.cost_micros[currency]] for currency, n in sorted(self.priced.items())]
        return {"decisions": self.decisions, "tokens": self.tokens, "costs": costs}

    @classmethod
    def read(cls, document: dict[str, Any]) -> "Effect":
        """The inverse."""
        priced = Counter({currency: n for currency, n, _ in document["costs"]})
        costs = Counter({currency: micros for currency, _, micros in document["costs"]})
        return cls(document["decisions"], document["tokens"], priced, costs)


@dataclass(slots=True)
class SegmentResult:
    """The decisions of one segment: how many, and of each flip how many with the first ids."""

    decisions: int = 0
    flips: Counter[Flip] = field(default_factory=Counter)
    examples: dict[Flip, list[str]] = field(default_factory=dict)

    def merge(self, later: "SegmentResult") -> None:
        """Add what follows."""
        self.decisions += later.decisions
        self.flips.update(later.flips)
        _add_examples(self.examples, later.examples)


@dataclass(slots=True)
class BacktestResult:
    """What a replay found; see the module's text for each member."""

    decisions: int = 0
    erased: int = 0
    matrix: Counter[Flip] = field(default_factory=Counter)
    examples: dict[Flip, list[str]] = field(default_factory=dict)
    by_segment: dict[Segment, SegmentResult] = field(default_factory=dict)
    rules: Counter[str] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    withheld: Effect = field(default_factory=Effect)
    released: Effect = field(default_factory=Effect)

    @property
    def flips(self) -> int:
        """Decisions with another action than then."""
        return sum(count for (old, new), count in self.matrix.items() if old != new)

    @property
    def processed(self) -> int:
        """Decisions that were looked at."""
        return self.decisions + self.erased

    @property
    def segment_sizes(self) -> Counter[str]:
        """Decisions by segment, as people read its name."""
        sizes: Counter[str] = Counter()
        for name, part in self.by_segment.items():
            sizes[_label(name)] += part.decisions
        return sizes

    @property
    def segments(self) -> dict[str, Counter[Flip]]:
        """Flips by segment, as people read its name; those without any are left out."""
        flips: dict[str, Counter[Flip]] = {}
        for name, part in self.by_segment.items():
            if part.flips:
                flips.setdefault(_label(name), Counter()).update(part.flips)
        return flips

    @property
    def stopped_cost_micros(self) -> int:
        """What the decisions cost whose answer would now be withheld, where known, in the currency of most of it."""
        return max(self.withheld.cost_micros.values(), default=0)

    def segment(self, name: Segment) -> SegmentResult:
        """The segment's part, or that of the remainder once enough are kept apart."""
        found = self.by_segment.get(name)
        if found is None:
            kept = name if len(self.by_segment) < SEGMENTS_KEPT else REMAINDER
            found = self.by_segment.setdefault(kept, SegmentResult())
        return found

    def merge(self, later: "BacktestResult") -> None:
        """Add the chunk that follows this one."""
        self.decisions += later.decisions
        self.erased += later.erased
        self.matrix.update(later.matrix)
        self.rules.update(later.rules)
        self.errors.update(later.errors)
        self.withheld.merge(later.withheld)
        self.released.merge(later.released)
        _add_examples(self.examples, later.examples)
        for name, part in later.by_segment.items():
            self.segment(name).merge(part)

    def document(self) -> dict[str, Any]:
        """Plain JSON, each list in a fixed order."""
        return {
            "decisions": self.decisions,
            "erased": self.erased,
            "flips": self.flips,
            "matrix": [[old, new, n] for (old, new), n in sorted(self.matrix.items())],
            "examples": [[old, new, ids] for (old, new), ids in sorted(self.examples.items())],
            "segments": [_segment_entry(name, part) for name, part in sorted(self.by_segment.items(), key=_by_name)],
            "rules": [[rule, n] for rule, n in sorted(self.rules.items())],
            "errors": [[rule, code, n] for (rule, code), n in sorted(self.errors.items())],
            "withheld": self.withheld.document(),
            "released": self.released.document(),
        }

    def canonical(self) -> bytes:
        """RFC 8785 bytes: what is stored, hashed and shown."""
        return dumps(self.document())

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.canonical()).digest()


def replay(cases: Iterable[Case], candidate: CompiledPolicy) -> BacktestResult:
    """Judge each case by the candidate. Never raises on facts from `build_facts`."""
    result = BacktestResult()
    only = (candidate,)
    for case in cases:
        _count(result, case, evaluate(only, case.facts))
    return result


def _count(result: BacktestResult, case: Case, verdict: Verdict) -> None:
    new = stronger(case.others, verdict.action)
    flip = (case.old_action, new)
    result.decisions += 1
    result.matrix[flip] += 1
    part = result.segment(case.segment)
    part.decisions += 1
    for finding in verdict.findings:
        if finding.outcome == "triggered":
            result.rules[finding.rule] += 1
        elif finding.outcome == "error":
            result.errors[finding.rule, finding.error] += 1
    if case.old_action == new:
        return
    part.flips[flip] += 1
    for examples in (result.examples, part.examples):
        _add_examples(examples, {flip: [case.id]})
    was_withheld, is_withheld = case.old_action in DENIALS, new in DENIALS
    if was_withheld != is_withheld:
        (result.withheld if is_withheld else result.released).add(case)


def stronger(one: str, other: str) -> str:
    """The stronger of two actions; one that no engine of ours knows counts as the weakest."""
    return one if STRENGTH.get(one, -1) > STRENGTH.get(other, -1) else other


def _add_examples(known: dict[Flip, list[str]], later: dict[Flip, list[str]]) -> None:
    for flip, ids in later.items():
        first = known.setdefault(flip, [])
        first += ids[: EXAMPLES_A_FLIP - len(first)]


def _label(name: Segment) -> str:
    return " · ".join(part for part in name if part) or "all others"


def _by_name(entry: tuple[Segment, SegmentResult]) -> Segment:
    return entry[0]


def _segment_entry(name: Segment, part: SegmentResult) -> dict[str, Any]:
    flips = [[old, new, n, part.examples[old, new]] for (old, new), n in sorted(part.flips.items())]
    return dict(zip(SEGMENT_MEMBERS, name, strict=True)) | {"decisions": part.decisions, "flips": flips}


def read_result(canonical: bytes) -> BacktestResult:
    """A stored result, to be merged with the next chunk. Raises ValueError on anything else."""
    try:
        document = parse_strict(canonical)
        result = BacktestResult(
            decisions=document["decisions"],
            erased=document["erased"],
            matrix=Counter({(old, new): n for old, new, n in document["matrix"]}),
            examples={(old, new): list(ids) for old, new, ids in document["examples"]},
            rules=Counter(dict(document["rules"])),
            errors=Counter({(rule, code): n for rule, code, n in document["errors"]}),
            withheld=Effect.read(document["withheld"]),
            released=Effect.read(document["released"]),
        )
        for entry in document["segments"]:
            system, environment, task, model = (entry[member] for member in SEGMENT_MEMBERS)
            result.by_segment[system, environment, task, model] = SegmentResult(
                entry["decisions"],
                Counter({(old, new): n for old, new, n, _ in entry["flips"]}),
                {(old, new): list(ids) for old, new, _, ids in entry["flips"]},
            )
    except (KeyError, TypeError) as error:
        raise ValueError(f"Not the result of a backtest: {error}") from None
    return result


def ordered_actions(actions: Iterable[str]) -> list[str]:
    """The actions that occur, weakest first; those that no engine of ours knows come last."""
    return sorted(set(actions), key=lambda action: (STRENGTH.get(action, len(ACTIONS)), action))
