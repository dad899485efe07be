"""What was asked and answered, from wherever a dialect puts it: attributes, flattened attributes, or span events. Pure.

The dialects in order, the most structured first; the first one that has a side gives it. Parts are passed on as they
are, known or not: `traces.conversation` shows what it knows, and JSON for the rest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from traces.otlp.attributes import Attributes, read_json
from traces.otlp.spans import Event

DETAILS_EVENT = "gen_ai.client.inference.operation.details"
_MESSAGE_EVENTS = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
CHOICE_EVENT = "gen_ai.choice"
_PROMPT_EVENT, _COMPLETION_EVENT = "gen_ai.content.prompt", "gen_ai.content.completion"
_BOOKKEEPING = {"gen_ai.system", "event.name", "gen_ai.provider.name"}

_VERCEL_INPUTS = ("ai.prompt.messages", "ai.prompt", "ai.toolCall.args", "ai.value", "ai.values")
_VERCEL_OUTPUTS = (
    "ai.response.object",
    "ai.result.object",
    "ai.toolCall.result",
    "ai.response.embedding",
    "ai.embedding",
    "ai.embeddings",
)
MLFLOW_INPUTS = "mlflow.spanInputs"
# Members of a provider's request that are what was said, beside those that are parameters.
REQUEST_CONTENT = ("messages", "input", "instructions", "prompt", "system", "contents", "tools")
_PYDANTIC_RUN = "pydantic_ai.all_messages"
_PYDANTIC = ("events", "all_messages_events")
# Names, or their beginnings, of attributes that hold what was said.
_CONTENT = (
    "input.value",
    "output.value",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "llm.input_messages.",
    "llm.output_messages.",
    MLFLOW_INPUTS,
    "mlflow.spanOutputs",
    "traceloop.entity.input",
    "traceloop.entity.output",
    _PYDANTIC_RUN,
    "all_messages_events",
    "final_result",
)

Sides = tuple[Any, Any]


@dataclass(slots=True)
class Content:
    """Both sides of an operation, None where nothing was captured; `events` are those that were no content."""

    input: Any = None
    output: Any = None
    events: list[Event] = field(default_factory=list)


def content_of(attributes: Attributes, events: Sequence[Event]) -> Content:
    """The content of a span. Marks what it used in `attributes`."""
    (asked, answered), others = _from_events(events)
    for dialect in _DIALECTS:
        if asked is not None and answered is not None:
            break
        more = dialect(attributes, asked is None, answered is None)
        asked = more[0] if asked is None else asked
        answered = more[1] if answered is None else answered
    _leave_copies(attributes)
    return Content(asked, answered, others)


def _leave_copies(attributes: Attributes) -> None:
    """What says the same in another dialect beside the one that was read: content too, so no raw attribute."""
    attributes.taken.update(name for name in attributes.values if name.startswith(_CONTENT))


def _some(value: Any) -> Any:
    """None for nothing: an empty list or text is no content."""
    return None if value in (None, "", []) else value


# Span events, and log records, which are the same events by another road.


def _from_events(events: Sequence[Event]) -> tuple[Sides, list[Event]]:
    asked: list[Any] = []
    answered: list[Any] = []
    others: list[Event] = []
    for event in events:
        sides = event_content(event.name, event.attributes)
        if sides is None:
            others.append(event)
            continue
        asked += sides[0]
        answered += sides[1]
    return (_some(asked), _some(answered)), others


def event_content(name: str, body: dict[str, Any]) -> tuple[list[Any], list[Any]] | None:
    """Messages of (input, output) in a GenAI event; None for an event that carries none."""
    if name in _MESSAGE_EVENTS:
        return [_message(body, _MESSAGE_EVENTS[name])], []
    if name == CHOICE_EVENT:
        return [], [_choice(body)]
    if name == DETAILS_EVENT:
        asked, answered = _conventions(Attributes(body), True, True)
        return _as_list(asked), _as_list(answered)
    if name == _PROMPT_EVENT and "gen_ai.prompt" in body:
        return _as_list(read_json(body["gen_ai.prompt"])), []
    if name == _COMPLETION_EVENT and "gen_ai.completion" in body:
        return [], _as_list(read_json(body["gen_ai.completion"]))
    return None


def _as_list(value: Any) -> list[Any]:
    if _some(value) is None:
        return []
    return value if isinstance(value, list) else [value]


def _message(body: dict[str, Any], role: str) -> dict[str, Any]:
    message = {name: read_json(value) for name, value in body.items() if name not in _BOOKKEEPING}
    if isinstance(body.get("content"), str):
        message["content"] = body["content"]
    return {"role": role} | message


def _choice(body: dict[str, Any]) -> dict[str, Any]:
    """`{index, finish_reason, message: {role, content, tool_calls}}`, the message sometimes as text or spread out."""
    choice = _message(body, "assistant")
    message = choice.pop("message", None)
    if isinstance(message, str):
        return choice | {"content": message}
    return choice | message if isinstance(message, dict) else choice


# Attributes.


def _conventions(attributes: Attributes, want_input: bool, want_output: bool) -> Sides:
    """OTel GenAI, 1.37 and later: message arrays, as values or as JSON text."""
    asked = [*_instructions(attributes), *_as_list(attributes.take("gen_ai.input.messages"))] if want_input else []
    answered = attributes.take("gen_ai.output.messages") if want_output else None
    return _some(asked), _some(answered)


def _instructions(attributes: Attributes) -> list[dict[str, Any]]:
    """`gen_ai.system_instructions` as the message that they are."""
    system = attributes.take("gen_ai.system_instructions")
    if _some(system) is None:
        return []
    return [{"role": "system", "parts": [{"type": "text", "content": system}] if isinstance(system, str) else system}]


def _langfuse(attributes: Attributes, want_input: bool, want_output: bool) -> Sides:
    return (
        attributes.take("langfuse.observation.input") if want_input else None,
        attributes.take("langfuse.observation.output") if want_output else None,
    )


def _traceloop_messages(attributes: Attributes, want_input: bool, want_output: bool) -> Sides:
    """Up to 1.36 and OpenLLMetry: `gen_ai.prompt.{i}.role`, or all of them as JSON text."""
    asked = attributes.take_list("gen_ai.prompt") or attributes.take("gen_ai.prompt") if want_input else None
    answered = (
        attributes.take_list("gen_ai.completion") or attributes.take("gen_ai.completion") if want_output else None
    )
    return _some(_with_roles(asked, "user")), _some(_with_roles(answered, "assistant"))


def _with_roles(messages: Any, role: str) -> Any:
    if not isinstance(messages, list):
        return messages
    return [{"role": role} | _tidy_calls(one) if isinstance(one, dict) else one for one in messages]


def _tidy_calls(message: dict[str, Any]) -> dict[str, Any]:
    """`content` is JSON text where it has parts."""
    content = message.get("content")
    if isinstance(content, str) and content.startswith("[{"):
        return message | {"content": read_json(content)}
    return message


def _openinference_messages(attributes: Attributes, want_input: bool, want_output: bool) -> Sides:
    asked = _unwrapped(attributes, "llm.input_messages") if want_input else None
    answered = _unwrapped(attributes, "llm.output_messages") if want_output else None
    if want_input and not asked:
        asked = _texts(attributes, "llm.prompts", "prompt.text", "user")
    if want_output and not answered:
        answered = _texts(attributes, "llm.choices", "completion.text", "assistant")
    return _some(asked), _some(answered)


def _unwrapped(attributes: Attributes, prefix: str) -> list[Any]:
    """`[{message: {…}}]` without the wrappers around messages, contents and tool calls."""
    messages = []
    for item in attributes.take_list(prefix):
        message = dict(_inner(item, "message"))
        if isinstance(contents := message.pop("contents", None), list):
            parts = [_content_part(_inner(part, "message_content")) for part in contents]
            # Anthropic's instrumentation leaves an empty part where a tool call stands, told among the calls.
            message["content"] = [part for part in parts if part != {"type": "tool_use"}]
            if not message["content"]:
                del message["content"]
        if isinstance(calls := message.get("tool_calls"), list):
            message["tool_calls"] = [_inner(call, "tool_call") for call in calls]
        messages.append(message)
    return messages


def _content_part(part: dict[str, Any]) -> dict[str, Any]:
    return part if "type" in part or "text" not in part else {"type": "text"} | part


def _inner(item: Any, name: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        return {"content": item}
    inner = item.get(name)
    return inner if isinstance(inner, dict) else item


def _texts(attributes: Attributes, prefix: str, path: str, role: str) -> list[Any]:
    first, last = path.split(".")
    items = attributes.take_list(prefix)
    return [{"role": role, "content": _inner(item, first).get(last, item)} for item in items]


def _vercel(attributes: Attributes, want_input: bool, want_output: bool) -> Sides:
    asked = attributes.take(*_VERCEL_INPUTS) if want_input else None
    if not want_output:
        return _some(asked), None
    text = attributes.take("ai.response.text", "ai.result.text")
    calls = attributes.take("ai.response.toolCalls", "ai.result.toolCalls")
    if _some(text) is None and _some(calls) is None:
        return _some(asked), _some(attributes.take(*_VERCEL_OUTPUTS))
    message = {"role": "assistant", "content": text or ""}
    if calls:
        message["tool_calls"] = [_vercel_call(call) for call in calls] if isinstance(calls, list) else calls
    return _some(asked), [message]


def _vercel_call(call: Any) -> Any:
    """`{toolCallId, toolName, input}` under the names that everybody else uses, beside its own."""
    if not isinstance(call, dict) or "toolName" not in call:
        return call
    arguments = call.get("input", call.get("args"))
    return call | {"id": call.get("toolCallId"), "name": call["toolName"], "arguments": arguments}


def _pydantic_run(attributes: Attributes, want_input: bool, want_output: bool) -> Sides:
    """Pydantic AI, a whole run: all its messages in one attribute, the last of which is the answer."""
    stated = read_json(attributes.values.get(_PYDANTIC_RUN))
    if not want_input or not isinstance(stated, list) or any(_is_event(one) for one in stated):
        return None, None
    is_answered = bool(stated) and isinstance(stated[-1], dict) and stated[-1].get("role") == "assistant"
    asked = stated[:-1] if is_answered else stated
    asked = [*_instructions(attributes), *asked]
    return _some(asked), stated[-1:] if is_answered and want_output else None


def _is_event(message: Any) -> bool:
    return isinstance(message, dict) and "event.name" in message


def _pydantic(attributes: Attributes, want_input: bool, want_output: bool) -> Sides:
    """Pydantic AI before its version 2: the messages of a call or a run as events, in one attribute of both sides."""
    names = (*_PYDANTIC, _PYDANTIC_RUN)
    name = next((name for name in names if isinstance(read_json(attributes.values.get(name)), list)), "")
    if not name or not (want_input and want_output):
        return None, None
    messages = [one for one in attributes.take(name) if isinstance(one, dict)]
    choices = [one for one in messages if one.get("event.name") == CHOICE_EVENT]
    asked = [_message(one, str(one.get("role", "user"))) for one in messages if one not in choices]
    return _some(asked), _some([_choice(one) for one in choices])


def _tool(attributes: Attributes, want_input: bool, want_output: bool) -> Sides:
    return (
        attributes.take("gen_ai.tool.call.arguments", "tool_arguments") if want_input else None,
        attributes.take("gen_ai.tool.call.result", "tool_response") if want_output else None,
    )


def _plain(
    inputs: Sequence[str], outputs: Sequence[str], unwrap: str = ""
) -> Callable[[Attributes, bool, bool], Sides]:
    """A dialect of one attribute a side."""

    def read(attributes: Attributes, want_input: bool, want_output: bool) -> Sides:
        asked = _messages_in(attributes.take(*inputs)) if want_input else None
        return _some(asked), _some(attributes.take(*outputs)) if want_output else None

    return read


def _messages_in(value: Any) -> Any:
    """The messages of a recorded call's arguments, where that is all they are."""
    if isinstance(value, dict) and isinstance(value.get("messages"), list) and len(value) == 1:
        return value["messages"]
    return value


