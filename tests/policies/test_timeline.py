"""Which policies were in force where and when: held against brute force, over timelines and over the database."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.activations import in_force_at
from policies.document import compile_policy, parse
from policies.engine import CompiledPolicy
from policies.models import Mode, PolicyActivation, PolicyVersion
from policies.services import draft_version
from policies.timeline import Activation, InForce, Timeline, policy_set, timeline_of
from tenants.context import tenant_atomic
from tenants.models import Tenant
from tenants.roles import Role
from tests.factories.policies import a_document, put_in_force
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit
from traces.models import Decision
from traces.recording import LATE_AFTER, judge
from traces.submissions import validate

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
HERE = ("loans", "production", "screening")
TEN_THOUSAND = 10_000


def compiled(scope: str = "") -> CompiledPolicy:
    return compile_policy(parse(a_document() + scope))


EVERYWHERE, LOANS, ELSEWHERE = (
    compiled(),
    compiled("applies_to: {systems: [loans, claims]}\n"),
    compiled("applies_to: {environments: [staging]}\n"),
)


def lane(rng: random.Random, policy: str, mode: str, count: int) -> Iterable[Activation]:
    """Activations of one policy and mode, as the database allows them: one after the other, some back to back."""
    at = ORIGIN
    for n in range(count):
        at += timedelta(minutes=rng.choice((0, rng.randint(1, 500))))
        ends = at + timedelta(minutes=rng.randint(1, 500))
        is_open = n == count - 1 and rng.random() < 0.5
        where = rng.choice((EVERYWHERE, LOANS, ELSEWHERE))
        yield Activation(policy, f"{rng.randint(0, 5):064x}", mode, at, None if is_open else ends, where)
        at = ends


def brute_force(activations: Iterable[Activation], place: tuple[str, str, str], at: datetime) -> InForce:
    system, environment, task = place
    return policy_set(
        a
        for a in activations
        if a.starts <= at and (a.ends is None or at < a.ends) and a.applies(system, environment, task)
    )


@pytest.mark.parametrize("seed", range(10))
def test_ten_thousand_activations_resolve_as_by_brute_force(seed: int) -> None:
    rng = random.Random(seed)
    lanes = [(f"policy-{n}", mode) for n in range(5) for mode in Mode.values]
    activations = [a for name, mode in lanes for a in lane(rng, name, mode, TEN_THOUSAND // 10 // len(lanes))]
    assert len(activations) * 10 == TEN_THOUSAND
    rng.shuffle(activations)
    timeline = Timeline(activations)
    edges = [a.starts for a in activations] + [a.ends for a in activations if a.ends]
    moments = [rng.choice(edges) + timedelta(microseconds=rng.choice((-1, 0, 1))) for _ in range(150)]
    for at in [*moments, ORIGIN - timedelta(days=1), ORIGIN + timedelta(days=9_999)]:
        for place in (HERE, ("claims", "staging", ""), ("", "", "")):
            found, expected = timeline.in_force(*place, at), brute_force(activations, place, at)
            assert (found.sha256, found.members) == (expected.sha256, expected.members)
            assert (found.enforced, found.shadow) == (expected.enforced, expected.shadow)


MINUTES = st.integers(0, 60)


@st.composite
def timelines(draw: Any) -> list[Activation]:
    """A few versions of two policies one after the other, at round minutes, so that edges coincide."""
    made = []
    for policy in ("a", "b"):
        cuts = sorted(set(draw(st.lists(MINUTES, min_size=2, max_size=6))))
        for n, (start, end) in enumerate(pairwise(cuts)):
            if draw(st.booleans()):
                starts, ends = (ORIGIN + timedelta(minutes=minute) for minute in (start, end))
                made.append(Activation(policy, f"{policy}{n}".ljust(64, "0"), "enforce", starts, ends, EVERYWHERE))
    return made


def brute_match(known: list[Activation], claim: bytes | None, at: datetime) -> str:
    """The definition: match if it holds now, else stale if it held before, else future if it will, else unknown."""
    held = {m: brute_force(known, HERE, ORIGIN + timedelta(minutes=m)).sha256 for m in range(-1, 62)}
    effective = brute_force(known, HERE, at).sha256
    if claim is None:
        return "none"
    if claim == effective:
        return "match"
    if any(sha == claim for m, sha in held.items() if ORIGIN + timedelta(minutes=m) <= at):
        return "stale"
    return "future" if claim in held.values() else "unknown"


@settings(deadline=None, max_examples=60)
@given(timelines(), MINUTES, st.integers(-1, 61), st.sampled_from(["held", "none", "invented"]))
def test_a_claim_is_matched_as_defined(known: list[Activation], minute: int, claimed_of: int, kind: str) -> None:
    at = ORIGIN + timedelta(minutes=minute)
    claim = {
        "held": brute_force(known, HERE, ORIGIN + timedelta(minutes=claimed_of)).sha256,
        "none": None,
        "invented": bytes(32),
    }[kind]
    place = dict(zip(("system", "environment", "task"), HERE, strict=True))
    (item,) = validate([a_decision(**place, policy_claim=f"sha256:{claim.hex()}" if claim else None)])
    judgement = judge(item.typed, item.raw, at, Timeline(known))
    assert judgement.match == brute_match(known, claim, at)
    assert judgement.in_force.sha256 == brute_force(known, HERE, at).sha256


def test_what_comes_late_is_judged_by_its_own_time_and_flagged(cast: Cast) -> None:
    empty = policy_set([]).sha256
    put_in_force(cast, a_document())
    now = datetime.now(UTC)
    claim = f"sha256:{empty.hex()}"
    cases = [(timedelta(0), False, "stale")]
    cases += [(LATE_AFTER - timedelta(minutes=1), False, "match"), (LATE_AFTER + timedelta(minutes=1), True, "match")]
    ids = [submit(cast, 1, occurred_at=(now - age).isoformat(), policy_claim=claim)[0] for age, _, _ in cases]
    with tenant_atomic(cast.tenant.pk):
        rows = Decision.objects.in_bulk(ids)
    assert [(rows[pk].late, rows[pk].policy_match) for pk in ids] == [(late, match) for _, late, match in cases]


def overlaps(one: DateTimeTZRange, other: DateTimeTZRange) -> bool:
    return bool((other.upper is None or one.lower < other.upper) and (one.upper is None or other.lower < one.upper))


def a_range(rng: random.Random, now: datetime) -> DateTimeTZRange:
    start = now + timedelta(minutes=rng.randint(1, 3_000))
    return DateTimeTZRange(start, start + timedelta(minutes=rng.randint(1, 90)) if rng.random() < 0.98 else None)


def try_to_activate(version: PolicyVersion, mode: str, effective: DateTimeTZRange) -> bool:
    try:
        with transaction.atomic():
            PolicyActivation.objects.create(policy=version.policy, version=version, mode=mode, effective=effective)
    except IntegrityError:
        return False
    return True


def test_the_database_holds_no_overlap_and_refuses_nothing_else(cast: Cast) -> None:
    rng, now = random.Random(4), datetime.now(UTC)
    author = cast.actors[Role.POLICY_AUTHOR]
    versions = [draft_version(by=author, source=a_document(f"p{n}")) for n in range(3)]
    held: dict[tuple[Any, str], list[DateTimeTZRange]] = {}
    with tenant_atomic(cast.tenant.pk):
        for _ in range(800):
            version, mode, effective = rng.choice(versions), rng.choice(Mode.values), a_range(rng, now)
            lane_of = held.setdefault((version.pk, mode), [])
            is_free = not any(overlaps(effective, other) for other in lane_of)
            assert try_to_activate(version, mode, effective) == is_free
            lane_of += [effective] * is_free
        assert PolicyActivation.objects.count() == sum(map(len, held.values())) > 100
        Tenant.objects.filter(pk=cast.tenant.pk).update(policy_epoch=99)
        timeline = timeline_of(cast.tenant.pk)
        for _ in range(40):
            at = now + timedelta(minutes=rng.randint(0, 3_200))
            believed = {(a.policy.slug, a.mode, bytes(a.version.sha256).hex()) for a in in_force_at(at)}
            assert believed == members(timeline, at)
            assert len(believed) == sum(at in effective for lane_of in held.values() for effective in lane_of)


def members(timeline: Timeline, at: datetime) -> set[tuple[str, str, str]]:
    found = timeline.in_force(*HERE, at)
    modes = (("enforce", found.enforced), ("shadow", found.shadow))
    return {(policy.name, mode, policy.sha256) for mode, policies in modes for policy in policies}
