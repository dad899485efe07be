"""A decision as behaviour sees it: what it was asked, how it answered, at what cost, under which versions. Pure."""

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from traces.conversation import turns
from traces.drift import style, words

SCALARS = ("input_tokens", "output_tokens", "latency", "pace", "score", "cost")
VERSIONS = ("model", "prompt", "policy", "system_version", "instance")
_AT_ONCE = 128  # texts hashed together: some megabytes


@dataclass(frozen=True, slots=True)
class Observation:
    """One decision: `at` is unix seconds, `scalars` has the members of `SCALARS` that are known.

    `labels` are what holds of it, as `kind:value` (`decision:refer`, `trigger:pii`); `judged` names the kinds that
    could have held, so that a rate has the right denominator.
    """

    id: str
    at: float
    session: str = ""
    user: str = ""
    segment: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    asked: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    answered: str = ""
    scalars: Mapping[str, float] = field(default_factory=dict)
    labels: frozenset[str] = frozenset()
    judged: frozenset[str] = frozenset()
    length: int = 0  # of the question in characters: what is left when the text is not kept


@dataclass(frozen=True, slots=True)
class Features:
    """An observation as numbers; what `Frame` is a table of."""

    asked: words.Vector
    answered: words.Vector
    style: style.Vector
    fingerprint: int  # of the question: equal for equal questions
    has_text: bool


def featurise(some: Sequence[Observation]) -> list[Features]:
    """The vectors of decisions. About 0.13 ms each; a batch is worth it."""
    found: list[Features] = []
    for start in range(0, len(some), _AT_ONCE):
        found += _featurise(some[start : start + _AT_ONCE])
    return found


def _featurise(some: Sequence[Observation]) -> list[Features]:
    answers = [words.tokens(seen.answered) for seen in some]
    questions = [words.tokens(seen.asked) if seen.asked else [] for seen in some]
    described = [list(field_words(seen.fields)) for seen in some]
    texts = [question or fields for question, fields in zip(questions, described, strict=True)]
    asked = words.vectors(texts, [bool(question) for question in questions])
    answered = words.vectors(answers, [True] * len(some))
    return [
        Features(
            asked[i].copy(),
            answered[i].copy(),
            style.style(seen.answered, answers[i], declines=_declines(seen)),
            zlib.crc32("\0".join(texts[i]).encode("utf-8", "surrogatepass")) if texts[i] else 0,
            bool(answers[i]),
        )
        for i, seen in enumerate(some)
    ]


def _declines(seen: Observation) -> bool | None:
    return "refusal:yes" in seen.labels if "refusal" in seen.judged else None


def field_words(fields: Mapping[str, Any]) -> Iterator[str]:
    """A structured input as words: `name=value`, numbers by magnitude (half octaves)."""
    for name, value in fields.items():
        number = _number(value)
        if number is None:
            yield f"{name}={str(value)[:80]}"
        else:
            yield f"{name}~{math.copysign(round(2 * math.log2(1 + abs(number))), number):.0f}"


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def text_of(value: Any, role: str, *, last: bool = False) -> str:
    """The text that `role` said in an `input` or `output` of any form; `last`: only its last turn."""
    said = [turn for turn in turns(value, role) if turn.role == role]
    return "\n".join(part.text for turn in (said[-1:] if last else said) for part in turn.parts)


def observe(
    members: Mapping[str, Any], *, identity: str, at: float, policy: str = "", cost: float | None = None
) -> Observation:
    """A decision, in the members of the contract (`traces.selectors.members_of`), as an observation.

    `policy` is what tells policy states apart where the application does not name a version itself; `cost` is what
    the record was priced at, else the application's own figure counts.
    """
    given, output = members.get("input"), members.get("output")
    outcome = members.get("outcome") or {}
    metadata = members.get("metadata") or {}
    structured = given if isinstance(given, dict) and "role" not in given else {}
    answered = output if isinstance(output, str) else text_of(output, "assistant")
    labels, judged = _labels(members, outcome, metadata, answered)
    asked = "" if structured else text_of(given, "user", last=True)
    return Observation(
        id=identity,
        at=at,
        session=str(members.get("session") or ""),
        user=str(members.get("user") or ""),
        segment=str(metadata.get("segment") or metadata.get("region") or ""),
        versions=_versions(members, metadata, policy),
        asked=asked,
        length=len(asked),
        fields=structured,
        answered=answered,
        scalars=_scalars(members, outcome, metadata, cost),
        labels=labels,
        judged=judged,
    )


def _versions(members: Mapping[str, Any], metadata: Mapping[str, Any], policy: str) -> dict[str, str]:
    model = members.get("model") or {}
    prompt = model.get("prompt") or {}
    found = {
        "model": " ".join(str(model[part]) for part in ("provider", "name", "version") if model.get(part)),
        "prompt": " ".join(str(prompt[part]) for part in ("name", "version") if prompt.get(part)),
        "policy": str(metadata.get("policy_version") or policy),
        "system_version": str(members.get("system_version") or ""),
        "instance": str(members.get("instance") or ""),
    }
    return {name: value for name, value in found.items() if value}


def _scalars(
    members: Mapping[str, Any], outcome: Mapping[str, Any], metadata: Mapping[str, Any], cost: float | None
) -> dict[str, float]:
    usage = members.get("usage") or {}
    latency, produced = members.get("latency_ms"), usage.get("output_tokens")
    found = {
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": produced,
        "latency": latency,
        "pace": latency / produced if isinstance(latency, int | float) and produced else None,
        "score": outcome.get("score"),
        "cost": cost if cost is not None else metadata.get("cost_usd"),
    }
    numbers = {name: _number(value) for name, value in found.items()}
    return {name: value for name, value in numbers.items() if value is not None}


def _labels(
    members: Mapping[str, Any], outcome: Mapping[str, Any], metadata: Mapping[str, Any], answered: str
) -> tuple[frozenset[str], frozenset[str]]:
    labels, judged = set(), {"trigger"}
    if answered:
        judged.add("refusal")
        if style.refuses(answered):
            labels.add("refusal:yes")
    for guard in members.get("enforcement") or []:
        if guard.get("verdict") == "triggered":
            labels.add(f"trigger:{guard.get('rule') or guard.get('guard')}")
    for kind, value in (
        ("decision", outcome.get("decision")),
        ("adverse", outcome.get("adverse")),
        ("finish", metadata.get("finish_reason") or members.get("finish_reason")),
        ("feedback", metadata.get("feedback")),
    ):
        if value is not None:
            judged.add(kind)
            labels.add(f"{kind}:{str(value)[:80]}")
    return frozenset(labels), frozenset(judged)
