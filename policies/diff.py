"""What a version changes: in its text, in its rules, and in the numbers that its rules compare with. Pure."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from policies.document import PolicyDocument, Rule
from tenants.ledger.canonical import dumps

Kind = Literal["added", "removed", "changed"]
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_RULE_FIELDS = ("when", "action", "severity", "message", "controls")
_DOCUMENT_FIELDS = ("title", "description", "risk_class", "on_error", "applies_to")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field, before and after; `thresholds`: the numbers that alone differ in an otherwise equal expression."""

    name: str
    old: Any
    new: Any
    thresholds: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RuleChange:
    kind: Kind
    rule: str
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyDiff:
    """All that differs between two documents, in the new one's order; removed rules come last."""

    document: tuple[FieldChange, ...]
    rules: tuple[RuleChange, ...]

    @property
    def is_empty(self) -> bool:
        return not self.document and not self.rules


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the text diff; a number is None on the side where the line is not."""

    kind: Literal["same", "added", "removed"]
    old: int | None
    new: int | None
    text: str


def diff_documents(old: PolicyDocument | None, new: PolicyDocument) -> PolicyDiff:
    """What `new` changes; everything is added when nothing was before."""
    before = {rule.id: rule for rule in old.rules} if old else {}
    changes: list[RuleChange] = []
    for rule in new.rules:
        earlier = before.pop(rule.id, None)
        if earlier is None:
            changes.append(RuleChange("added", rule.id, _fields_of(rule)))
        elif earlier != rule:
            changes.append(RuleChange("changed", rule.id, tuple(_changed(earlier, rule, _RULE_FIELDS))))
    changes += [RuleChange("removed", rule.id, _fields_of(rule, is_new=False)) for rule in before.values()]
    return PolicyDiff(tuple(_changed(old, new, _DOCUMENT_FIELDS)) if old else (), tuple(changes))


def diff_sha256(old: PolicyDocument | None, new: PolicyDocument) -> str:
    """What an approver binds themselves to: 64 hex digits over both ends' canonical difference."""
    return hashlib.sha256(dumps(asdict(diff_documents(old, new)))).hexdigest()


def diff_text(old: str, new: str, *, around: int = 4) -> list[Line | None]:
    """Lines that differ, with `around` equal ones on either side; None where equal lines are left out."""
    before, after = old.splitlines(), new.splitlines()
    lines: list[Line | None] = []
    for group in SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(around):
        if lines or group[0][1] > 0:
            lines.append(None)
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                lines += [
                    Line("same", old_from + n + 1, new_from + n + 1, before[old_from + n])
                    for n in range(old_to - old_from)
                ]
                continue
            lines += [Line("removed", n + 1, None, before[n]) for n in range(old_from, old_to)]
            lines += [Line("added", None, n + 1, after[n]) for n in range(new_from, new_to)]
    return lines


def _fields_of(rule: Rule, *, is_new: bool = True) -> tuple[FieldChange, ...]:
    values = ((name, _plain(getattr(rule, name))) for name in _RULE_FIELDS)
    return tuple(FieldChange(name, None, value) if is_new else FieldChange(name, value, None) for name, value in values)


def _changed(old: Any, new: Any, names: tuple[str, ...]) -> Iterator[FieldChange]:
    for name in names:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            numbers = _thresholds(before, after) if name == "when" else ()
            yield FieldChange(name, _plain(before), _plain(after), numbers)


def _thresholds(old: str, new: str) -> tuple[tuple[str, str], ...]:
    if _NUMBER.sub("#", old) != _NUMBER.sub("#", new):
        return ()
    pairs = zip(_NUMBER.findall(old), _NUMBER.findall(new), strict=True)
    return tuple((before, after) for before, after in pairs if before != after)


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {name: list(items) for name, items in asdict(value).items()}
    return list(value) if isinstance(value, tuple) else value
