"""Both times of the record: whatever is done to a policy, what was believed before can still be asked."""

import itertools
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from policies import activations
from policies.activations import in_force_at
from policies.models import Mode, PolicyActivation, PolicyVersion
from policies.services import NotPossible
from policies.timeline import Timeline, timeline_of
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.policies import a_document, approved
from tests.factories.tenants import Cast

HOUR = timedelta(hours=1)
Belief = dict[datetime, set[tuple[object, str]]]


def beliefs(cast: Cast, moments: list[datetime], known_at: datetime | None = None) -> Belief:
    with tenant_atomic(cast.tenant.pk):
        return {at: {(a.version_id, a.mode) for a in in_force_at(at, known_at=known_at)} for at in moments}


def steps(rng: random.Random, by: Actor, known: list[PolicyVersion]) -> list[Callable[[], object]]:
    """What may happen next; the table refuses what does not fit."""
    version = rng.choice(known[-3:])
    newest, later = known[-1], datetime.now(UTC) + rng.randint(1, 10) * HOUR
    return [
        lambda: activations.activate_version(by=by, version=newest),
        lambda: activations.activate_version(by=by, version=newest, starts=later),
        lambda: activations.activate_version(by=by, version=newest, mode=Mode.SHADOW),
        lambda: activations.cancel_activation(by=by, version=newest),
        lambda: activations.cancel_activation(by=by, version=version),
        lambda: activations.suspend_version(by=by, version=version, reason="r"),
        lambda: activations.resume_version(by=by, version=version, reason="r"),
        lambda: activations.retire_version(by=by, version=version),
        lambda: activations.break_glass(by=by, version=version, reason="r", lasts=rng.randint(1, 9) * HOUR),
    ]


def take_one(rng: random.Random, by: Actor, known: list[PolicyVersion]) -> None:
    """Some step that the state allows."""
    possible = steps(rng, by, known)
    rng.shuffle(possible)
    for step in possible:
        with suppress(NotPossible):
            step()
            return


@pytest.mark.parametrize("seed", range(4))
def test_what_was_believed_can_be_asked_for_ever_after(cast: Cast, seed: int) -> None:
    rng, by, start = random.Random(seed), cast.actors[Role.POLICY_APPROVER], datetime.now(UTC)
    moments = [start + n * HOUR * 1.3 for n in range(9)]
    known = [approved(cast, a_document(limit=1))]
    remembered: list[tuple[datetime, Belief]] = []
    for n in range(12):
        if n % 4 == 3:
            known.append(approved(cast, a_document(limit=n)))
        take_one(rng, by, known)
        remembered.append((datetime.now(UTC), beliefs(cast, moments)))
        assert what_resolves_decisions(cast, moments[-1]) == {sha for _, sha in in_force(cast, moments[-1])}
    for known_at, believed in remembered:
        assert beliefs(cast, moments, known_at) == believed
    with tenant_atomic(cast.tenant.pk):
        assert no_overlap(list(PolicyActivation.objects.filter(cancelled_at__isnull=True)))


def test_an_end_that_moved_twice_is_remembered_both_times(cast: Cast) -> None:
    by = cast.actors[Role.POLICY_APPROVER]
    first = approved(cast, a_document(limit=1))
    activations.activate_version(by=by, version=first)
    remembered = [datetime.now(UTC)]
    soon, afterwards = remembered[0] + HOUR, remembered[0] + 2 * HOUR
    second = approved(cast, a_document(limit=2))
    activations.activate_version(by=by, version=second, starts=soon)
    remembered.append(datetime.now(UTC))
    activations.suspend_version(by=by, version=first, reason="it blocks everything")
    remembered.append(datetime.now(UTC))
    moments = [soon - HOUR / 2, afterwards]
    told = [beliefs(cast, moments, known_at) for known_at in remembered]
    enforced = [[{pk for pk, _ in belief[at]} for at in moments] for belief in told]
    assert enforced == [[{first.pk}, {first.pk}], [{first.pk}, {second.pk}], [set(), {second.pk}]]


def in_force(cast: Cast, at: datetime) -> set[tuple[str, str]]:
    with tenant_atomic(cast.tenant.pk):
        return {(a.mode, bytes(a.version.sha256).hex()) for a in in_force_at(at)}


def what_resolves_decisions(cast: Cast, at: datetime) -> set[str]:
    with tenant_atomic(cast.tenant.pk):
        return resolved(timeline_of(cast.tenant.pk), at)


def resolved(timeline: Timeline, at: datetime) -> set[str]:
    found = timeline.in_force("s", "e", "t", at)
    return {policy.sha256 for policy in (*found.enforced, *found.shadow)}


def no_overlap(rows: list[PolicyActivation]) -> bool:
    lanes: dict[tuple[object, str], list[PolicyActivation]] = {}
    for row in sorted(rows, key=lambda row: row.effective.lower):
        lanes.setdefault((row.policy_id, row.mode), []).append(row)
    return all(
        one.effective.upper is not None and one.effective.upper <= other.effective.lower
        for lane in lanes.values()
        for one, other in itertools.pairwise(lane)
    )
