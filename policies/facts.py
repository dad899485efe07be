"""Facts: all that a policy may know about a decision, and the whole contract between policies and traces.

`FACTS_SCHEMA` is the single source: the engine builds its type checker from it, the editor its completion, the docs
their table. `build_facts` turns a decision as submitted (a plain JSON dict) into the nested dict the schema describes.

Three rules an author can rely on:

* Texts, lists, flags and counts are always there: empty, false or 0 when the record does not say.
* A fact marked optional is absent when it was not reported. Guard it (`has(outcome.score) && …`, or
  `outcome.?score.orValue(0.0)`); an unguarded one makes the rule an error on such a record, never a silent false.
* People are facts only as presence (`user.present`): a policy judges what was done, not who asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Facts = dict[str, Any]

MAX_DEPTH = 48
"""Deepest nesting of free JSON handed to the engine; deeper values could exhaust the native evaluator's stack."""

UNJUDGEABLE = 2**31
"""`record.items` of a record with JSON deeper than `MAX_DEPTH`: over every limit, so each rule is an error on it."""

_LABELS = ("system", "system_version", "environment", "task", "agent", "instance")
_REFUSAL_REASONS = frozenset({"content_filter", "refusal", "safety"})
_TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal", "tool_call_response", "tool_result"})
_CALL_PARTS = frozenset({"tool_call", "tool_use", "server_tool_call", "function_call"})


@dataclass(frozen=True, slots=True)
class Fact:
    """One path of the schema. `name` is dotted; `[]` marks the fields of a list's elements."""

    name: str
    type: str
    description: str
    example: Any
    optional: bool = False


