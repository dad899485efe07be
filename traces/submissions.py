"""Decisions as applications submit them: the contract's types, and what is wrong with a body, item by item.

A body is one JSON object, an array of them, or NDJSON. All of it is I-JSON (RFC 7493), since it will be hashed.
"""

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from tenants.ledger.canonical import CanonicalError, parse_strict
from traces.guardrails import NotUnderstood, read_item

Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Label = Annotated[str, Meta(max_length=200)]
TraceId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
SpanId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$")]
Sha256 = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
Moment = Annotated[datetime, Meta(tz=True)]


class Prompt(Struct, forbid_unknown_fields=True, frozen=True):
    name: Label = ""
    version: Annotated[str, Meta(max_length=100)] = ""


class Model(Struct, forbid_unknown_fields=True, frozen=True):
    provider: Annotated[str, Meta(max_length=100)] = ""
    name: Label = ""
    version: Label = ""
    parameters: dict[str, Any] | None = None
    prompt: Prompt | None = None


class Document(Struct, frozen=True):
    """A piece of context that the model was given; further members are kept as they are."""

    id: str | None = None
    hash: str | None = None
    score: float | None = None
    text: str | None = None


class Reason(Struct, frozen=True):
    code: str | None = None
    text: str | None = None


class Outcome(Struct, frozen=True):
    decision: Label | None = None
    adverse: bool | None = None
    score: float | None = None
    confidence: float | None = None
    reasons: list[Reason] | None = None


class Usage(Struct, forbid_unknown_fields=True, frozen=True):
    """Tokens. `input_tokens` includes the cached ones, `output_tokens` the reasoning ones."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    reasoning_tokens: Count | None = None


class Guard(Struct, frozen=True):
    """What a guardrail of the application found and did.

    With `source` and `raw` it may be given in its maker's own form (`traces.guardrails`), and be left out otherwise.
    """

    guard: Name
    guard_version: str | None = None
    rule: str | None = None
    verdict: str | None = None
    action: str | None = None


class Submitted(Struct, forbid_unknown_fields=True, frozen=True):
    """One decision; only `system` and one of `input` and `output` are required."""

    system: Name
    input: Any = msgspec.UNSET
    output: Any = msgspec.UNSET
    external_id: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    occurred_at: Moment | None = None
    source_seq: Count | None = None
    system_version: Label | None = None
    environment: Annotated[str, Meta(max_length=100)] | None = None
    task: Label | None = None
    risk_class: Label | None = None
    trace_id: TraceId | None = None
    span_id: SpanId | None = None
    parent_span_id: SpanId | None = None
    parent_id: uuid.UUID | None = None
    session: Label | None = None
    user: Label | None = None
    subject: Label | None = None
    requested_by: Label | None = None
    on_behalf_of: Label | None = None
    agent: Label | None = None
    instance: Label | None = None
    model: Model | None = None
    context: list[Document] | None = None
    tools: list[Any] | None = None
    outcome: Outcome | None = None
    usage: Usage | None = None
    latency_ms: Annotated[float, Meta(ge=0, le=2**53 - 1)] | None = None
    enforcement: list[Guard] | None = None
    policy_claim: Sha256 | None = None
    human: dict[str, Any] | None = None
    notice_given: bool | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A valid submission: the typed view, and the JSON it came from, null members dropped."""

    typed: Submitted
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one item; `pointer` is a JSON pointer (RFC 6901) inside it."""

    index: int
    pointer: str
    detail: str


class BodyError(ValueError):
    """The body as a whole cannot be read; `status` is the HTTP status to answer with."""

    def __init__(self, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.status = status


class ItemsRefused(ValueError):
    """Some items are not valid; nothing is stored."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} problem(s)")
        self.problems = list(problems)


_MSGSPEC_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)


def read_items(body: bytes, *, ndjson: bool, limit: int) -> tuple[list[Item], bool]:
    """Parse and validate a body: the items, and whether it was a single object.

    Raises `BodyError` for a body that is no JSON or has too many items, `ItemsRefused` naming every bad item.
    """
    values, single = (list(_ndjson(body)), False) if ndjson else _json(body)
    if not values:
        raise BodyError("The body holds no decision.", 422)
    if len(values) > limit:
        raise BodyError(
            f"{len(values)} decisions in one request; at most {limit:,} are taken. Send smaller batches.", 413
        )
    return validate(values), single


