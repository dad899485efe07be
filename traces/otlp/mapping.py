"""From a span to a decision: pure, and versioned.

`MAPPING_VERSION` is stored with every decision beside the attributes that were not content, so that what a later
version reads differently can be told, and read again. Raise it with every change of meaning.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from traces.models import FAILED
from traces.otlp.attributes import Attributes, read_json
from traces.otlp.content import MLFLOW_INPUTS, REQUEST_CONTENT, Content, content_of
from traces.otlp.operations import NOT_COUNTED, STEPS, operation_of, provider_of
from traces.otlp.spans import ERROR, NO_SPAN, OK, Event, Origin, Span
from traces.otlp.usage import usage_of

MAPPING_VERSION = "3"

_PROVIDER = (
    "gen_ai.provider.name",
    "gen_ai.system",
    "llm.provider",
    "llm.system",
    "ai.model.provider",
    "mlflow.llm.provider",
)
_REQUESTED = (
    "gen_ai.request.model",
    "langfuse.observation.model.name",
    "llm.request.model_name",
    "llm.model_name",
    "embedding.model_name",
    "reranker.model_name",
    "ai.model.id",
    "llm.request.model",
    "mlflow.llm.model",
    "model_name",
)
_ANSWERING = ("gen_ai.response.model", "llm.response.model_name", "ai.response.model", "llm.response.model")
# What the application calls its session comes before a conversation, which agent libraries number for each run.
_SESSION = (
    "langfuse.session.id",
    "session.id",
    "gen_ai.conversation.id",
    "traceloop.association.properties.session_id",
    "ai.telemetry.metadata.sessionId",
    "mlflow.trace.session",
    "gcp.vertex.agent.session_id",
    "langsmith.metadata.session_id",
)
_USER = (
    "user.id",
    "langfuse.user.id",
    "enduser.id",
    "gen_ai.user",
    "llm.user",
    "traceloop.association.properties.user_id",
    "ai.telemetry.metadata.userId",
    "mlflow.trace.user",
)
_AGENT = ("gen_ai.agent.name", "agent.name", "agent_name", "gen_ai.agent.id")
_PROMPT_NAME = ("gen_ai.prompt.name", "langfuse.observation.prompt.name", "traceloop.prompt.key", "prompt.id")
_PROMPT_VERSION = (
    "gen_ai.prompt.version",
    "langfuse.observation.prompt.version",
    "traceloop.prompt.version",
    "llm.prompt_template.version",
)
_PARAMETERS = ("llm.invocation_parameters", "langfuse.observation.model.parameters")
_PARAMETER_PREFIXES = ("gen_ai.request.", "ai.settings.")
_INSTANCE = ("service.instance.id", "k8s.pod.name", "host.name")
_ENVIRONMENT = ("deployment.environment.name", "deployment.environment")
_GUARD = "gen_ai.guardrail."
_GUARD_VERDICT = (f"{_GUARD}verdict.type", f"{_GUARD}result.value", f"{_GUARD}result.type")
_GUARD_RULE = (f"{_GUARD}policy.id", f"{_GUARD}security.policy.rule.id", f"{_GUARD}security.policy.id")
_ERROR_TYPE = ("error.type", "exception.type")
_ERROR_TEXT = ("langfuse.observation.status_message", "exception.message", "error.message")
_LEVEL = ("langfuse.observation.level",)
_DATED = re.compile(r"^(.+?)[-@](\d{4}-\d{2}-\d{2}|20\d{6})$")
_A_VERSION = re.compile(r"^[-@:](v?\d|latest|preview|exp)")


@dataclass(frozen=True, slots=True)
class Service:
    """Where a span ran, from its resource."""

    name: str
    version: str
    environment: str
    instance: str


def service_of(origin: Origin) -> Service:
    """The resource in the contract's words; `unknown_service` only when nothing else names the application."""
    resource = Attributes(origin.resource)
    name = resource.text(("service.name",))
    if not name or name.startswith("unknown_service"):
        name = resource.text(("openinference.project.name", "mlflow.experimentName")) or name or "unknown_service"
    return Service(
        clip(name, 200) or "unknown_service",
        clip(resource.text(("service.version",)), 200),
        clip(resource.text(_ENVIRONMENT), 100),
        clip(resource.text(_INSTANCE), 200),
    )


