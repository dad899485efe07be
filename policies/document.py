"""Policy documents: YAML or JSON text to an immutable `PolicyDocument`, or every problem with its line and column.

The accepted YAML is the JSON-shaped part of YAML 1.2: mappings, lists and scalars. Anchors, aliases, tags, merge keys
and several documents are refused, as are duplicate and unknown keys. `yes`, `on` and dates stay texts.

Identity is content: `canonical` writes the document, defaults filled in, as RFC 8785 canonical JSON; `sha256` is the
hash of those bytes. The same policy in YAML or JSON, in any key order, has one hash. A document's rules compile and
its examples hold, or it does not exist.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

import rfc8785

from policies.engine import ON_ERROR, RULE_ACTIONS, SEVERITIES, CompiledPolicy, compile_rule
from policies.expressions import Record, RuleError, compile_source
from policies.facts import build_facts
from policies.markup import MAX_BYTES, Node, Problem, read_markup

__all__ = ["MAX_BYTES", "DocumentError", "PolicyDocument", "Problem", "canonical", "compile_policy", "parse", "sha256"]

MAX_RULES = 200
MAX_EXAMPLES = 200
MAX_CONTROLS = 50
RISK_CLASSES = ("low", "medium", "high")
EXPECTATIONS = ("triggered", "not_triggered", "error")

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_CONTROL = re.compile(r"[a-z0-9][a-z0-9-]{0,63}:[^\s:][^:\n]{0,63}")


class DocumentError(ValueError):
    """A refused document. `problems` is never empty and in the document's order."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("; ".join(str(problem) for problem in self.problems[:3]))


@dataclass(frozen=True, slots=True)
class AppliesTo:
    """Where the policy is in force; an empty tuple means everywhere."""

    systems: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: when the CEL expression `when` is true, the rule is triggered and asks for `action`."""

    id: str
    severity: str
    message: str
    when: str
    action: str
    controls: tuple[str, ...]
    """`framework:clause` ids, such as `gdpr:22(3)`."""


@dataclass(frozen=True, slots=True)
class Example:
    """A unit test inside the document: a partial decision as submitted, and what rules must say of it."""

    name: str
    decision: Mapping[str, Any]
    expect: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    policy: str
    title: str
    description: str
    risk_class: str
    applies_to: AppliesTo
    on_error: str
    rules: tuple[Rule, ...]
    examples: tuple[Example, ...]


def parse(source: str | bytes) -> PolicyDocument:
    """Read, validate, compile and test a document of at most `MAX_BYTES`. Raises DocumentError, and only that."""
    problems: list[Problem] = []
    root = read_markup(source, problems)
    if root is None:
        raise DocumentError(problems)
    document = _document(_Reader(root, problems))
    if not problems:
        _check_canonical(document, root, problems)
    if not problems:
        _run_examples(document, root, problems)
    if problems:
        raise DocumentError(problems)
    return document


def canonical(document: PolicyDocument) -> bytes:
    """RFC 8785 bytes of the whole document, defaults written out. `parse(canonical(d)) == d`."""
    return rfc8785.dumps(asdict(document))


def sha256(document: PolicyDocument) -> str:
    """The version's name: 64 hex digits over `canonical`."""
    return hashlib.sha256(canonical(document)).hexdigest()


def compile_policy(document: PolicyDocument) -> CompiledPolicy:
    """The document ready to judge decisions; costs microseconds a rule once its expressions are cached."""
    digest = sha256(document)
    rules = tuple(
        compile_rule(
            rule.when,
            policy=document.policy,
            policy_hash=digest,
            rule=rule.id,
            action=rule.action,
            severity=rule.severity,
            message=rule.message,
            on_error=document.on_error,
        )
        for rule in document.rules
    )
    scope = document.applies_to
    return CompiledPolicy(
        document.policy,
        digest,
        rules,
        frozenset(scope.systems),
        frozenset(scope.environments),
        frozenset(scope.tasks),
    )


class _Reader:
    """A mapping being read: takes known fields, notes every problem at its place, and goes on with a neutral value."""

    def __init__(self, node: Node, problems: list[Problem]) -> None:
        self.node, self.problems = node, problems
        self.fields: Mapping[str, Node] = node.fields if node.fields is not None else {}
        if node.fields is None:
            self.problem(node, "must be a mapping of fields")

    def problem(self, node: Node, message: str) -> None:
        self.problems.append(Problem(node.line, node.column, f"{node.path}: {message}" if node.path else message))

    def allow(self, *known: str) -> None:
        for name, node in self.fields.items():
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known fields: {', '.join(known)}"
                self.problem(node.key or node, f"unknown field; {hint}")

    def text(self, name: str, *, limit: int, default: str | None = None) -> str:
        node = self.fields.get(name)
        if node is None:
            if default is None:
                self.problem(self.node, f"the field {name} is missing")
            return default or ""
        if not isinstance(node.value, str):
            self.problem(node, "must be text; quote it")
            return ""
        if len(node.value) > limit or (default is None and not node.value.strip()):
            self.problem(node, f"must have {0 if default is not None else 1} to {limit} characters")
        return node.value

    def slug(self, name: str) -> str:
        value = self.text(name, limit=64)
        if value and not _SLUG.fullmatch(value):
            self.problem(self.fields[name], "must be lower-case letters, digits and inner hyphens, at most 64")
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(name, limit=64, default=default)
        if name in self.fields and value not in choices:
            close = get_close_matches(value, choices, n=1)
            self.problem(self.fields[name], f"did you mean {close[0]}?" if close else f"one of {', '.join(choices)}")
        return value

    def items(self, name: str, limit: int) -> list[Node]:
        node = self.fields.get(name)
        if node is None:
            return []
        if node.items is None:
            self.problem(node, "must be a list")
            return []
        if len(node.items) > limit:
            self.problem(node, f"at most {limit} entries; this has {len(node.items)}")
            return []
        return node.items

    def texts(self, name: str, limit: int, pattern: re.Pattern[str] | None = None) -> tuple[str, ...]:
        values: list[str] = []
        for node in self.items(name, limit):
            if not isinstance(node.value, str) or not 0 < len(node.value) <= 200:
                self.problem(node, "must be text of 1 to 200 characters")
            elif pattern is not None and not pattern.fullmatch(node.value):
                self.problem(node, "must be framework:clause, as eu-ai-act:12(1)")
            elif node.value in values:
                self.problem(node, "is listed twice")
            else:
                values.append(node.value)
        return tuple(values)


