"""Versions and activations through the services, and what the timeline makes of them."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError

from policies.activations import retire_policy
from policies.document import compile_policy, parse
from policies.library import list_starters
from policies.models import PolicySet
from policies.services import draft_version
from policies.timeline import Activation, Timeline, policy_set, timeline_of
from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.policies import put_in_force
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from traces.models import Decision, RuleHit

NO_ADVICE = """
policy: adverse-needs-reason
title: An adverse decision says why
risk_class: high
on_error: fail_closed
rules:
  - id: reason-given
    severity: high
    message: An adverse decision needs a reason.
    when: outcome.adverse && outcome.reasons.size() == 0
    action: block
    controls: []
"""


def test_a_decision_is_judged_by_the_policy_of_its_time(cast: Cast) -> None:
    now = datetime.now(UTC)
    (before,) = submit(cast, 1, outcome={"adverse": True}, occurred_at=now.isoformat())
    put_in_force(cast, NO_ADVICE)
    after = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    (blocked,) = submit(cast, 1, outcome={"adverse": True}, occurred_at=after)
    (passed,) = submit(cast, 1, occurred_at=after)
    (earlier,) = submit(cast, 1, outcome={"adverse": True}, occurred_at=now.isoformat())
    with tenant_atomic(cast.tenant.pk):
        rows = Decision.objects.in_bulk()
        assert [rows[pk].action for pk in (before, blocked, passed, earlier)] == ["allow", "block", "allow", "allow"]
        assert [rows[pk].verdict for pk in (before, blocked, passed)] == ["no_policy", "triggered", "not_triggered"]
        assert RuleHit.objects.get().decision_id == blocked
        assert PolicySet.objects.filter(sha256=rows[blocked].policy_set).exists()


def test_a_document_that_changes_nothing_is_no_version(cast: Cast) -> None:
    author = cast.actors[Role.POLICY_AUTHOR]
    draft_version(by=author, source=NO_ADVICE)
    with pytest.raises(ValidationError, match="exactly the same"):
        draft_version(by=author, source=NO_ADVICE + "\n# a comment\n")
    with pytest.raises(ValidationError, match=r"Line \d+, column \d+"):
        draft_version(by=author, source=NO_ADVICE.replace("outcome.adverse", "outcome.advrese"))


def test_retiring_ends_it_for_every_process(cast: Cast) -> None:
    version = put_in_force(cast, NO_ADVICE)
    approver = cast.actors[Role.POLICY_APPROVER]
    with tenant_atomic(cast.tenant.pk):
        assert timeline_of(cast.tenant.pk).in_force("s", "e", "t", datetime.now(UTC)).enforced
    retire_policy(by=approver, policy=version.policy)
    with tenant_atomic(cast.tenant.pk):
        assert not timeline_of(cast.tenant.pk).in_force("s", "e", "t", datetime.now(UTC)).enforced
    with pytest.raises(ValidationError, match="Nothing"):
        retire_policy(by=approver, policy=version.policy)


def random_timeline(generator: random.Random) -> list[Activation]:
    compiled = compile_policy(parse(NO_ADVICE))
    origin = datetime(2026, 1, 1, tzinfo=UTC)
    activations = []
    for policy in "abcd":
        at = origin
        for n in range(generator.randint(0, 5)):
            at += timedelta(hours=generator.randint(0, 30))
            ends = at + timedelta(hours=generator.randint(1, 40)) if generator.random() < 0.9 else None
            activations.append(Activation(policy, f"{policy}{n}", "enforce", at, ends, compiled))
            if ends is None:
                break
            at = ends
    return activations


@pytest.mark.parametrize("seed", range(20))
def test_the_resolver_equals_brute_force(seed: int) -> None:
    generator = random.Random(seed)
    activations = random_timeline(generator)
    timeline = Timeline(activations)
    for _ in range(200):
        at = datetime(2025, 12, 31, tzinfo=UTC) + timedelta(minutes=generator.randint(0, 60 * 24 * 20))
        expected = policy_set(a for a in activations if a.starts <= at and (a.ends is None or at < a.ends))
        found = timeline.in_force("s", "e", "t", at)
        assert found.sha256 == expected.sha256
        claim = generator.choice([None, found.sha256, bytes(32), *(policy_set([a]).sha256 for a in activations)])
        assert timeline.match(claim, found, at, ("s", "e", "t")) == brute_match(activations, claim, found.sha256, at)


def brute_match(activations: list[Activation], claim: bytes | None, effective: bytes, at: datetime) -> str:
    if claim is None:
        return "none"
    if claim == effective:
        return "match"
    moments = sorted({a.starts for a in activations} | {a.ends for a in activations if a.ends})
    before = [datetime(2000, 1, 1, tzinfo=UTC), *(m for m in moments if m <= at)]
    after = [m for m in moments if m > at]

    def held(moment: datetime) -> bytes:
        return policy_set(a for a in activations if a.holds_at(moment)).sha256

    if claim in {held(moment) for moment in before}:
        return "stale"
    return "future" if claim in {held(moment) for moment in after} else "unknown"


def test_every_starter_can_be_put_in_force(cast: Cast) -> None:
    for starter in list_starters():
        put_in_force(cast, starter.source)
    (pk,) = submit(cast, 1, occurred_at=(datetime.now(UTC) + timedelta(seconds=1)).isoformat())
    with tenant_atomic(cast.tenant.pk):
        assert Decision.objects.get(pk=pk).verdict in {"triggered", "not_triggered"}