FACTS_SCHEMA: tuple[Fact, ...] = (
    Fact("system", "string", "The AI application that decided.", "loan-assistant"),
    Fact("system_version", "string", "Its version.", "2.4.0"),
    Fact("environment", "string", "Where it ran.", "production"),
    Fact("task", "string", "What it was doing.", "pre-screening"),
    Fact("agent", "string", "The agent within the system.", "screener"),
    Fact("instance", "string", "The running instance.", "pod-7"),
    Fact("user.present", "bool", "The record names the person who asked.", True),
    Fact("session.present", "bool", "The record names the session.", True),
    Fact("subject.present", "bool", "The record names the person decided about.", True),
    Fact("input.text", "string", "All user messages, joined by line breaks.", "May I have a loan?"),
    Fact("input.last_user", "string", "The last user message.", "May I have a loan?"),
    Fact("input.system_text", "string", "All system and developer messages, joined.", "You screen loans."),
    Fact("input.tool_text", "string", "All tool results in the input, joined.", '{"balance": 12}'),
    Fact("input.length", "int", "Characters in input.text.", 18),
    Fact("input.messages", "list(Message)", "The messages in order.", []),
    Fact("input.messages[].role", "string", "system, user, assistant, tool, …", "user"),
    Fact("input.messages[].text", "string", "The message's text parts, joined.", "May I have a loan?"),
    Fact("input.messages[].tools", "list(string)", "Names of tools the message calls.", []),
    Fact("input.data", "dyn", "The input itself when it is neither text nor messages.", {"age": 41}, optional=True),
    Fact("output.text", "string", "The answer's text, without reasoning parts.", "I refer you to a person."),
    Fact("output.length", "int", "Characters in output.text.", 24),
    Fact("output.refused", "bool", "The model marked a refusal: a refusal part or a filter stop.", False),
    Fact("output.finish_reasons", "list(string)", "Why generation stopped, as reported.", ["stop"]),
    Fact("output.messages", "list(Message)", "The messages in order.", []),
    Fact("output.messages[].role", "string", "assistant as a rule.", "assistant"),
    Fact("output.messages[].text", "string", "The message's text parts, joined.", "I refer you."),
    Fact("output.messages[].tools", "list(string)", "Names of tools the message calls.", ["credit_lookup"]),
    Fact("output.data", "dyn", "The output itself when it is neither text nor messages.", 0.41, optional=True),
    Fact("context", "list(Document)", "Documents given to the model.", []),
    Fact("context[].id", "string", "The document's id.", "doc-9"),
    Fact("context[].hash", "string", "Its hash.", "sha256:…"),
    Fact("context[].text", "string", "Its text, when submitted.", "Rates from 3 %"),
    Fact("context[].score", "double", "Retrieval score.", 0.83, optional=True),
    Fact("tools.called", "list(string)", "Names of tools called in input and output, in order.", ["credit_lookup"]),
    Fact("outcome.reported", "bool", "The record has an outcome.", True),
    Fact("outcome.decision", "string", "What was decided.", "refer"),
    Fact("outcome.adverse", "bool", "The decision was against the person it is about.", False),
    Fact("outcome.score", "double", "The model's score.", 0.41, optional=True),
    Fact("outcome.threshold", "double", "The score's cut-off.", 0.5, optional=True),
    Fact("outcome.confidence", "double", "The system's confidence, 0 to 1.", 0.7, optional=True),
    Fact("outcome.reasons", "list(Reason)", "Principal reasons, most important first.", []),
    Fact("outcome.reasons[].code", "string", "Reason code.", "income_unverified"),
    Fact("outcome.reasons[].text", "string", "Reason in words.", "We could not verify your income."),
    Fact("outcome.reasons[].factor", "string", "The input it rests on.", "income"),
    Fact("outcome.reasons[].direction", "string", "Which way it pushed.", "negative"),
    Fact("outcome.reasons[].weight", "double", "How much it counted.", 0.3, optional=True),
    Fact("usage.reported", "bool", "The record has token counts.", True),
    Fact("usage.input_tokens", "int", "Tokens read.", 812),
    Fact("usage.output_tokens", "int", "Tokens written.", 96),
    Fact("usage.cache_read_tokens", "int", "Tokens read from a cache.", 0),
    Fact("usage.cache_write_tokens", "int", "Tokens written to a cache.", 0),
    Fact("usage.reasoning_tokens", "int", "Tokens spent on reasoning.", 0),
    Fact("latency.reported", "bool", "The record says how long it took.", True),
    Fact("latency.ms", "double", "Milliseconds from request to answer; 0 when not reported.", 930.0),
    Fact("model.provider", "string", "Who serves the model.", "openai"),
    Fact("model.name", "string", "The model.", "gpt-5-mini"),
    Fact("model.version", "string", "Its version.", "2026-08-01"),
    Fact("model.parameters", "map(string, dyn)", "Sampling parameters as reported.", {"temperature": 0.2}),
    Fact("model.prompt.name", "string", "The prompt template.", "screen"),
    Fact("model.prompt.version", "string", "The prompt template's version.", "14"),
    Fact("time.occurred_at", "string", "RFC 3339; use timestamp(time.occurred_at).", "2026-11-23T08:46:14Z", True),
    Fact("time.hour", "int", "Hour of the day, UTC, 0 to 23.", 8, optional=True),
    Fact("time.weekday", "int", "Day of the week, UTC, 1 Monday to 7 Sunday.", 1, optional=True),
    Fact("enforcement", "list(Guard)", "What guardrails in the application reported.", []),
    Fact("enforcement[].guard", "string", "The guardrail.", "pii"),
    Fact("enforcement[].guard_version", "string", "Its version.", "3"),
    Fact("enforcement[].stage", "string", "input, retrieval, tool or output.", "output"),
    Fact("enforcement[].rule", "string", "The guardrail's rule.", "ssn"),
    Fact("enforcement[].verdict", "string", "What it found.", "triggered"),
    Fact("enforcement[].action", "string", "What it did.", "mask"),
    Fact("enforcement[].mode", "string", "enforce or shadow.", "enforce"),
    Fact("enforcement[].score", "double", "Its score.", 0.97, optional=True),
    Fact("metadata", "map(string, dyn)", "Free fields of the submitter.", {"region": "eu"}),
    Fact("record.bytes", "int", "Upper bound on the text of the largest group, in bytes.", 1210),
    Fact("record.items", "int", "Length of the longest list or map.", 3),
)


def build_facts(decision: Mapping[str, Any]) -> Facts:
    """The facts of one decision in the submitted form; never raises on JSON data, whatever its shape.

    Values of an unexpected type count as not reported. `decision` is not changed, but free JSON (`metadata`,
    `input.data`, …) is shared with the result, not copied.
    """
    get = decision.get
    called: list[str] = []
    size = _Size()
    labels = {name: _text(get(name)) for name in _LABELS}
    size.add_text("".join(labels.values()))
    size.end_group()
    messages, data = _messages(get("input"), "user", called, size)
    size.end_group()
    answers, answer_data = _messages(get("output"), "assistant", called, size)
    size.end_group()
    outcome, model, metadata = _dict(get("outcome")), _dict(get("model")), _dict(get("metadata"))
    documents, guards = _list(get("context")), _list(get("enforcement"))
    facts: Facts = {
        **labels,
        "user": {"present": bool(get("user"))},
        "session": {"present": bool(get("session"))},
        "subject": {"present": bool(get("subject"))},
        "input": _input(messages, data),
        "output": _output(answers, answer_data, get("output")),
        "context": [_document(item, size) for item in documents if type(item) is dict],
        "tools": {"called": called},
        "outcome": _outcome(outcome),
        "usage": _usage(_dict(get("usage"))),
        "latency": _latency(get("latency_ms")),
        "model": _model(model),
        "time": _time(get("occurred_at")),
        "enforcement": [_guard(item) for item in guards if type(item) is dict],
        "metadata": metadata,
    }
    size.end_group()
    size.add_count(len(documents))
    for part in (outcome, model, metadata, guards):
        size.add(part, 1)
        size.end_group()
    facts["record"] = {"bytes": size.largest, "items": size.items}
    if size.items >= UNJUDGEABLE:
        _cut_deep_json(facts)
    return facts