def clip(text: str, length: int) -> str:
    """At most that long, and storable: PostgreSQL's text has no U+0000. The raw attribute stays whole."""
    return text.replace("\0", "")[:length]


def decision_of(span: Span, service: Service) -> dict[str, Any] | None:
    """The decision in a span, as it would be submitted; None for a span that is no AI action."""
    attributes = Attributes(span.attributes)
    operation = operation_of(attributes)
    content = content_of(attributes, span.events)
    has_content = content.input is not None or content.output is not None
    if not has_content and (not operation or operation in STEPS):
        return None
    provider = provider_of(attributes.text(_PROVIDER))
    usage = usage_of(attributes, provider) if operation not in NOT_COUNTED else None
    decision: dict[str, Any] = {
        "system": service.name,
        "system_version": service.version or clip(attributes.text(("langfuse.release",)), 200),
        "environment": clip(attributes.text(("langfuse.environment",)), 100) or service.environment,
        "task": clip(operation or "step", 200),
        "occurred_at": started_at(span.start_ns),
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": parent_of(span),
        "session": clip(attributes.text(_SESSION), 200),
        "user": clip(attributes.text(_USER), 200),
        "agent": _agent(attributes, operation, span.name),
        "instance": service.instance,
        "model": _model(attributes, provider),
        "context": _documents(attributes),
        "tools": _tools(attributes),
        "usage": usage.usage if usage else None,
        "latency_ms": _milliseconds(span.duration_ns),
        "enforcement": _enforcement(attributes),
        "outcome": _failure(span, attributes),
    }
    decision = {name: value for name, value in decision.items() if value not in (None, "", {}, [])}
    decision |= _sides(content)
    decision["metadata"] = {"otel": telemetry(span, attributes.raw(), content.events, usage.rule if usage else "")}
    return decision


def _sides(content: Content) -> dict[str, Any]:
    """Where nothing was captured, which is what most libraries do until told otherwise, an empty answer stands."""
    sides = {"input": content.input, "output": content.output}
    return {name: value for name, value in sides.items() if value is not None} or {"output": []}


def _failure(span: Span, attributes: Attributes) -> dict[str, Any]:
    """The outcome of an action that ended in an error, with what it said of itself; a span tells no other outcome.

    An application that sets the status to OK has the last word: it may have dealt with the error that a library saw.
    """
    code = attributes.text(_ERROR_TYPE)
    if span.status == OK or (span.status != ERROR and not code and attributes.text(_LEVEL) != "ERROR"):
        return {}
    thrown = next((event.attributes for event in reversed(span.events) if event.name == "exception"), {})
    code = code or str(thrown.get("exception.type") or "")
    text = span.status_message or attributes.text(_ERROR_TEXT) or str(thrown.get("exception.message") or "")
    reason = {name: value for name, value in (("code", clip(code, 200)), ("text", clip(text, 2000))) if value}
    return {"decision": FAILED} | ({"reasons": [reason]} if reason else {})


