"""Rollups say what a count from scratch says, whatever came late, twice, at once, or crashed."""

import io
import os
import random
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connections
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tenants.context import tenant_atomic
from tests.factories.tenants import Cast, make_cast
from tests.factories.traces import a_decision, submit, submit_each
from traces import rows
from traces.costs import rollups
from traces.costs.rollups import MEASURES, drop_old_minutes, minutes_from, rebuild, roll_up
from traces.models import Decision, RollupQueue, SubjectRollup, UsageRollup

NOW = datetime.now(UTC)
MODELS = ("gpt-4o", "gpt-5-mini", "nobody-knows")
Counted = dict[tuple[Any, ...], Counter[str]]


def some_decision(rng: random.Random) -> dict[str, Any]:
    """Anything from a minute ago to forty days late, priced or not."""
    late = rng.choice([timedelta(minutes=rng.random() * 90), timedelta(days=rng.random() * 40)])
    tokens = rng.randint(0, 5_000)
    return a_decision(
        external_id=f"x-{rng.randint(1, 40)}" if rng.random() < 0.3 else None,
        occurred_at=(NOW - late).isoformat(),
        system=rng.choice(["loans", "claims"]),
        user=rng.choice(["u-1", "u-2", None]),
        session=rng.choice(["s-1", None]),
        model={"provider": "openai", "name": rng.choice(MODELS)},
        usage={"input_tokens": tokens, "output_tokens": tokens // 7, "cache_read_tokens": tokens // 3},
        metadata={"cache_hit": rng.random() < 0.1},
    )


def from_scratch() -> tuple[Counted, Counted]:
    """What the rollups must say, counted in Python from the decisions themselves."""
    places: Counted = {}
    subjects: Counted = {}
    for decision in Decision.objects.select_related("model_version"):
        measures = measures_of(decision)
        for grain, at in buckets_of(decision.occurred_at):
            key = (grain, at, decision.deployment_id, decision.currency or "")
            place = (*key, decision.model_version_id, decision.source_id, decision.agent, decision.outcome)
            places.setdefault(place, Counter()).update(measures)
            for kind, value in ((1, decision.user), (2, decision.session)):
                if value:
                    subjects.setdefault((*key, kind, value), Counter()).update(measures)
    return places, subjects


def measures_of(decision: Decision) -> dict[str, int]:
    names = [name for name in MEASURES if name not in ("n", "n_unpriced", "n_cached", "restated_micros")]
    return {
        "n": 1,
        "n_unpriced": int(decision.cost_micros is None),
        "n_cached": int(decision.cost_micros == 0 and (decision.saved_micros or 0) > 0),
        "restated_micros": 0,
    } | {name: getattr(decision, name) or 0 for name in names}


def buckets_of(at: datetime) -> list[tuple[int, datetime]]:
    minute = at.replace(second=0, microsecond=0)
    found = [(2, minute.replace(minute=0)), (3, minute.replace(hour=0, minute=0))]
    return [*found, (1, minute)] if at >= minutes_from(NOW) else found


def stored() -> tuple[Counted, Counted]:
    places = {
        (r.grain, r.bucket, r.deployment_id, r.currency, r.model_version_id, r.source_id, r.agent, r.outcome): counted(
            r
        )
        for r in UsageRollup.objects.all()
    }
    subjects = {
        (r.grain, r.bucket, r.deployment_id, r.currency, r.kind, r.value): counted(r)
        for r in SubjectRollup.objects.all()
    }
    return places, subjects


def counted(row: UsageRollup | SubjectRollup) -> Counter[str]:
    return Counter({name: getattr(row, name) for name in MEASURES})


def assert_counted(tenant_id: uuid.UUID) -> None:
    with tenant_atomic(tenant_id):
        assert stored() == from_scratch()
        assert not RollupQueue.objects.exists()


class Killed(BaseException):
    """What a crash looks like from inside: nothing after it runs."""


def crash_in(where: str) -> Callable[..., Any]:
    """A cursor wrapper that dies before or after the statement that counts."""

    def wrapper(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if "WITH taken" not in str(sql):
            return execute(sql, params, many, context)
        if where == "after":
            execute(sql, params, many, context)
        raise Killed

    return wrapper


@hypothesis_settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**6), steps=st.lists(st.sampled_from(["submit", "roll", "crash", "rebuild"]), max_size=7))
def test_rollups_are_a_recount(seed: int, steps: list[str]) -> None:
    cast, rng = make_cast(), random.Random(seed)
    for step in ["submit", *steps]:
        if step == "submit":
            submit_unlike(cast, [some_decision(rng) for _ in range(rng.randint(1, 30))])
        elif step == "roll":
            roll_up(cast.tenant.pk, now=NOW, batch=rng.choice([1, 7, 1_000]))
        elif step == "rebuild":
            rebuild(cast.tenant.pk, now=NOW)
        else:
            with (
                connections["default"].execute_wrapper(crash_in(rng.choice(["before", "after"]))),
                pytest.raises(Killed),
            ):
                roll_up(cast.tenant.pk, now=NOW)
    roll_up(cast.tenant.pk, now=NOW)
    assert_counted(cast.tenant.pk)