class _Size:
    """Bytes of text (four a character unless ASCII) of the group being read and of the largest, and the longest list.

    Groups, not the whole: an expression reads one group at a time, and judging an answer costs what the answer holds.
    """

    __slots__ = ("bytes", "items", "largest")

    def __init__(self) -> None:
        self.bytes = 0
        self.items = 0
        self.largest = 0

    def end_group(self) -> None:
        self.largest = max(self.largest, self.bytes)
        self.bytes = 0

    def add_text(self, text: str) -> None:
        self.bytes += len(text) if text.isascii() else 4 * len(text)

    def add_count(self, count: int) -> None:
        self.items = max(self.items, count)

    def add(self, value: Any, depth: int) -> None:
        kind = type(value)
        if kind is str:
            self.add_text(value)
        elif kind is dict or kind is list:
            if depth > MAX_DEPTH:
                self.items = UNJUDGEABLE
                return
            self.bytes += 16
            self.add_count(len(value))
            if kind is dict:
                for key in value:
                    self.add(key, depth + 1)
                value = value.values()
            for item in value:
                self.add(item, depth + 1)
        else:
            self.bytes += 8


def _text(value: Any) -> str:
    return value if type(value) is str else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _list(value: Any) -> list[Any]:
    return value if type(value) is list else []


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 2**63 else 0


def _number(into: dict[str, Any], source: dict[str, Any], name: str) -> None:
    value = source.get(name)
    if type(value) is float or (type(value) is int and -(2**63) <= value < 2**63):
        into[name] = float(value)


def _messages(value: Any, role: str, called: list[str], size: _Size) -> tuple[list[dict[str, Any]], Any]:
    """Messages of an `input` or `output`, or the value itself when it is other JSON."""
    if type(value) is str:
        size.add_text(value)
        return [{"role": role, "text": value, "tools": []}], None
    if type(value) is list and value and all(type(item) is dict and _is_message(item) for item in value):
        size.add_count(len(value))
        return [_message(item, role, called, size) for item in value], None
    size.add(value, 1)
    return [], value


def _is_message(item: dict[str, Any]) -> bool:
    return "role" in item or "parts" in item or "content" in item


def _message(item: dict[str, Any], role: str, called: list[str], size: _Size) -> dict[str, Any]:
    content = item.get("content")
    if content is None:
        content = item.get("parts")
    tools: list[str] = []
    text = content if type(content) is str else "\n".join(_part_texts(_list(content), tools))
    for call in _list(item.get("tool_calls")):
        _call(_dict(call), tools)
    if type(refusal := item.get("refusal")) is str:
        text = f"{text}\n{refusal}" if text else refusal
    called += tools
    size.add_count(max(len(tools), len(called)))
    size.add_text(text)
    role = _text(item.get("role")) or role
    size.add_text(role)
    for tool in tools:
        size.add_text(tool)
    return {"role": role, "text": text, "tools": tools}


def _part_texts(parts: list[Any], tools: list[str]) -> list[str]:
    texts: list[str] = []
    for part in parts:
        if type(part) is str:
            texts.append(part)
        if type(part) is not dict:
            continue
        kind = part.get("type", "text")
        if type(kind) is not str:
            continue
        if kind in _CALL_PARTS:
            _call(part, tools)
        elif kind in _TEXT_PARTS:
            for name in ("text", "content", "refusal", "response", "result"):
                if type(text := part.get(name)) is str:
                    texts.append(text)
                    break
            else:
                texts.extend(_nested_texts(part.get("content")))
    return texts


def _nested_texts(content: Any) -> list[str]:
    """Text blocks inside a tool result (one level, as the message formats define it)."""
    return [part["text"] for part in _list(content) if type(part) is dict and type(part.get("text")) is str]


