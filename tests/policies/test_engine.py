"""Judging: outcomes, errors and strengths; what may run at all; and that nothing runs long."""

import random
import threading
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.engine import ACTIONS, STRENGTH, CompiledPolicy, Verdict, compile_rule, evaluate
from policies.expressions import (
    SIZE_TIERS,
    Record,
    RuleError,
    _checker,
    _Cost,
    _runtime,
    _tree,
    compile_source,
)
from policies.facts import FACTS_SCHEMA, build_facts
from tests.policies.test_facts import DECISIONS, SUBMITTED


def policy(
    *rules: tuple[str, str], on_error: str = "fail_open", name: str = "p", systems: tuple[str, ...] = ()
) -> CompiledPolicy:
    compiled = tuple(
        compile_rule(
            when,
            policy=name,
            policy_hash=f"hash-{name}",
            rule=f"r{index}",
            action=action,
            severity="high",
            message="m",
            on_error=on_error,
        )
        for index, (when, action) in enumerate(rules)
    )
    return CompiledPolicy(name, f"hash-{name}", compiled, frozenset(systems))


def judge(when: str, decision: dict[str, Any]) -> tuple[str, str]:
    return compile_source(when).evaluate(Record(build_facts(decision)))


def test_triggered_rule_gives_its_action() -> None:
    verdict = evaluate(
        [policy(("outcome.adverse", "block"), ("false", "stop"))], build_facts({"outcome": {"adverse": True}})
    )
    assert [(f.rule, f.outcome, f.action) for f in verdict.findings] == [
        ("r0", "triggered", "block"),
        ("r1", "not_triggered", "allow"),
    ]
    assert (verdict.outcome, verdict.action, verdict.denies) == ("triggered", "block", True)
    assert {f.policy_hash for f in verdict.findings} == {"hash-p"}


@pytest.mark.parametrize(
    ("on_error", "action", "denies"),
    [("fail_open", "error_fail_open", False), ("fail_closed", "error_fail_closed", True)],
)
def test_undecided_rule_is_an_error_and_never_a_pass(on_error: str, action: str, denies: bool) -> None:
    verdict = evaluate([policy(("outcome.score > 0.5", "warn"), on_error=on_error)], build_facts({}))
    [finding] = verdict.findings
    assert (finding.outcome, finding.action, finding.error) == ("error", action, "missing_fact")
    assert (verdict.outcome, verdict.action, verdict.denies) == ("error", action, denies)


@given(st.lists(st.sampled_from([a for a in ACTIONS if not a.startswith("error_")]), max_size=5))
def test_strongest_action_wins(actions: list[str]) -> None:
    verdict = evaluate([policy(*(("true", action) for action in actions))], build_facts({}))
    assert verdict.action == max(actions, key=STRENGTH.__getitem__, default="allow")


def test_policy_applies_only_in_its_scope() -> None:
    policies = [policy(("true", "block"), name="here", systems=("a",)), policy(("true", "log"), name="everywhere")]
    verdict = evaluate(policies, build_facts({"system": "b"}))
    assert (verdict.policies, verdict.action) == (("hash-everywhere",), "log")


def test_nothing_in_force_allows() -> None:
    assert evaluate([], build_facts({})) == Verdict("not_triggered", "allow", (), ())


@pytest.mark.parametrize(
    ("when", "decision", "expected"),
    [
        ("1 / usage.input_tokens == 1", {}, ("error", "divide_by_zero")),
        ("metadata.x > 1", {"metadata": {"x": "text"}}, ("error", "wrong_type")),
        ("metadata.x == 1", {"metadata": {"y": 1}}, ("error", "missing_fact")),
        ("metadata.x == 1", {"metadata": {"x": 2**70}}, ("error", "out_of_range")),
        ("metadata.x == 1.0", {"metadata": {"x": 1}}, ("triggered", "")),
        ("output.text == ''", {"output": "\ud800"}, ("error", "bad_value")),
        ("usage.input_tokens + 9223372036854775807 > 0", {"usage": {"input_tokens": 5}}, ("error", "out_of_range")),
        ("has(outcome.score) && outcome.score > 0.5", {}, ("not_triggered", "")),
        ("outcome.?score.orValue(1.0) > 0.5", {}, ("triggered", "")),
        ("outcome.score == 1.0", {"outcome": {"score": 1}}, ("triggered", "")),
        ("input.messages.filter(m, m.role == 'user').size() == 1", SUBMITTED, ("triggered", "")),
        ("outcome.reasons.map(r, r.code) == ['c']", SUBMITTED, ("triggered", "")),
        ("timestamp(time.occurred_at).getHours('Europe/Berlin') == 2", SUBMITTED, ("triggered", "")),
        ("model.prompt.version == '14' && metadata.region in ['eu']", SUBMITTED, ("triggered", "")),
    ],
)
def test_outcomes(when: str, decision: dict[str, Any], expected: tuple[str, str]) -> None:
    assert judge(when, decision) == expected


