"""A conversation as people read it, from whatever form its application sent: messages, parts, plain text, any JSON.

The forms are those of the OTel GenAI message schema and of the chat APIs it grew from; an unknown part is shown as
JSON, never dropped. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a turn. `kind`: text, reasoning, tool_call, tool_result, refusal, image or json."""

    kind: str
    text: str
    name: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one role said at once."""

    role: str
    name: str = ""
    parts: list[Part] = field(default_factory=list)


TEXT_TYPES = {"text", "input_text", "output_text"}
REASONING_TYPES = {"reasoning", "thinking"}
IMAGE_TYPES = {"image", "image_url", "input_image", "blob", "uri", "file", "document"}


def pretty(value: Any) -> str:
    """Indented JSON, or the text itself when it is one."""
    if isinstance(value, str):
        try:
            return orjson.dumps(orjson.loads(value), option=orjson.OPT_INDENT_2).decode()
        except orjson.JSONDecodeError:
            return value
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def turns(value: Any, role: str) -> list[Turn]:
    """Turns of an `input` or `output`; `role` speaks where the form does not say who."""
    if value is None or value == []:
        return []
    if isinstance(value, str):
        return [Turn(role, parts=[Part("text", value)])]
    if isinstance(value, list) and all(_is_message(item) for item in value):
        return [_turn(item, role) for item in value]
    if isinstance(value, dict) and _is_message(value):
        return [_turn(value, role)]
    return [Turn(role, parts=[Part("json", pretty(value))])]


def _is_message(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and ("role" in item)
        and bool({"content", "parts", "tool_calls", "refusal"} & item.keys())
    )


def _turn(message: dict[str, Any], role: str) -> Turn:
    parts = list(_parts(message))
    return Turn(str(message.get("role") or role), str(message.get("name") or ""), parts or [Part("text", "")])


def _parts(message: dict[str, Any]) -> Iterable[Part]:
    content = message.get("parts", message.get("content"))
    if message.get("role") == "tool" and not isinstance(content, list):
        yield Part(
            "tool_result", pretty(content), str(message.get("name") or ""), str(message.get("tool_call_id") or "")
        )
    elif isinstance(content, str):
        yield Part("text", content)
    elif isinstance(content, list):
        yield from (_part(item) for item in content)
    elif content is not None:
        yield Part("json", pretty(content))
    if refusal := message.get("refusal"):
        yield Part("refusal", str(refusal))
    calls = message.get("tool_calls") or []
    yield from (_call(call) for call in (calls if isinstance(calls, list) else [calls]))


def _part(item: Any) -> Part:
    if isinstance(item, str):
        return Part("text", item)
    if not isinstance(item, dict):
        return Part("json", pretty(item))
    kind = str(item.get("type", ""))
    text = item.get("text", item.get("content"))
    if kind in TEXT_TYPES or (not kind and isinstance(text, str)):
        return Part("text", str(text or ""))
    if kind in REASONING_TYPES:
        return Part("reasoning", str(item.get("thinking") or text or ""))
    if kind == "refusal":
        return Part("refusal", str(item.get("refusal") or text or ""))
    if kind in {"tool_call", "tool_use", "function_call", "server_tool_call"}:
        return _call(item)
    if kind in {"tool_call_response", "tool_result", "function_call_output", "server_tool_call_response"}:
        result = next((item[name] for name in ("response", "result", "content", "output") if name in item), None)
        return Part("tool_result", pretty(result), str(item.get("name") or ""), str(item.get("id") or ""))
    if kind in IMAGE_TYPES:
        return Part("image", str(item.get("mime_type") or kind), str(item.get("file_id") or item.get("uri") or ""))
    return Part("json", pretty(item))


def _call(call: Any) -> Part:
    if not isinstance(call, dict):
        return Part("json", pretty(call))
    inner = call.get("function")
    function = inner if isinstance(inner, dict) else call
    arguments = next((function[name] for name in ("arguments", "input", "args") if name in function), None)
    shown = pretty(arguments) if arguments not in (None, "", {}) else ""
    return Part("tool_call", shown, str(function.get("name") or "tool"), str(call.get("id") or ""))


def excerpt(turns_: Iterable[Turn], *, last: str = "", length: int = 140) -> str:
    """The first words of the last turn of a role (or of the last turn), on one line."""
    chosen = [turn for turn in turns_ if not last or turn.role == last]
    for turn in reversed(chosen):
        for part in turn.parts:
            text = " ".join(part.text.split())
            if part.kind == "tool_call":
                text = f"Calls {part.name}"
            if text:
                return text if len(text) <= length else f"{text[: length - 1]}…"
    return ""
