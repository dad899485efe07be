"""Patterns compiled once say what CEL's own `matches` says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.engine import compile_rule
from policies.expressions import Record, RuleError, _runtime, compile_any, compile_source
from policies.facts import build_facts
from policies.patterns import BadPattern, compiled, is_found

PATTERNS = [
    r"\b\d{3}[- ]\d{2}[- ]\d{4}\b",
    r"(?i)ignore (all|any) previous",
    r"^$",
    r"[^a-z]+é?",
    r"(a|b){2,3}$",
    r"\p{Lu}\S*",
    "🙂|ß",
]


def own_matches(text: str, pattern: str) -> bool:
    """What the evaluator's own function says, which compiles the pattern for it."""
    expression = _runtime().compile("input.text.matches(metadata.p)")
    found = expression.eval(data={"input": {"text": text}, "metadata": {"p": pattern}}).value()
    assert isinstance(found, bool)
    return found


@given(st.sampled_from(PATTERNS), st.text(alphabet="abAB12 -é🙂ß.\n", max_size=40))
def test_a_pattern_finds_what_cels_own_function_finds(pattern: str, text: str) -> None:
    assert is_found(text, pattern) == own_matches(text, pattern)


@pytest.mark.parametrize("call", ["output.text.matches('a+b')", "matches(output.text, 'a+b')"])
@pytest.mark.parametrize(("text", "outcome"), [("xaab", "triggered"), ("b", "not_triggered")])
def test_both_ways_to_call_it_run(call: str, text: str, outcome: str) -> None:
    facts = build_facts({"system": "s", "output": text})
    assert compile_source(call).evaluate(Record(facts)) == (outcome, "")


def test_a_rule_cannot_call_the_function_by_its_inner_name() -> None:
    with pytest.raises(RuleError, match="matches_compiled_once"):
        compile_source("output.text.matches_compiled_once('a')")


@pytest.mark.parametrize("pattern", ["(", "a{2000}", r"\2", "(?<=a)b"])
def test_a_bad_pattern_says_why(pattern: str) -> None:
    with pytest.raises(BadPattern, match=r"\w"):
        compiled(pattern)
    with pytest.raises(RuleError, match="bad pattern"):
        compile_source(f"output.text.matches(r'{pattern}')")


SOURCES = [
    "output.text.contains('x')",
    "usage.input_tokens > 5",
    "outcome.score > 0.5",  # an error where it is not reported
    "output.text.matches('[0-9]{2}')",
    "metadata.n == 3",
]


@given(
    st.lists(st.sampled_from(SOURCES), min_size=1, max_size=5),
    st.fixed_dictionaries(
        {"output": st.sampled_from(["x", "12", "y"]), "usage": st.just({"input_tokens": 4})},
        optional={"metadata": st.just({"n": 3}), "outcome": st.sampled_from([{"score": 0.1}, {"score": 0.9}])},
    ),
)
def test_all_rules_asked_at_once_are_quiet_only_if_each_is(sources: list[str], decision: dict[str, object]) -> None:
    programs = [compile_source(source) for source in sources]
    record = Record(build_facts({"system": "s", **decision}))
    together = compile_any(programs)
    if together is not None and together.evaluate(record)[0] == "not_triggered":
        assert {program.evaluate(record)[0] for program in programs} == {"not_triggered"}
    if all(program.evaluate(record)[0] == "not_triggered" for program in programs) and len(programs) > 1:
        assert together is not None
        assert together.evaluate(record)[0] == "not_triggered"


def test_a_rule_alone_is_asked_for_itself() -> None:
    rule = compile_rule(
        "true", policy="p", policy_hash="h", rule="r", action="warn", severity="low", message="m", on_error="fail_open"
    )
    assert compile_any([rule.program]) is None