def test_bad_value_spoils_only_the_rules_that_read_it() -> None:
    decision = {"metadata": {"x": 2**70}, "outcome": {"adverse": True}}
    assert judge("outcome.adverse", decision) == ("triggered", "")


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("outcome.advers", "undefined field 'advers'"),
        ("outcome.reasons.exists(r, r.cod == 'x')", "undefined field 'cod'"),
        ("nothing.here", "undeclared reference to 'nothing.here'"),
        ("outcome.score > 1", "write the number with a decimal point"),
        ("outcome.adverse == 'yes'", "no matching overload"),
        ("context.size()", "must be true or false"),
        ("metadata.flag", "must be true or false"),
        ("outcome.adverse &&", "yntax error"),
        ("input.text.matches('(')", "bad pattern"),
        ("input.text.matches(output.text)", "must be written out"),
        ("input.text + output.text == ''", "+ adds numbers"),
        ("metadata.a + metadata.b == metadata.c", "+ adds numbers"),
        ("input.text.replace('', 'xx') == ''", "replace is not available"),
        ("['a'].join('x') == ''", "join is not available"),
        ("dyn(1) == 1", "dyn is not available"),
        ("{'a': 1}.a == 1", "may not build maps"),
        ("[input.messages].size() > 0", "may hold only texts"),
        ("input.messages.map(m, input.messages).size() > 0", "may produce only"),
        ("true" + " " * 5000, "at most 4096"),
        ("true\0", "NUL"),
        ("'\ud800' == ''", "UTF-8"),
        ("(" * 200 + "true" + ")" * 200, ""),
        ("", ""),
    ],
)
def test_refused_before_it_can_run(when: str, message: str) -> None:
    with pytest.raises(RuleError, match=r".") as refused:
        compile_source(when)
    assert message in refused.value.message


def test_error_tells_line_and_column() -> None:
    with pytest.raises(RuleError) as refused:
        compile_source("outcome.adverse\n  && outcome.nope")
    assert (refused.value.line, refused.value.column) == (2, 13)


def test_program_names_the_facts_it_reads() -> None:
    program = compile_source("has(outcome.score) && context.exists(d, d.id == metadata.?source.orValue(''))")
    assert program.uses == ("context", "metadata.source", "outcome.score")


def test_checker_and_runtime_know_every_fact() -> None:
    for fact in FACTS_SCHEMA:
        if "[]" not in fact.name:
            assert (
                _checker().compile(f"{fact.name} == {fact.name}").return_type()
                == _runtime().compile("true").return_type()
            )


LOOP4 = "input.messages.all(a, input.messages.all(b, input.messages.all(c, input.messages.all(d, {}))))"
COSTLY = [
    LOOP4.format("a.role != b.role || true"),
    LOOP4.format("output.text.contains('zzz')"),
    LOOP4.format("output.text.matches('[0-9]{3}-[0-9]{2}')"),
    "output.text.matches('(a+)+$')",
    "output.text.matches('(x+x+)+y')",
    "output.text.matches('(.{0,200}x){3}Q')",
    "output.text.matches('[ab].{100}Q')",
    "output.text.matches('([a-y]*.{40}z){2}Q')",
    "output.text.matches('(.*a){20}Q')",
    r"output.text.matches('(\\pL|\\pN){30}Q')",
    "input.messages.all(m, !m.text.matches('[ab].{60}Q'))",
    "input.messages.all(m, !output.text.contains(m.text))",
    "output.text.contains(input.text)",
    "output.text.lowerAscii().upperAscii().trim().size() > 3",
    "input.messages.map(a, a.text) == input.messages.map(b, b.text)",
    "input.messages.map(a, output.text) == input.messages.map(b, output.text)",
    "metadata.big.all(x, x in metadata.big)",
    "metadata.big == metadata.big && metadata == metadata",
    "metadata.big.exists(x, metadata.big.exists(y, x == y && y == -1))",
    "input.messages.all(m, m == input.messages[0] || true)",
    "input == input && output == output",
    " && ".join(["!output.text.matches('[ab].{9}Q')"] * 90),
    " && ".join(["!output.text.contains('zzz')"] * 110),
]


