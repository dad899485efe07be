"""Frameworks as versioned data (`policies/frameworks/*.yaml`), and which of their clauses the rules in force answer.

Clauses are paraphrases in our own words, to find the law by, not to replace it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

import yaml

from policies.document import PolicyDocument

FRAMEWORKS = Path(__file__).parent / "frameworks"


@dataclass(frozen=True, slots=True)
class Clause:
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Framework:
    """A law, standard or guidance; `in_force_from`: when it began to apply, or was published (None: not recorded)."""

    id: str
    title: str
    version: str
    status: str
    in_force_from: date | None
    source: str
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class RuleRef:
    """A rule that names a clause."""

    policy: str
    rule: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """A clause and the rules that answer it."""

    clause: Clause
    rules: tuple[RuleRef, ...]


@lru_cache(maxsize=1)
def list_frameworks() -> tuple[Framework, ...]:
    """The catalogue, by title. Read once; a broken file raises KeyError or ValueError."""
    found = [_read(path) for path in FRAMEWORKS.glob("*.yaml")]
    return tuple(sorted(found, key=lambda framework: framework.title))


def _read(path: Path) -> Framework:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    if data["framework"] != path.stem or not isinstance(data["in_force_from"], date | None):
        raise ValueError(f"{path.name}: the name or the date is not right")
    clauses = tuple(Clause(str(clause), str(text)) for clause, text in data["clauses"].items())
    texts = {name: str(data[name]) for name in ("title", "version", "status", "source")}
    return Framework(id=path.stem, in_force_from=data["in_force_from"], clauses=clauses, **texts)


def coverage_of(framework: Framework, documents: Iterable[PolicyDocument]) -> list[Coverage]:
    """Every clause of the framework with the rules that name it; clauses that only rules know come last."""
    named: dict[str, list[RuleRef]] = {}
    for document in documents:
        for rule in document.rules:
            for control in rule.controls:
                owner, _, clause = control.partition(":")
                if owner == framework.id:
                    named.setdefault(clause, []).append(RuleRef(document.policy, rule.id))
    listed = [Coverage(clause, tuple(named.pop(clause.id, ()))) for clause in framework.clauses]
    return listed + [Coverage(Clause(clause, ""), tuple(rules)) for clause, rules in sorted(named.items())]


def unknown_controls(document: PolicyDocument) -> list[str]:
    """Controls of the document that the catalogue does not list: a typing mistake as a rule, but allowed."""
    known = {f"{framework.id}:{clause.id}" for framework in list_frameworks() for clause in framework.clauses}
    return sorted({control for rule in document.rules for control in rule.controls} - known)
