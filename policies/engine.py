"""Judge decisions: compiled policies over facts, to a verdict. Pure: no database, no clock, no network.

What a rule found (`outcome`) and what is to be done (`action`) are kept apart. A rule that could not be decided is an
error with an action of its own, never "not triggered".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from policies.expressions import Outcome, Program, Record, compile_any, compile_source
from policies.facts import Facts

ACTIONS = (
    "allow",
    "log",
    "error_fail_open",
    "warn",
    "mask",
    "redact",
    "rewrite",
    "filter",
    "reask",
    "refrain",
    "route_to_human",
    "error_fail_closed",
    "block",
    "stop",
)
"""Every action, weakest first. A rule that failed closed yields to a block that is known to be deserved."""

STRENGTH: Mapping[str, int] = {action: rank for rank, action in enumerate(ACTIONS)}
DENIALS = frozenset({"refrain", "error_fail_closed", "block", "stop"})
"""Actions after which the answer is not given, and nothing is left to do to it."""

RULE_ACTIONS = tuple(action for action in ACTIONS if not action.startswith("error_"))
SEVERITIES = ("info", "low", "medium", "high", "critical")
ON_ERROR: Mapping[str, str] = {"fail_open": "error_fail_open", "fail_closed": "error_fail_closed"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule said. `error` is a code out of a fixed list: evaluator messages can quote the record's content."""

    policy: str
    policy_hash: str
    rule: str
    outcome: Outcome
    action: str
    severity: str
    message: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of a policy set. `outcome` is what was found, `action` the strongest of what to do about it."""

    outcome: Outcome
    action: str
    findings: tuple[Finding, ...]
    policies: tuple[str, ...]
    """Hashes of the policies that applied, in order."""

    @property
    def denies(self) -> bool:
        """The answer must not be given as it is, and nothing is left to do to it."""
        return self.action in DENIALS


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A program and its three possible findings, made once: evaluating a rule that passes allocates nothing."""

    program: Program
    triggered: Finding
    passed: Finding
    on_error: str

    def evaluate(self, record: Record) -> Finding:
        outcome, code = self.program.evaluate(record)
        if outcome == "not_triggered":
            return self.passed
        if outcome == "triggered":
            return self.triggered
        found = self.triggered
        return Finding(
            found.policy,
            found.policy_hash,
            found.rule,
            "error",
            self.on_error,
            found.severity,
            found.message,
            code,
        )


@dataclass(frozen=True)  # no slots: what is asked of it most is worked out once
class CompiledPolicy:
    """A policy version ready to run. Empty scopes mean everywhere."""

    name: str
    sha256: str
    rules: tuple[CompiledRule, ...]
    systems: frozenset[str] = frozenset()
    environments: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()

    @cached_property
    def quiet(self) -> tuple[Finding, ...]:
        """What is found when no rule triggers."""
        return tuple(rule.passed for rule in self.rules)

    @cached_property
    def _any(self) -> Program | None:
        """All rules in one expression, true if any is: false says of each that it is false, for an error would show.

        Most decisions trigger nothing, and asking once costs a fraction of asking each.
        """
        return compile_any([rule.program for rule in self.rules])

    def findings(self, record: Record) -> tuple[Finding, ...]:
        """What each rule finds, in order."""
        if self._any is not None and self._any.evaluate(record)[0] == "not_triggered":
            return self.quiet
        return tuple(rule.evaluate(record) for rule in self.rules)

    def applies_to(self, facts: Facts) -> bool:
        return (
            (not self.systems or facts["system"] in self.systems)
            and (not self.environments or facts["environment"] in self.environments)
            and (not self.tasks or facts["task"] in self.tasks)
        )


def evaluate(policies: Iterable[CompiledPolicy], facts: Facts) -> Verdict:
    """Judge one decision by every rule of the policies that apply. Never raises on facts from `build_facts`."""
    record = Record(facts)
    applied = [policy for policy in policies if policy.applies_to(facts)]
    findings = [finding for policy in applied for finding in policy.findings(record)]
    return Verdict(
        _overall(findings),
        max((finding.action for finding in findings), key=STRENGTH.__getitem__, default="allow"),
        tuple(findings),
        tuple(policy.sha256 for policy in applied),
    )


def _overall(findings: Sequence[Finding]) -> Outcome:
    outcomes = {finding.outcome for finding in findings}
    if "triggered" in outcomes:
        return "triggered"
    return "error" if "error" in outcomes else "not_triggered"


def compile_rule(
    source: str, *, policy: str, policy_hash: str, rule: str, action: str, severity: str, message: str, on_error: str
) -> CompiledRule:
    """A rule ready to run. `on_error` is `fail_open` or `fail_closed`. Raises RuleError."""
    return CompiledRule(
        compile_source(source),
        Finding(policy, policy_hash, rule, "triggered", action, severity, message),
        Finding(policy, policy_hash, rule, "not_triggered", "allow", severity, message),
        ON_ERROR[on_error],
    )