def hostile(tier: int) -> dict[str, Any]:
    """A record just inside a size tier, of text that keeps pattern automata busy."""
    size, items = SIZE_TIERS[tier]
    noise = "".join(random.Random(tier).choices("ab xyzQ019", k=size - 4096))
    share = noise[: size // items - 40]
    return {
        "input": [{"role": "user", "content": share} for _ in range(items)],
        "output": noise,
        "metadata": {"big": list(range(items))},
    }


@pytest.mark.parametrize("tier", range(len(SIZE_TIERS)))
@pytest.mark.parametrize("when", COSTLY)
def test_no_rule_runs_long(when: str, tier: int) -> None:
    """Refused, an error, or done: each within 100 ms on the largest records it is let near."""
    facts = build_facts(hostile(tier))
    started = time.perf_counter()
    try:
        program = compile_source(when)
    except RuleError:
        assert time.perf_counter() - started < 0.1
        return
    times = []
    for _ in range(3):
        record = Record(facts)
        started = time.perf_counter()
        program.evaluate(record)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.1


def test_record_over_the_limits_is_an_error() -> None:
    over = build_facts({"output": "x" * (SIZE_TIERS[-1][0] + 1)})
    verdict = evaluate([policy(("output.text.contains('y')", "warn"), on_error="fail_closed")], over)
    assert (verdict.findings[0].error, verdict.action) == ("record_too_large", "error_fail_closed")


def test_budget_stops_a_loop_the_estimate_lets_through() -> None:
    decision = {"metadata": {"l": list(range(60))}}
    loops = "metadata.l.all(a, metadata.l.all(b, metadata.l.all(c, metadata.l.all(d, a >= 0 && d >= 0))))"
    assert judge(loops, decision) == ("error", "iteration_limit")


def test_cost_estimate_grows_with_the_record() -> None:
    def cost(when: str, size: int, items: int) -> float:
        tree = _tree(_checker().compile(when))
        estimate = _Cost(tree, size, items)
        estimate.estimate(tree.expr, 1.0, {})
        return estimate.ns

    scan = "input.messages.exists(m, m.text.contains('x'))"
    assert cost(scan, 1000, 10) < cost(scan, 100_000, 10) < cost(scan, 100_000, 1000)
    nested = "input.messages.exists(m, output.text.contains('x'))"
    assert cost(nested, 100_000, 100) > 10 * cost(scan, 100_000, 100)


RULES = st.lists(
    st.sampled_from(
        [
            "outcome.adverse",
            "outcome.score > 0.5",
            "metadata.x == 1",
            "metadata.size() > 1",
            "has(input.data) && input.data.age > 3",
            "model.parameters.temperature > 1.0",
            "context.exists(d, d.score > 0.1)",
            "time.hour < 6",
            "output.text.matches('[a-z]+')",
            "enforcement.exists(e, e.action == 'block')",
            "input.messages.exists(m, m.tools.size() > 0)",
        ]
    ),
    max_size=6,
)


@settings(deadline=None)
@given(RULES, DECISIONS, st.sampled_from(["fail_open", "fail_closed"]))
def test_evaluate_never_raises_and_is_deterministic(rules: list[str], decision: dict[str, Any], on_error: str) -> None:
    policies = [policy(*((rule, "block") for rule in rules), on_error=on_error)]
    verdict = evaluate(policies, build_facts(decision))
    assert verdict == evaluate(policies, build_facts(decision))
    assert len(verdict.findings) == len(rules)
    assert all((finding.outcome == "error") == bool(finding.error) for finding in verdict.findings)


TOKENS = (
    "outcome",
    ".",
    "adverse",
    "&&",
    "(",
    ")",
    "!",
    "'a'",
    "input",
    "text",
    "+",
    "1",
    "matches",
    "[",
    "]",
    "?",
    ":",
)


@settings(deadline=None)
@given(st.text(max_size=60) | st.lists(st.sampled_from(TOKENS)).map("".join))
def test_any_source_compiles_or_is_a_rule_error(source: str) -> None:
    try:
        program = compile_source(source)
    except RuleError:
        return
    assert program.evaluate(Record(build_facts({})))[0] in ("triggered", "not_triggered", "error")


def test_threads_share_programs_safely() -> None:
    program = compile_source("usage.input_tokens % 2 == 1 && output.text.matches('n[0-9]+')")
    wrong: list[int] = []

    def work(offset: int) -> None:
        for number in range(offset, offset + 400):
            facts = build_facts({"usage": {"input_tokens": number}, "output": f"n{number}"})
            if program.evaluate(Record(facts))[0] != ("triggered" if number % 2 else "not_triggered"):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(index * 1000,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
