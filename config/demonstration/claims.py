"""The claims agent: OpenTelemetry traces of a model that looks up a contract with a tool before it answers."""

# ruff: noqa: S311 (an example that is the same every time; nothing here is a secret)

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from config.demonstration.calendar import moments

COUNT = 48
FAILS_EVERY = 9
SERVER, INTERNAL, CLIENT = 2, 1, 3
CLAIMS = (
    (
        "My phone fell into the sink. Is that covered?",
        "Water damage is covered up to {limit} euro, less {own} euro of your own.",
    ),
    (
        "Somebody took my bicycle from the cellar.",
        "Theft from a locked cellar is covered up to {limit} euro. Please send the police report.",
    ),
    (
        "Hail broke two windows of the conservatory.",
        "Storm and hail are covered; {own} euro are your own part.",
    ),
    (
        "The neighbour's dog bit my son. Who pays?",
        "The owner's liability pays first. I have noted the case for a colleague.",
    ),
    (
        "I left my laptop on the train.",
        "Loss is not covered by your contract; only theft and damage are.",
    ),
)
QUERY = "SELECT limit_euro, own_part FROM contracts WHERE id = $1"


@dataclass(frozen=True, slots=True)
class _Trace:
    """One claim on its way through the agent; spans take their ids and times from it."""

    number: int
    at: datetime
    trace_id: str

    def span(
        self, place: int, parent: int, name: str, kind: int, from_ms: int, to_ms: int, **more: Any
    ) -> dict[str, Any]:
        """A span of OTLP/JSON; `parent` 0: it is the root."""
        return {
            "traceId": self.trace_id,
            "spanId": f"{self.number:012x}{place:04x}",
            "parentSpanId": f"{self.number:012x}{parent:04x}" if parent else "",
            "name": name,
            "kind": kind,
            "startTimeUnixNano": self._nanos(from_ms),
            "endTimeUnixNano": self._nanos(to_ms),
            "attributes": _attributes(more.pop("attributes", {})),
            **more,
        }

    def _nanos(self, ms: int) -> str:
        return str(int((self.at + timedelta(milliseconds=ms)).timestamp() * 1_000) * 1_000_000)


def claims(ends: datetime) -> Iterator[dict[str, Any]]:
    """Every trace up to `ends`, oldest first, each an OTLP/JSON request of its own."""
    rng = random.Random("claims")
    for number, at in enumerate(moments(rng, ends - timedelta(minutes=5), COUNT), 1):
        trace = _Trace(number, at, f"{rng.getrandbits(128):032x}")
        resource = {
            "service.name": "claims-agent",
            "service.version": "0.8.1",
            "service.instance.id": f"pod-{number % 3}",
        }
        yield {
            "resourceSpans": [
                {
                    "resource": {"attributes": _attributes(resource | {"deployment.environment.name": "production"})},
                    "scopeSpans": [{"scope": {"name": "claims-agent"}, "spans": _spans(rng, trace)}],
                }
            ]
        }


def _spans(rng: random.Random, trace: _Trace) -> list[dict[str, Any]]:
    asked, answer = rng.choice(CLAIMS)
    limit, own = rng.choice((500, 1_000, 2_500)), rng.choice((50, 100, 150))
    contract, has_failed = f"K-{rng.randrange(10_000, 99_999)}", trace.number % FAILS_EVERY == 0
    told = "The contract could not be looked up; a colleague will call you." if has_failed else answer
    question = [_said("user", asked)]
    call = {"type": "tool_call", "id": "call_1", "name": "contract_of", "arguments": {"id": contract}}
    first, tool, last = rng.randint(400, 900), rng.randint(30, 160), rng.randint(500, 1_400)
    done = first + tool
    looked_up = {"limit": limit, "own_part": own}
    result = {"type": "tool_call_response", "id": "call_1", "response": looked_up}
    heard = [*question, {"role": "assistant", "parts": [call]}, {"role": "tool", "parts": [result]}]
    final = _said("assistant", told.format(limit=limit, own=own))
    failed = {"status": {"code": 2, "message": "canceling statement due to statement timeout"}} if has_failed else {}
    return [
        trace.span(1, 0, "POST /claims", SERVER, 0, done + last + 20, attributes={"http.request.method": "POST"}),
        trace.span(2, 1, "invoke_agent claims", INTERNAL, 8, done + last + 12, attributes=_agent(trace)),
        _chat(trace, 3, (10, first), question, {"role": "assistant", "parts": [call]}, rng.randrange(180, 260)),
        trace.span(
            4, 2, "execute_tool contract_of", INTERNAL, first + 2, done, attributes=_tool(contract, looked_up), **failed
        ),
        trace.span(
            5, 4, QUERY[:40], CLIENT, first + 5, done - 4, attributes={"db.system.name": "postgresql"}, **failed
        ),
        _chat(trace, 6, (done + 4, done + last), heard, final, rng.randrange(300, 420)),
    ]


def _chat(
    trace: _Trace, place: int, ms: tuple[int, int], heard: list[dict[str, Any]], said: dict[str, Any], tokens: int
) -> dict[str, Any]:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5-mini",
        "gen_ai.response.model": "gpt-5-mini",
        "gen_ai.conversation.id": f"claim-{trace.number:03}",
        "gen_ai.usage.input_tokens": tokens,
        "gen_ai.usage.output_tokens": tokens // 6,
        "gen_ai.input.messages": json.dumps(heard),
        "gen_ai.output.messages": json.dumps([said]),
    }
    return trace.span(place, 2, "chat gpt-5-mini", CLIENT, *ms, attributes=attributes)


def _said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _agent(trace: _Trace) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "claims",
        "gen_ai.conversation.id": f"claim-{trace.number:03}",
    }


def _tool(contract: str, found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "contract_of",
        "gen_ai.tool.call.id": "call_1",
        "gen_ai.tool.call.arguments": json.dumps({"id": contract}),
        "gen_ai.tool.call.result": json.dumps(found),
    }


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in values.items()
    ]
