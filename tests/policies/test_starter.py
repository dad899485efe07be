"""The starter library: every entry stands, proves itself, and costs little."""

import pytest

from policies.document import canonical, compile_policy, parse, sha256
from policies.engine import evaluate
from policies.expressions import compile_source
from policies.facts import build_facts
from policies.library import STARTER, list_starters, load_starter
from tests.policies.test_facts import SUBMITTED

FRAMEWORKS = {"eu-ai-act", "nist-ai-rmf", "iso-42001", "gdpr", "ecoa-regb"}
NAMES = sorted(path.stem for path in STARTER.glob("*.yaml"))


def test_library_lists_a_dozen_by_name() -> None:
    assert [starter.name for starter in list_starters()] == NAMES
    assert len(NAMES) == 12


def test_unknown_entry_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        load_starter("../secrets")


@pytest.mark.parametrize("name", NAMES)
def test_entry_is_named_after_its_file_and_survives_its_canonical_form(name: str) -> None:
    starter = load_starter(name)
    assert starter.document.policy == name
    assert starter.document.description
    assert sha256(parse(canonical(starter.document))) == sha256(starter.document)


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_has_controls_and_an_example_that_triggers_it(name: str) -> None:
    document = load_starter(name).document
    shown = {
        rule for example in document.examples for rule, outcome in example.expect.items() if outcome == "triggered"
    }
    for rule in document.rules:
        assert rule.controls
        assert {control.split(":")[0] for control in rule.controls} <= FRAMEWORKS
        assert rule.id in shown or rule.id in {"user-text-too-long", "too-many-turns", "too-many-calls"}


@pytest.mark.parametrize(
    ("policy", "rule", "decision"),
    [
        ("over-long-input", "user-text-too-long", {"input": "x" * 33_000}),
        ("over-long-input", "too-many-turns", {"input": [{"role": "user", "content": "x"}] * 201}),
        (
            "tool-not-allowed",
            "too-many-calls",
            {"output": [{"role": "assistant", "tool_calls": [{"name": "search"}] * 26}]},
        ),
    ],
)
def test_limits_too_large_for_an_example(policy: str, rule: str, decision: dict[str, object]) -> None:
    when = {each.id: each.when for each in load_starter(policy).document.rules}[rule]
    [found] = [
        f
        for f in evaluate([compile_policy(load_starter(policy).document)], build_facts(decision)).findings
        if f.rule == rule
    ]
    assert compile_source(when).uses
    assert found.outcome == "triggered"


def test_an_ordinary_decision_passes_the_whole_library_without_errors() -> None:
    verdict = evaluate([compile_policy(starter.document) for starter in list_starters()], build_facts(SUBMITTED))
    assert not [finding for finding in verdict.findings if finding.outcome == "error"]
    assert {finding.rule for finding in verdict.findings if finding.outcome == "triggered"} == {"notice-missing"}
