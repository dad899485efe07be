"""Documents: what is accepted, where the errors point, and that content alone decides the hash."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.document import (
    MAX_BYTES,
    MAX_RULES,
    DocumentError,
    PolicyDocument,
    Problem,
    canonical,
    compile_policy,
    parse,
    sha256,
)
from policies.engine import evaluate
from policies.facts import build_facts

SOURCE = """\
policy: adverse-needs-reason
title: Reasons
risk_class: high
on_error: fail_closed
applies_to: {systems: [loans]}
rules:
  - id: specific-reason
    severity: high
    message: No reason.
    when: outcome.adverse && outcome.reasons.size() == 0
    action: block
    controls: ["ecoa-regb:1002.9(b)(2)"]
examples:
  - name: without
    decision: {system: loans, output: no, outcome: {adverse: true}}
    expect: {specific-reason: triggered}
"""


def problems(source: str | bytes) -> list[tuple[int, int, str]]:
    with pytest.raises(DocumentError) as refused:
        parse(source)
    return [(problem.line, problem.column, problem.message) for problem in refused.value.problems]


def test_document_is_read_whole() -> None:
    document = parse(SOURCE)
    [rule] = document.rules
    assert (document.policy, document.risk_class, document.applies_to.systems) == (
        "adverse-needs-reason",
        "high",
        ("loans",),
    )
    assert (rule.action, rule.controls) == ("block", ("ecoa-regb:1002.9(b)(2)",))
    assert document.examples[0].decision["outcome"] == {"adverse": True}


def test_compiled_policy_judges_and_carries_the_hash() -> None:
    document = parse(SOURCE)
    verdict = evaluate([compile_policy(document)], build_facts({"system": "loans", "outcome": {"adverse": True}}))
    assert (verdict.action, verdict.policies) == ("block", (sha256(document),))
    assert verdict.findings[0].message == "No reason."
    assert evaluate([compile_policy(document)], build_facts({"system": "other"})).policies == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "message"),
    [
        ("risk_class: high", "risk_clas: high", 3, 1, "risk_clas: unknown field; did you mean risk_class?"),
        ("risk_class: high", "risk_class: hihg", 3, 13, "risk_class: did you mean high?"),
        ("risk_class: high\n", "", 1, 1, "the field risk_class is missing"),
        ("title: Reasons", "title: Reasons\ntitle: Again", 3, 1, "the field title is given twice"),
        ("title: Reasons", "title: 7", 2, 8, "title: must be text; quote it"),
        ("title: Reasons", "title: &a Reasons", 2, 8, "anchors and aliases"),
        ("title: Reasons", "title: *a", 2, 8, "anchors and aliases"),
        ("title: Reasons", "title: !!python/name:os.system Reasons", 2, 8, "tags (!) are not allowed"),
        ("title: Reasons", "title: [a", 3, 11, "expected ',' or ']'"),
        ("title: Reasons", "<<: {title: x}", 2, 1, "a field's name must be text"),
        ("action: block", "action: blok", 11, 13, "rules[0].action: did you mean block?"),
        ("action: block", "action: error_fail_open", 11, 13, "one of allow, log"),
        ("severity: high", "severity: high\n    extra: 1", 9, 5, "rules[0].extra: unknown field; known fields: id"),
        ("id: specific-reason", "id: Specific Reason", 7, 9, "must be lower-case letters"),
        ("outcome.adverse &&", "outcome.advers &&", 10, 18, "undefined field 'advers'"),
        ("when: outcome.adverse &&", "when: >-\n      outcome.adverse &&", 0, 0, ""),
        ('"ecoa-regb:1002.9(b)(2)"', "nonsense", 12, 16, "must be framework:clause"),
        ("systems: [loans]", "systems: [loans, loans]", 5, 31, "is listed twice"),
        ("expect: {specific-reason: triggered}", "expect: {specific-reason: error}", 16, 31, "the rule says triggered"),
        (
            "expect: {specific-reason: triggered}",
            "expect: {specific-reasn: triggered}",
            16,
            30,
            "did you mean specific-reason?",
        ),
        ("expect: {specific-reason: triggered}", "expect: {specific-reason: maybe}", 16, 31, "one of triggered"),
        ("    expect: {specific-reason: triggered}", "", 14, 5, "the field expect is missing"),
    ],
)
def test_problem_points_at_its_place(old: str, new: str, line: int, column: int, message: str) -> None:
    changed = SOURCE.replace(old, new)
    assert changed != SOURCE
    if not message:
        assert parse(changed).rules[0].when == parse(SOURCE).rules[0].when
        return
    found = problems(changed)
    assert any((at, col) == (line, column) and message in text for at, col, text in found), found


@pytest.mark.parametrize(
    ("when", "line", "column"),
    [
        ("when: outcome.nope", 10, 18),
        ("when: 'outcome.nope'", 10, 19),
        ("when: |\n      true\n        && outcome.nope", 12, 19),
    ],
)
def test_rule_errors_point_into_the_expression(when: str, line: int, column: int) -> None:
    changed = SOURCE.replace("when: outcome.adverse && outcome.reasons.size() == 0", when)
    assert [(at, col) for at, col, _ in problems(changed)] == [(line, column)]


def test_every_problem_is_told_at_once() -> None:
    changed = SOURCE.replace("risk_class: high", "risk_class: x").replace("action: block", "action: y")
    assert [line for line, _, _ in problems(changed)] == [3, 11]


@pytest.mark.parametrize(
    "source",
    [
        "",
        "[]",
        "just text",
        "a: b\n---\nc: d",
        "[" * 10_000,
        "{" * 10_000,
        "- " * 10_000,
        "a: " + "x" * MAX_BYTES,
        b"\xff\xfe",
        b"a: \x00",
        "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]",
        '{"policy": "\\ud800"}',
        "? [a]\n: b",
        "\ud800",
    ],
)
def test_refused_as_a_document(source: str | bytes) -> None:
    assert problems(source)


def test_too_many_rules() -> None:
    data = yaml.safe_load(SOURCE)
    rule = {"severity": "low", "message": "m", "when": "true", "action": "log"}
    data["rules"] = [{"id": f"r{index}", **rule} for index in range(MAX_RULES + 1)]
    assert "at most 200 entries" in problems(json.dumps(data))[0][2]


def test_same_rule_id_twice() -> None:
    data = yaml.safe_load(SOURCE)
    data["rules"] *= 2
    assert any("a second rule with the id specific-reason" in text for _, _, text in problems(json.dumps(data)))


def test_yaml_words_stay_text_and_dates_too() -> None:
    changed = SOURCE.replace("output: no,", "output: no, occurred_at: 2026-11-23, n: 1e3,")
    decision = parse(changed).examples[0].decision
    assert (decision["output"], decision["occurred_at"], decision["n"]) == ("no", "2026-11-23", 1000.0)


def test_integers_beyond_json_are_refused() -> None:
    assert "canonical JSON" in problems(SOURCE.replace("output: no,", f"output: {2**60},"))[0][2]


def test_json_with_tabs_and_escaped_emoji_is_the_same_document() -> None:
    data = yaml.safe_load(SOURCE)
    data["title"] = "Reasons 🙂"
    assert parse(json.dumps(data, indent="\t")) == parse(json.dumps(data, ensure_ascii=False))


def test_written_out_defaults_do_not_change_the_hash() -> None:
    assert sha256(parse(SOURCE + "description: ''\n".replace("''", '"x"'))) != sha256(parse(SOURCE))
    spelled = SOURCE.replace("{systems: [loans]}", "{systems: [loans], tasks: [], environments: []}")
    assert sha256(parse(spelled)) == sha256(parse(SOURCE))


def shuffled(value: Any, draw: Any) -> Any:
    if isinstance(value, dict):
        return {key: shuffled(value[key], draw) for key in draw(st.permutations(sorted(value)))}
    return [shuffled(item, draw) for item in value] if isinstance(value, list) else value


def assert_read_or_refused(source: str | bytes) -> None:
    found: tuple[Problem, ...] = ()
    try:
        document = parse(source)
    except DocumentError as refused:
        found = refused.problems
    else:
        assert isinstance(document, PolicyDocument)
        return
    assert found
    assert all(problem.line >= 1 and problem.column >= 1 for problem in found)


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=30).filter(str.strip)


@st.composite
def documents(draw: Any) -> dict[str, Any]:
    document = yaml.safe_load(SOURCE)
    document["examples"][0]["decision"]["output"] = "no"
    document["title"], document["rules"][0]["message"] = draw(TEXT), draw(TEXT)
    document["examples"][0]["decision"]["metadata"] = draw(
        st.dictionaries(
            TEXT.filter(lambda key: key != "<<"),
            TEXT | st.integers(-(2**53) + 1, 2**53 - 1) | st.booleans() | st.none(),
            max_size=3,
        )
    )
    return shuffled(document, draw)  # type: ignore[no-any-return]


@settings(deadline=None)
@given(documents(), st.data())
def test_hash_is_of_the_content_not_of_the_writing(document: dict[str, Any], data: st.DataObject) -> None:
    as_json = parse(json.dumps(document))
    as_yaml = parse(yaml.safe_dump(shuffled(document, data.draw), allow_unicode=True, sort_keys=False))
    assert canonical(as_json) == canonical(as_yaml)
    assert parse(canonical(as_json)) == as_json
    assert sha256(as_json) == sha256(as_yaml)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=400) | st.text(max_size=200) | st.text(alphabet="{}[]:,-&*!|>'\"#?% \n\tab0", max_size=80))
def test_parse_refuses_or_reads_but_never_crashes(source: str | bytes) -> None:
    assert_read_or_refused(source)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_damaged_documents_never_crash(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(SOURCE)))
    length = data.draw(st.integers(0, 20))
    damaged = (
        SOURCE[:at] + data.draw(st.text(alphabet="{}[]:,-&*!|>'\"#? \nab0\x00é", max_size=6)) + SOURCE[at + length :]
    )
    assert_read_or_refused(damaged)