def _milliseconds(ns: int) -> int | float:
    """Milliseconds with three places; whole ones as such, which canonical JSON writes alike and faster."""
    whole, rest = divmod(ns // 1000, 1000)
    return whole + rest / 1000 if rest else whole


def started_at(ns: int) -> str | None:
    """RFC 3339 UTC with microseconds; None for a clock that was never set."""
    if ns < 10**17:  # before March 1973
        return None
    at = datetime.fromtimestamp(ns // 10**9, UTC).replace(microsecond=ns % 10**9 // 1000)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def parent_of(span: Span) -> str:
    """The parent's id, if it is one."""
    parent = span.parent_span_id
    return parent if len(parent) == 16 and parent != NO_SPAN else ""


def telemetry(span: Span, attributes: dict[str, Any], events: Iterable[Event], rule: str) -> dict[str, Any]:
    """What else the span said, kept as it is."""
    origin = span.origin
    found: dict[str, Any] = {
        "mapping": MAPPING_VERSION,
        "name": span.name,
        "kind": span.kind,
        "start_unix_nano": str(span.start_ns),
        "end_unix_nano": str(span.end_ns),
        "status": {"code": span.status} | ({"message": span.status_message} if span.status_message else {}),
        "scope": {"name": origin.scope, "version": origin.scope_version},
        "resource": origin.resource,
        "attributes": attributes,
        "events": [{"name": e.name, "time_unix_nano": str(e.time_ns), "attributes": e.attributes} for e in events],
    }
    if rule:
        found["token_rule"] = rule
    if span.status != ERROR and not span.status_message:
        del found["status"]
    return {name: value for name, value in found.items() if value not in ("", [], {})}


def _agent(attributes: Attributes, operation: str, name: str) -> str:
    stated = attributes.text(_AGENT)
    if not stated and operation == "invoke_agent":
        stated = attributes.text(("traceloop.entity.name",)) or name
    return clip(stated, 200)


def _model(attributes: Attributes, provider: str) -> dict[str, Any]:
    """The model that answered; a dated name such as `gpt-4o-2024-08-06` is a version of the one that was asked for."""
    requested, answering = attributes.text(_REQUESTED), attributes.text(_ANSWERING)
    name, version = answering or requested, ""
    if requested and answering.startswith(requested) and _A_VERSION.match(answering[len(requested) :]):
        name, version = requested, answering[len(requested) + 1 :]
    elif dated := _DATED.match(name):
        name, version = dated.groups()
    prompt = {
        "name": clip(attributes.text(_PROMPT_NAME), 200),
        "version": clip(attributes.text(_PROMPT_VERSION), 100),
    }
    model: dict[str, Any] = {"provider": clip(provider, 100), "name": clip(name, 200), "version": clip(version, 200)}
    model["parameters"] = _parameters(attributes)
    model["prompt"] = {key: value for key, value in prompt.items() if value}
    return {key: value for key, value in model.items() if value}


def _parameters(attributes: Attributes) -> dict[str, Any]:
    name = next((name for name in _PARAMETERS if isinstance(read_json(attributes.values.get(name)), dict)), "")
    parameters = _without_content(attributes.take(name)) if name else dict(attributes.left.get(MLFLOW_INPUTS, {}))
    if not any(map(attributes.has_prefix, _PARAMETER_PREFIXES)):
        return parameters
    for name, value in attributes.values.items():
        if name.startswith(_PARAMETER_PREFIXES) and name != "gen_ai.request.model":
            parameters[name.split(".", 2)[2]] = value
    return parameters


def _without_content(parameters: dict[str, Any]) -> dict[str, Any]:
    """Some libraries call the whole request its parameters: what was said in it is told as input."""
    return {name: value for name, value in parameters.items() if name not in REQUEST_CONTENT}


def _tools(attributes: Attributes) -> list[Any]:
    stated = attributes.take("gen_ai.tool.definitions", "ai.prompt.tools", "mlflow.chat.tools")
    if isinstance(stated, list):
        return [read_json(tool) for tool in stated]
    flattened = attributes.take_list("llm.tools") or attributes.take_list("llm.request.functions")
    return [_tool_schema(tool) for tool in flattened]


def _tool_schema(tool: Any) -> Any:
    inner = tool.get("tool") if isinstance(tool, dict) else None
    return read_json(inner["json_schema"]) if isinstance(inner, dict) and "json_schema" in inner else tool


def _documents(attributes: Attributes) -> list[dict[str, Any]]:
    """What was retrieved, as the contract's context; members of its own beside the known ones."""
    documents = []
    for item in attributes.take_list("retrieval.documents"):
        inner = item.get("document") if isinstance(item, dict) else None
        document = dict(inner) if isinstance(inner, dict) else {"content": item}
        text = document.pop("content", None)
        score = document.pop("score", None)
        known = {
            "id": None if document.get("id") is None else str(document["id"]),
            "text": text if isinstance(text, str) or text is None else str(text),
            "score": score if type(score) in (int, float) and -(2**53) < score < 2**53 else None,
        }
        known["hash"] = document["hash"] if isinstance(document.get("hash"), str) else None
        document.pop("hash", None)
        documents.append({n: v for n, v in (document | known).items() if v is not None})
    return documents


def _enforcement(attributes: Attributes) -> list[dict[str, str]]:
    """A guardrail's verdict, by the drafts of the conventions."""
    if not attributes.has_prefix(_GUARD):
        return []
    guard = {
        "guard": clip(attributes.text((f"{_GUARD}component.name", "gen_ai.guardrail.source")), 200) or "guardrail",
        "guard_version": attributes.text((f"{_GUARD}policy.version",)),
        "rule": attributes.text(_GUARD_RULE),
        "verdict": attributes.text(_GUARD_VERDICT),
        "action": attributes.text((f"{_GUARD}action.type",)),
    }
    return [{name: value for name, value in guard.items() if value}]