def read_question(body: bytes) -> Item:
    """A decision that is not made yet: the same document, only `system` must be there. Raises as `read_items`."""
    found = _check(0, _strict(body, ""), is_partial=True)
    if isinstance(found, Item):
        return found
    raise ItemsRefused([found])


def validate(values: Sequence[Any]) -> list[Item]:
    """Check every value against the contract; raises `ItemsRefused` with all that is wrong."""
    items: list[Item] = []
    problems: list[Problem] = []
    for index, value in enumerate(values):
        found = _check(index, value)
        if isinstance(found, Item):
            items.append(found)
        else:
            problems.append(found)
    if problems:
        raise ItemsRefused(problems)
    return items


def _check(index: int, value: Any, *, is_partial: bool = False) -> Item | Problem:
    if not isinstance(value, dict):
        return Problem(index, "", "A decision is a JSON object.")
    raw = {name: member for name, member in value.items() if member is not None}
    if problem := _read_guards(raw):
        return Problem(index, *problem)
    try:
        typed = msgspec.convert(raw, Submitted, strict=True)
    except msgspec.ValidationError as error:
        return Problem(index, *_explained(str(error)))
    if not is_partial and "input" not in raw and "output" not in raw:
        return Problem(index, "", "One of `input` and `output` is required.")
    if typed.occurred_at is not None and not 1970 < typed.occurred_at.year < 9999:
        return Problem(index, "/occurred_at", "The year is out of range.")
    if problem := _unstorable(raw):
        return Problem(index, *problem)
    return Item(typed, raw)


def _read_guards(raw: dict[str, Any]) -> tuple[str, str] | None:
    """Fill in, in place, what guardrails' own results say; what is wrong, if nobody knows their form."""
    if not isinstance(guards := raw.get("enforcement"), list):
        return None
    raw["enforcement"] = guards = list(guards)
    for n, guard in enumerate(guards):
        if isinstance(guard, dict) and {"source", "raw"} <= guard.keys():
            try:
                guards[n] = read_item(guard)
            except NotUnderstood as error:
                return f"/enforcement/{n}/source", f"{error}."
    return None


def _unstorable(raw: dict[str, Any]) -> tuple[str, str] | None:
    """PostgreSQL's text cannot hold U+0000; the columns would refuse what the payload can keep."""
    for pointer, member in _columns(raw):
        if isinstance(member, str) and "\0" in member:
            return pointer, "The character U+0000 cannot be stored here."
    return None


def _columns(raw: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(pointer, value) of the members that become columns."""
    yield from ((f"/{name}", member) for name, member in raw.items() if name not in {"input", "output"})
    model, outcome = raw.get("model") or {}, raw.get("outcome") or {}
    for place, members in (("/model", model), ("/model/prompt", model.get("prompt") or {}), ("/outcome", outcome)):
        yield from ((f"{place}/{name}", member) for name, member in members.items())


def _explained(message: str) -> tuple[str, str]:
    """msgspec's message as a JSON pointer and a sentence."""
    match = _MSGSPEC_PATH.match(message)
    path = (match["path"] if match else "") or ""
    pointer = re.sub(r"\[(\d+|\.\.\.)\]", r"/\1", path).replace(".", "/")
    return pointer, f"{match['what'] if match else message}."


def _json(body: bytes) -> tuple[list[Any], bool]:
    value = _strict(body, "")
    return (value, False) if isinstance(value, list) else ([value], True)


def _ndjson(body: bytes) -> Iterator[Any]:
    for number, line in enumerate(body.split(b"\n")):
        if line.strip():
            yield _strict(line, f"line {number + 1}: ")


def _strict(data: bytes, where: str) -> Any:
    try:
        return parse_strict(data)
    except CanonicalError as error:
        raise BodyError(f"{where}{error}", 422) from None


def utc(at: datetime) -> datetime:
    """The same moment, in UTC."""
    return at.astimezone(UTC)