def _mlflow(attributes: Attributes, want_input: bool, want_output: bool) -> Sides:
    """MLflow: a call's arguments and result; of a chat completion the messages, the rest of it left as it is."""
    asked: Any = attributes.take(MLFLOW_INPUTS) if want_input else None
    answered: Any = attributes.take("mlflow.spanOutputs") if want_output else None
    if _are_objects(messages := _member(asked, "messages"), "role"):
        attributes.left[MLFLOW_INPUTS] = {name: value for name, value in asked.items() if name not in REQUEST_CONTENT}
        asked = messages
    if _are_objects(choices := _member(answered, "choices"), "message"):
        attributes.left["mlflow.spanOutputs"] = {name: value for name, value in answered.items() if name != "choices"}
        answered = [_choice(choice | {"role": "assistant"}) for choice in choices]
    return _some(asked), _some(answered)


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _are_objects(value: Any, name: str) -> bool:
    """Whether it is a list of objects that have this member."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) and name in one for one in value)


_DIALECTS: tuple[Callable[[Attributes, bool, bool], Sides], ...] = (
    _langfuse,
    _pydantic_run,
    _conventions,
    _traceloop_messages,
    _openinference_messages,
    _vercel,
    _pydantic,
    _plain((), ("final_result",)),
    _tool,
    _plain(("gen_ai.retrieval.query.text",), ("gen_ai.retrieval.documents",)),
    _mlflow,
    _plain(("traceloop.entity.input",), ("traceloop.entity.output",)),
    _plain(
        ("gcp.vertex.agent.llm_request", "gcp.vertex.agent.tool_call_args"),
        ("gcp.vertex.agent.llm_response", "gcp.vertex.agent.tool_response"),
    ),
    _plain(("mcp.request.argument",), ("mcp.response.value",)),
    _plain(("input.value",), ("output.value",)),
)