def _call(call: dict[str, Any], tools: list[str]) -> None:
    name = call.get("name") or _dict(call.get("function")).get("name")
    if type(name) is str:
        tools.append(name)


def _input(messages: list[dict[str, Any]], data: Any) -> dict[str, Any]:
    users: list[str] = []
    systems: list[str] = []
    results: list[str] = []
    for message in messages:
        role = message["role"]
        if role == "user":
            users.append(message["text"])
        elif role in ("system", "developer"):
            systems.append(message["text"])
        elif role in ("tool", "function"):
            results.append(message["text"])
    text = "\n".join(users)
    facts: dict[str, Any] = {
        "text": text,
        "last_user": users[-1] if users else "",
        "system_text": "\n".join(systems),
        "tool_text": "\n".join(results),
        "length": len(text),
        "messages": messages,
    }
    if data is not None:
        facts["data"] = data
    return facts


def _output(messages: list[dict[str, Any]], data: Any, submitted: Any) -> dict[str, Any]:
    text = "\n".join([message["text"] for message in messages])
    reasons: list[str] = []
    refused = False
    if messages and type(submitted) is list:
        for item in submitted:
            reason = item.get("finish_reason")
            if type(reason) is str:
                reasons.append(reason)
                refused = refused or reason in _REFUSAL_REASONS
            refused = refused or bool(item.get("refusal")) or _has_refusal_part(item)
    facts: dict[str, Any] = {
        "text": text,
        "length": len(text),
        "refused": refused,
        "finish_reasons": reasons,
        "messages": messages,
    }
    if data is not None:
        facts["data"] = data
    return facts


def _has_refusal_part(item: dict[str, Any]) -> bool:
    parts = item.get("content") or item.get("parts")
    return type(parts) is list and any(type(part) is dict and part.get("type") == "refusal" for part in parts)


def _document(item: dict[str, Any], size: _Size) -> dict[str, Any]:
    text = _text(item.get("text"))
    size.add_text(text)
    facts: dict[str, Any] = {"id": _text(item.get("id")), "hash": _text(item.get("hash")), "text": text}
    size.bytes += 4 * (len(facts["id"]) + len(facts["hash"]))
    _number(facts, item, "score")
    return facts


def _outcome(outcome: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "reported": bool(outcome),
        "decision": _text(outcome.get("decision")),
        "adverse": outcome.get("adverse") is True,
        "reasons": [_reason(item) for item in _list(outcome.get("reasons"))],
    }
    for name in ("score", "threshold", "confidence"):
        _number(facts, outcome, name)
    return facts


def _reason(item: Any) -> dict[str, Any]:
    if type(item) is str:
        item = {"text": item}
    source = _dict(item)
    facts: dict[str, Any] = {name: _text(source.get(name)) for name in ("code", "text", "factor", "direction")}
    _number(facts, source, "weight")
    return facts


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "reported": bool(usage),
        "input_tokens": _count(usage.get("input_tokens")),
        "output_tokens": _count(usage.get("output_tokens")),
        "cache_read_tokens": _count(usage.get("cache_read_tokens")),
        "cache_write_tokens": _count(usage.get("cache_write_tokens")),
        "reasoning_tokens": _count(usage.get("reasoning_tokens")),
    }


def _latency(value: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    _number(facts, {"ms": value}, "ms")
    return {"reported": True, **facts} if facts else {"reported": False, "ms": 0.0}


def _model(model: dict[str, Any]) -> dict[str, Any]:
    prompt = _dict(model.get("prompt"))
    return {
        "provider": _text(model.get("provider")),
        "name": _text(model.get("name")),
        "version": _text(model.get("version")),
        "parameters": _dict(model.get("parameters")),
        "prompt": {"name": _text(prompt.get("name")), "version": _text(prompt.get("version"))},
    }


def _time(value: Any) -> dict[str, Any]:
    if type(value) is not str:
        return {}
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return {}
    occurred_at = moment.isoformat().replace("+00:00", "Z")
    return {"occurred_at": occurred_at, "hour": moment.hour, "weekday": moment.isoweekday()}


def _guard(item: dict[str, Any]) -> dict[str, Any]:
    names = ("guard", "guard_version", "stage", "rule", "verdict", "action", "mode")
    facts: dict[str, Any] = {name: _text(item.get(name)) for name in names}
    _number(facts, item, "score")
    return facts


def _cut_deep_json(facts: Facts) -> None:
    """Take out the free JSON, so that not even a caller that skips the size check can hand it to native code."""
    facts["metadata"] = {}
    facts["model"]["parameters"] = {}
    for part in (facts["input"], facts["output"]):
        part.pop("data", None)