def submit_unlike(cast: Cast, decisions: list[dict[str, Any]]) -> None:
    """Submit; of those with one identity only the first, and then again, as a client that retries does."""
    first = {one.get("external_id") or uuid.uuid4(): one for one in reversed(decisions)}
    with tenant_atomic(cast.tenant.pk):
        known = set(Decision.objects.exclude(external_id="").values_list("external_id", flat=True))
    fresh = [one for one in first.values() if one.get("external_id") not in known]
    again = [one for one in fresh if one.get("external_id")]
    if fresh:
        submit_each(cast, fresh)
    if again:
        submit_each(cast, again)


VICTIM = """
import sys, time, uuid, django
from django.conf import settings
django.setup()
from django.core.management import CommandError, call_command
from django.db import connections
for alias in connections:
    connections[alias].settings_dict["NAME"] = sys.argv[2]
from tenants.context import tenant_atomic
from traces.costs.rollups import roll_up
with tenant_atomic(uuid.UUID(sys.argv[1])):
    print(roll_up(uuid.UUID(sys.argv[1])), flush=True)
    time.sleep(60)
"""


def test_kill_9_in_the_middle_changes_nothing(cast: Cast) -> None:
    submit(cast, 20, occurred_at=NOW.isoformat())
    name = settings.DATABASES["default"]["NAME"]
    arguments = [sys.executable, "-c", VICTIM, str(cast.tenant.pk), name]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=os.environ) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline().strip() == b"20", "it has counted, and has not committed"
        os.kill(victim.pid, signal.SIGKILL)
    with tenant_atomic(cast.tenant.pk):
        assert RollupQueue.objects.count() == 20
        assert not UsageRollup.objects.exists()
    assert roll_up_when_free(cast.tenant.pk) == 20
    assert_counted(cast.tenant.pk)


def roll_up_when_free(tenant_id: uuid.UUID) -> int:
    """The server notices a dead client when it next speaks to it: until then its lock may still be held."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"rollup {tenant_id}"])
        cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [f"rollup {tenant_id}"])
    return roll_up(tenant_id, now=NOW)


def test_of_two_at_once_the_second_leaves(cast: Cast) -> None:
    submit(cast, 3)
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"rollup {cast.tenant.pk}"])
        assert roll_up(cast.tenant.pk) == 0
        cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [f"rollup {cast.tenant.pk}"])
    assert roll_up(cast.tenant.pk) == 3


def test_a_decision_that_is_refused_is_not_in_the_queue(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("traces.rows.QUEUE", replace(rows.QUEUE, table="nowhere"))
    with pytest.raises(ProgrammingError, match="nowhere"):
        submit(cast, 2)
    assert roll_up(cast.tenant.pk) == 0


def test_old_minutes_go_and_their_hours_stay(cast: Cast) -> None:
    submit(cast, 2, occurred_at=NOW.isoformat())
    roll_up(cast.tenant.pk, now=NOW)
    drop_old_minutes(cast.tenant.pk, now=NOW + rollups.MINUTES_KEPT + timedelta(minutes=2))
    with tenant_atomic(cast.tenant.pk):
        assert set(UsageRollup.objects.values_list("grain", flat=True)) == {2, 3}
        assert set(SubjectRollup.objects.values_list("grain", flat=True)) == {2, 3}


def test_an_absurd_record_does_not_stop_the_counting(cast: Cast) -> None:
    usage = {"input_tokens": 2**53 - 1, "output_tokens": 2**53 - 1}
    for _ in range(2):
        submit(cast, 700, usage=usage)
        assert roll_up(cast.tenant.pk) == 700
    with tenant_atomic(cast.tenant.pk):
        assert set(UsageRollup.objects.values_list("input_tokens", flat=True)) == {2**63 - 1}


def test_nobody_else_is_counted(cast: Cast, stranger: Cast) -> None:
    submit(cast, 2)
    submit(stranger, 3)
    assert roll_up(cast.tenant.pk) == 2
    with tenant_atomic(stranger.tenant.pk):
        assert not UsageRollup.objects.exists()
        assert RollupQueue.objects.count() == 3


def test_an_operator_can_have_everything_counted_again(cast: Cast) -> None:
    submit(cast, 3)
    roll_up(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk):
        UsageRollup.objects.filter(grain=2).delete()
    said = io.StringIO()
    call_command("rebuild_usage", cast.tenant.slug, stdout=said)
    assert said.getvalue().strip() == "3 records counted."
    assert_counted(cast.tenant.pk)
    with pytest.raises(CommandError):
        call_command("rebuild_usage", "nobody-at-all")
