"""Instrumentations of OpenAI's and Anthropic's libraries: every call of a program lands as it was made.

Where a client tells less than it could know, or something else, the difference stands in its row, and is its own.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.clients.conftest import Application, Spoken, Told
from tests.clients.provider import (
    ANSWER,
    ANTHROPIC_MODEL,
    ANTHROPIC_TOKENS,
    ANTHROPIC_VERSION,
    ARGUMENTS,
    NO_MODEL_SAYS,
    OPENAI_MODEL,
    OPENAI_TOKENS,
    OPENAI_VERSION,
    QUESTION,
    TOOL,
)

OPENAI = {"provider": "openai", "name": OPENAI_MODEL, "version": OPENAI_VERSION}
ANTHROPIC = {"provider": "anthropic", "name": ANTHROPIC_MODEL, "version": ANTHROPIC_VERSION}


@dataclass(frozen=True)
class Client:
    """A section of docs/clients.md. `tokens`, `streamed`: what it counts; `silent`: calls that it tells nothing of."""

    section: str
    program: str
    model: dict[str, str]
    tokens: dict[str, int]
    streamed: dict[str, int] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()


CLIENTS = [
    Client(
        "OpenTelemetry's own instrumentation",
        "openai_calls.py",
        OPENAI,
        {"input_tokens": 812, "output_tokens": 96},  # no details of either
        silent=frozenset({"response", "response_tool"}),  # the Responses API is not instrumented
    ),
    Client(
        "OpenLLMetry, OpenAI",
        "openai_calls.py",
        OPENAI,
        OPENAI_TOKENS,
        streamed={"reasoning_tokens": 0},  # left out of a stream
    ),
    Client(
        "OpenLLMetry, Anthropic",
        "anthropic_calls.py",
        ANTHROPIC,
        ANTHROPIC_TOKENS,
        streamed={"output_tokens": 97},  # adds the one of the stream's start, which its end counts again
    ),
    Client("OpenInference, OpenAI", "openai_calls.py", OPENAI, OPENAI_TOKENS),
    Client("OpenInference, Anthropic", "anthropic_calls.py", ANTHROPIC, ANTHROPIC_TOKENS),
]


@dataclass(frozen=True)
class Run:
    client: Client
    application: Application
    told: Told

    def call(self, name: str) -> Spoken:
        """The one decision of a call's trace."""
        trace, span = self.told.around[name]
        found = self.application.recorded(trace_id=trace)
        assert [one.shown["record"]["parent_span_id"] for one in found] == [span]
        return found[0]


@pytest.fixture(scope="module", params=CLIENTS, ids=lambda client: client.section)
def run(request: pytest.FixtureRequest, start: Callable[[], Application]) -> Run:
    application = start()
    return Run(request.param, application, application.run(request.param.section, request.param.program))


def test_the_lines_of_the_page_record_who_asked_what(run: Run) -> None:
    spoken = run.application.recorded(session="s-77", user="u-1032")[0]
    assert (spoken.question, [part.text for part in spoken.answer]) == (QUESTION, [ANSWER])
    assert (spoken.shown["system"], spoken.shown["task"]) == ("loan-assistant", "chat")
    assert spoken.shown["model"] == run.client.model
    assert spoken.shown["usage"] == run.client.tokens
    assert spoken.shown["cost"]["micros"] > 0


def test_each_call_is_one_decision_of_its_own_span(run: Run) -> None:
    decisions = run.application.recorded()
    assert len(decisions) == 1 + len(run.told.around.keys() - run.client.silent)
    inside = {trace for trace, _ in run.told.around.values()}
    ids = {(one.shown["trace_id"], one.shown["span_id"]) for one in decisions if one.shown["trace_id"] in inside}
    assert ids <= run.told.ended - set(run.told.around.values())
    assert len(ids) == len(decisions) - 1


def test_a_call_for_a_tool_and_its_result(run: Run) -> None:
    assert run.call("tool").calls == [(TOOL, ARGUMENTS)]
    after = run.call("result")
    assert (after.results, after.answer[0].text) == ([{"score": 641}], ANSWER)
    assert after.shown["usage"] == run.client.tokens


def test_a_stream_is_put_together_and_counted(run: Run) -> None:
    streamed = run.call("stream")
    assert (streamed.question, "".join(part.text for part in streamed.answer)) == (QUESTION, ANSWER)
    assert {"reasoning_tokens": 0} | streamed.shown["usage"] == {"reasoning_tokens": 0} | run.client.tokens | (
        run.client.streamed
    )


def test_the_responses_api(run: Run) -> None:
    if "response" in run.told.around and "response" not in run.client.silent:
        response = run.call("response")
        assert (response.asked[0].role, response.asked[0].parts[0].text) == ("system", "Lend with care.")
        assert (response.question, response.answer[0].text) == (QUESTION, ANSWER)
        assert response.shown["usage"] == run.client.tokens
    if "response_tool" in run.told.around and "response_tool" not in run.client.silent:
        assert run.call("response_tool").calls == [(TOOL, ARGUMENTS)]


def test_a_call_that_failed_says_so_and_no_other_does(run: Run) -> None:
    failed = run.call("failed")
    assert failed.shown["outcome"] == "error"
    assert NO_MODEL_SAYS in json.dumps(failed.shown["record"]["outcome"]["reasons"])
    found = run.application.recorded(status="failed")
    assert [one.shown["id"] for one in found] == [failed.shown["id"]]


def test_what_was_said_is_nowhere_but_in_what_can_be_erased(run: Run) -> None:
    for decision in run.application.recorded():
        kept = json.dumps([decision.telemetry, decision.shown["record"]["model"]])
        assert QUESTION not in kept
        assert ANSWER not in kept
