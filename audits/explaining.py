"""What a person is told about a decision that concerns them (AI Act, Art. 86; GDPR, Art. 15(1)(h) and 22(3)). Pure.

`draft` says in plain words what the record holds, and leaves empty what it does not hold: that is for a person to
write, and nothing leaves with an empty part. It says what was done in this case, not how models work in general
(CJEU C-203/22).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from tenants.ledger.canonical import dumps, parse_strict

PARTS: tuple[tuple[str, str], ...] = (
    ("decided", "What was decided"),
    ("role", "The part that the AI system had in it"),
    ("elements", "What it came down to"),
    ("information", "The information that was used"),
    ("rules", "The rules that were in force"),
    ("contest", "What you can do"),
)
QUOTED = 400  # characters of what was said; the person has the whole by asking for their data
DOCUMENTS = 8
MEANS = {
    "allow": "the answer was let through",
    "log": "it was noted, and nothing else",
    "warn": "the answer was given with a warning",
    "mask": "parts of the answer were hidden",
    "redact": "parts of the answer were taken out",
    "rewrite": "the answer was reworded",
    "filter": "some of the information was left out",
    "reask": "the system was asked again",
    "refrain": "no answer was to be given",
    "route_to_human": "a person was to look at the matter",
    "block": "the answer was not to be given",
    "stop": "the system was to stop",
    "error_fail_open": "it could not be applied, and the answer was let through",
    "error_fail_closed": "it could not be applied, and the answer was not to be given",
}
REVIEWED = {
    "accepted": "agreed with it",
    "overridden": "decided otherwise",
    "reversed": "took it back",
    "stopped": "stopped it",
}
CONTEST = (
    "You can ask that a person looks at this decision anew, tell us your view, and contest it. Write to the address "
    "below; there is no form, and it costs you nothing. If something said here about you is wrong, say so, and we will "
    "correct it and look at the decision again.\n"
    "You can also complain to the data protection authority of the country in which you live or work, or to the market "
    "surveillance authority that watches over AI systems, and you can go to court."
)


@dataclass(frozen=True, slots=True)
class LetterText:
    """The words of a letter. `salt` is random, so that the letter's hash does not give it away to who guesses."""

    recipient: str
    decided: str
    role: str
    elements: str
    information: str
    rules: str
    contest: str
    contact: str
    salt: str

    def canonical(self) -> bytes:
        """RFC 8785 bytes: what is approved."""
        return dumps(asdict(self))

    @property
    def sha256(self) -> bytes:
        """32 bytes, of the canonical form."""
        return hashlib.sha256(self.canonical()).digest()

    @property
    def lacking(self) -> tuple[str, ...]:
        """The parts that are empty: with one, no letter is approved."""
        return tuple(name for name, value in asdict(self).items() if not value.strip())

    @classmethod
    def parse(cls, data: bytes) -> "LetterText":
        """The inverse of `canonical`."""
        told = parse_strict(data)
        return cls(**{field.name: told[field.name] for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A policy that was in force: what people call it, its numbers, whether it only watched."""

    title: str
    versions: str
    is_shadow: bool


@dataclass(frozen=True, slots=True)
class Record:
    """What the record says of one decision. `members`: as submitted; `findings`: of the rules that applied."""

    system: str
    task: str
    occurred_at: datetime
    model: str
    asked: str
    answered: str
    members: Mapping[str, Any]
    policies: Sequence[RuleSet]
    findings: Sequence[Mapping[str, Any]]


def draft(record: Record, salt: str) -> LetterText:
    """The letter as the record has it."""
    return LetterText(
        recipient="",
        decided=_lines(_decided(record)),
        role=_lines(_role(record)),
        elements=_lines(_elements(record)),
        information=_lines(_information(record)),
        rules=_lines(_rules(record)),
        contest=CONTEST,
        contact="",
        salt=salt,
    )


def _lines(sentences: Iterator[str]) -> str:
    return "\n".join(sentences)


def _decided(record: Record) -> Iterator[str]:
    outcome = _dict(record.members.get("outcome"))
    purpose = f" ({record.task})" if record.task else ""
    at = f"{record.occurred_at:%-d %B %Y at %H:%M} UTC"
    yield f"On {at}, our system “{record.system}”{purpose} dealt with a matter that concerns you."
    if decided := outcome.get("decision"):
        yield f"The result was: “{decided}”."
    if record.answered:
        yield f"It said: “{_short(record.answered)}”"
    if outcome.get("adverse") is True:
        yield "This result is to your disadvantage."
    if outcome.get("adverse") is False:
        yield "This result is not recorded as being to your disadvantage."


def _role(record: Record) -> Iterator[str]:
    model = f"an AI model, {record.model}," if record.model else "an automated system"
    yield f"The result was produced by {model} from the information below."
    reviews = _reviews(record.members)
    for review in reviews:
        done = REVIEWED.get(str(review.get("action")), "")
        reason = f", for this reason: {review['reason']}" if review.get("reason") else ""
        yield f"A person reviewed the result{f' and {done}' if done else ''}{reason}."
    if not reviews:
        yield "The record names no person who reviewed the result before it took effect."
    if record.members.get("notice_given"):
        yield "You were told beforehand that an AI system is used."


def _reviews(members: Mapping[str, Any]) -> list[dict[str, Any]]:
    human = _dict(members.get("human"))
    listed = human.get("reviews")
    if isinstance(listed, list):
        return [review for review in listed if isinstance(review, dict)]
    return [human] if human.get("action") or human.get("reviewed") else []


def _elements(record: Record) -> Iterator[str]:
    outcome = _dict(record.members.get("outcome"))
    reasons = [reason for reason in outcome.get("reasons") or () if isinstance(reason, dict)]
    for number, reason in enumerate(reasons, start=1):
        yield f"{number}. {_reason(reason)}"
    if reasons and outcome.get("score") is not None:
        beside = f"; the threshold is {outcome['threshold']}" if outcome.get("threshold") is not None else ""
        yield f"The system gave a score of {outcome['score']}{beside}."


def _reason(reason: Mapping[str, Any]) -> str:
    said = str(reason.get("text") or reason.get("code") or "").strip()
    weighed = ": ".join(str(reason[name]).replace("_", " ") for name in ("factor", "direction") if reason.get(name))
    return f"{said} ({weighed})" if weighed else said


def _information(record: Record) -> Iterator[str]:
    if record.asked:
        yield f"What was asked: “{_short(record.asked)}”"
    documents = [row for row in record.members.get("context") or () if isinstance(row, dict)]
    for row in documents[:DOCUMENTS]:
        text = f": “{_short(str(row['text']))}”" if row.get("text") else "."
        yield f"A document that the system was given, {row.get('id') or 'without a name'}{text}"
    if len(documents) > DOCUMENTS:
        yield f"And {len(documents) - DOCUMENTS} more documents."


def _rules(record: Record) -> Iterator[str]:
    for policy in record.policies:
        versions = f", {policy.versions}" if policy.versions else ""
        watched = ", which was on trial and had no effect" if policy.is_shadow else ""
        yield f"“{policy.title}”{versions}{watched}."
    for finding in record.findings:
        action = str(finding["action"])
        yield f"The rule “{finding['rule']}” of “{finding['policy']}” applied: {MEANS.get(action, action)}."
    if not record.policies:
        yield "No rule of ours on this matter was in force at that moment."


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= QUOTED else f"{plain[:QUOTED].rstrip()}…"
