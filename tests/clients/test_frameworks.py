"""Clients with a form of their own: what is particular to each, and what none may lose."""

import pytest

from tests.clients.conftest import Application, Spoken
from tests.clients.provider import ANSWER, ARGUMENTS, OPENAI_MODEL, OPENAI_TOKENS, OPENAI_VERSION, QUESTION, TOOL

MODEL = {"provider": "openai", "name": OPENAI_MODEL, "version": OPENAI_VERSION}
UNSAID = MODEL | {"provider": ""}  # two clients do not tell whose model it is


def by_task(application: Application) -> dict[str, list[Spoken]]:
    found: dict[str, list[Spoken]] = {}
    for one in application.recorded():
        found.setdefault(one.shown["task"], []).append(one)
    return found


def who(spoken: Spoken) -> tuple[str, str]:
    return spoken.shown.get("session", ""), spoken.shown.get("user", "")


def test_langfuse(application: Application) -> None:
    application.run("Langfuse")
    (call,) = application.recorded()
    assert (call.question, call.answer[0].text, who(call)) == (QUESTION, ANSWER, ("s-77", "u-1032"))
    assert (call.shown["model"], call.shown["usage"]) == (UNSAID, OPENAI_TOKENS)


def test_mlflow_tells_the_function_and_the_call_in_it(application: Application) -> None:
    application.run("MLflow")
    found = by_task(application)
    (function,), (call,) = found["step"], found["chat"]
    assert (function.shown["record"]["input"], who(function)) == ({"question": QUESTION}, ("s-77", "u-1032"))
    assert function.answer[0].text == ANSWER
    assert (call.question, call.answer[0].text) == (QUESTION, ANSWER)
    assert call.shown["model"] == UNSAID
    counted = OPENAI_TOKENS.keys() - {"reasoning_tokens"}  # not told
    assert call.shown["usage"] == {name: OPENAI_TOKENS[name] for name in counted}
    assert call.shown["trace_id"] == function.shown["trace_id"]
    assert call.shown["record"]["parent_span_id"] == function.shown["span_id"]


@pytest.mark.parametrize("client", ["Pydantic AI", "OpenAI Agents"])
def test_an_agent_asks_calls_its_tool_and_answers(application: Application, client: str) -> None:
    application.run(client)
    found = by_task(application)
    (asked, after), (tool,) = found["chat"], found["execute_tool"]
    assert (asked.asked[0].parts[0].text, asked.question, asked.calls) == (
        "Lend with care.",
        QUESTION,
        [(TOOL, ARGUMENTS)],
    )
    assert (tool.shown["record"]["input"], tool.shown["record"]["output"]) == (ARGUMENTS, {"score": 641})
    assert (after.answer[0].text, len(after.asked)) == (ANSWER, 4)
    assert [call.shown["usage"] for call in (asked, after)] == [OPENAI_TOKENS, OPENAI_TOKENS]
    assert [call.shown["model"] for call in (asked, after)] == [MODEL, MODEL]
    everything = [one for ones in found.values() for one in ones]
    assert {who(one) for one in everything} == {("s-77", "u-1032")}
    assert len({one.shown["trace_id"] for one in everything}) == 1
    assert "screener" in {one.shown.get("agent") for one in found["invoke_agent"]}
    assert all(not one.shown["usage"] for one in found["invoke_agent"])


def test_pydantic_ai_tells_the_whole_run_without_counting_it_twice(application: Application) -> None:
    application.run("Pydantic AI")
    (run,) = by_task(application)["invoke_agent"]
    assert [turn.role for turn in run.asked] == ["system", "user", "assistant", "user"]
    assert (run.question, run.answer[0].text) == (QUESTION, ANSWER)


def test_langchain(application: Application) -> None:
    application.run("LangChain")
    plain, with_tool = application.recorded()
    assert (plain.question, plain.answer[0].text, with_tool.calls) == (QUESTION, ANSWER, [(TOOL, ARGUMENTS)])
    for call in (plain, with_tool):
        assert (call.shown["model"], call.shown["usage"], who(call)) == (MODEL, OPENAI_TOKENS, ("s-77", "u-1032"))


def test_content_in_log_records_stands_beside_its_decision(application: Application) -> None:
    application.run("Content as log records")
    (call,) = application.recorded()
    assert (call.shown["model"], call.answered) == (MODEL, [])
    assert [(one.question, [part.text for part in one.answer]) for one in application.beside(call)] == [
        (QUESTION, []),
        ("", [ANSWER]),
    ]