def _document(reader: _Reader) -> PolicyDocument:
    reader.allow("policy", "title", "description", "risk_class", "applies_to", "on_error", "rules", "examples")
    rule_nodes = reader.items("rules", MAX_RULES)
    document = PolicyDocument(
        policy=reader.slug("policy"),
        title=reader.text("title", limit=200),
        description=reader.text("description", limit=8_000, default=""),
        risk_class=reader.choice("risk_class", RISK_CLASSES),
        applies_to=_applies_to(reader),
        on_error=reader.choice("on_error", tuple(ON_ERROR)),
        rules=tuple(_rule(_Reader(node, reader.problems)) for node in rule_nodes),
        examples=tuple(_example(_Reader(node, reader.problems)) for node in reader.items("examples", MAX_EXAMPLES)),
    )
    if "rules" not in reader.fields or reader.fields["rules"].items == []:
        reader.problem(reader.fields.get("rules", reader.node), "at least one rule is needed")
    seen: set[str] = set()
    for node, rule in zip(rule_nodes, document.rules, strict=True):
        if rule.id in seen:
            reader.problem(node, f"a second rule with the id {rule.id}")
        seen.add(rule.id)
    return document


def _applies_to(reader: _Reader) -> AppliesTo:
    node = reader.fields.get("applies_to")
    if node is None:
        return AppliesTo()
    scope = _Reader(node, reader.problems)
    scope.allow("systems", "environments", "tasks")
    return AppliesTo(scope.texts("systems", 100), scope.texts("environments", 100), scope.texts("tasks", 100))


def _rule(reader: _Reader) -> Rule:
    reader.allow("id", "severity", "message", "when", "action", "controls")
    rule = Rule(
        id=reader.slug("id"),
        severity=reader.choice("severity", SEVERITIES),
        message=reader.text("message", limit=500),
        when=reader.text("when", limit=64 << 10),
        action=reader.choice("action", RULE_ACTIONS),
        controls=reader.texts("controls", MAX_CONTROLS, _CONTROL),
    )
    if rule.when:
        try:
            compile_source(rule.when)
        except RuleError as error:
            node = reader.fields["when"]
            line, column = node.position(error.line, error.column)
            reader.problems.append(Problem(line, column, f"{node.path}: {error.message}"))
    return rule


def _example(reader: _Reader) -> Example:
    reader.allow("name", "decision", "expect")
    expect: dict[str, str] = {}
    for name in ("decision", "expect"):
        if name not in reader.fields:
            reader.problem(reader.node, f"the field {name} is missing")
        elif reader.fields[name].fields is None:
            reader.problem(reader.fields[name], "must be a mapping of fields")
    wanted = reader.fields.get("expect")
    outcomes = _Reader(wanted, []) if wanted is not None else None
    for rule in outcomes.fields if outcomes else ():
        expect[rule] = str(outcomes.fields[rule].value) if outcomes else ""
        if outcomes and expect[rule] not in EXPECTATIONS:
            reader.problem(outcomes.fields[rule], f"one of {', '.join(EXPECTATIONS)}")
    decision = reader.fields.get("decision")
    plain = decision.plain() if decision is not None and decision.fields is not None else {}
    return Example(reader.text("name", limit=200), plain, expect)


def _check_canonical(document: PolicyDocument, root: Node, problems: list[Problem]) -> None:
    try:
        canonical(document)
    except (rfc8785.CanonicalizationError, ValueError) as error:
        problems.append(Problem(root.line, root.column, f"a value has no canonical JSON form: {error}"))


def _run_examples(document: PolicyDocument, root: Node, problems: list[Problem]) -> None:
    programs = {rule.id: compile_source(rule.when) for rule in document.rules}
    nodes = (root.fields or {}).get("examples")
    for example, node in zip(document.examples, (nodes.items if nodes else None) or [], strict=True):
        record = Record(build_facts(example.decision))
        expected = (node.fields or {})["expect"].fields or {}
        for rule, wanted in example.expect.items():
            place = expected[rule]
            if rule not in programs:
                close = get_close_matches(rule, programs, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                problems.append(Problem(place.line, place.column, f"{place.path}: no rule has this id{hint}"))
                continue
            outcome, code = programs[rule].evaluate(record)
            if outcome != wanted:
                found = f"{outcome} ({code})" if code else outcome
                message = f"{place.path}: example “{example.name}” expects {wanted}, the rule says {found}"
                problems.append(Problem(place.line, place.column, message))
