"""Backtests over stored decisions: what they find, that they find it again, and that nothing stops them for long."""

import socket
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from policies.backtests import cancel_backtest, record_chunk, start_backtest
from policies.models import PolicyBacktest, PolicyVersion
from policies.services import draft_version
from tenants.context import tenant_atomic
from tenants.ids import uuid7_now
from tenants.ledger.canonical import parse_strict
from tenants.models import LedgerEvent
from tenants.roles import Role
from tests.factories.erasures import erase_decision
from tests.factories.policies import a_document, put_in_force
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit_each
from traces import backtesting, tasks
from traces.models import DecisionPayload

LONG = "x" * 101


def start(cast: Cast, version: PolicyVersion, **window: Any) -> PolicyBacktest:
    now = datetime.now(UTC)
    by = cast.actors[Role.POLICY_AUTHOR]
    return start_backtest(
        by=by, version=version, **({"since": datetime(2026, 1, 1, tzinfo=UTC), "until": now} | window)
    )


def candidate(cast: Cast, source: str | None = None) -> PolicyVersion:
    return draft_version(by=cast.actors[Role.POLICY_AUTHOR], source=source or a_document())


def fresh(backtest: PolicyBacktest) -> PolicyBacktest:
    with tenant_atomic(backtest.tenant_id):
        return PolicyBacktest.objects.select_related("version__policy").get(pk=backtest.pk)


def finished(backtest: PolicyBacktest, size: int = 1_000) -> dict[str, Any]:
    while backtesting.run_chunk(backtest.tenant_id, size):
        pass
    row = fresh(backtest)
    assert (row.state, row.message) == ("done", "")
    return dict(parse_strict(bytes(row.result)))


def history(cast: Cast, n: int = 12) -> list[Any]:
    """Every third answer is long; they come from two systems and two models."""
    model = {"provider": "openai"}
    return submit_each(
        cast,
        [
            a_decision(
                output=LONG if i % 3 == 0 else "short",
                system="loans" if i % 2 else "claims",
                model=model | {"name": "a" if i < n / 2 else "b"},
                occurred_at=(datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=i)).isoformat(),
            )
            for i in range(n)
        ],
    )


def test_flips_are_counted_by_segment_with_examples(cast: Cast) -> None:
    ids = [str(pk) for pk in history(cast)]
    result = finished(start(cast, candidate(cast)))
    assert (result["decisions"], result["flips"], result["erased"]) == (12, 4, 0)
    assert result["matrix"] == [["allow", "allow", 8], ["allow", "block", 4]]
    assert result["examples"] == [["allow", "block", ids[::3]]]
    assert result["rules"] == [["too-long", 4]]
    assert result["errors"] == []
    assert (result["withheld"]["decisions"], result["withheld"]["tokens"]) == (4, 4 * (812 + 96))
    assert result["released"]["decisions"] == 0
    flips = {(s["system"], s["model"]): (s["decisions"], s["flips"]) for s in result["segments"]}
    assert flips["claims", "a"] == (3, [["allow", "block", 1, [ids[0]]]])
    assert flips["loans", "b"] == (3, [["allow", "block", 1, [ids[9]]]])
    assert {s["environment"] for s in result["segments"]} == {"production"}


def test_what_another_policy_blocked_stays_blocked(cast: Cast) -> None:
    put_in_force(cast, a_document("other"))
    put_in_force(cast, a_document("short-answers", limit=50))
    after = datetime.now(UTC).isoformat()
    submit_each(cast, [a_decision(output=text, occurred_at=after) for text in (LONG, "x" * 60, "x")])
    looser = candidate(cast, a_document("short-answers", limit=10_000))
    result = finished(start(cast, looser, until=datetime.now(UTC)))
    assert result["matrix"] == [["allow", "allow", 1], ["block", "allow", 1], ["block", "block", 1]]
    assert (result["released"]["decisions"], result["withheld"]["decisions"]) == (1, 0)


def test_two_runs_are_the_same_bytes_and_no_socket_is_opened(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    history(cast, 30)
    version = candidate(cast)

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("A replay reaches nothing outside.")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    first, second = start(cast, version), start(cast, version)
    finished(first, 7)
    finished(second, 1_000)
    one, two = fresh(first), fresh(second)
    assert bytes(one.result) == bytes(two.result)
    assert bytes(one.sha256) == bytes(two.sha256) != b""
    with tenant_atomic(cast.tenant.pk):
        events = LedgerEvent.objects.filter(tag="backtest.finished")
        hashes = [parse_strict(bytes(event.body))["result_sha256"] for event in events]
    assert hashes == [bytes(one.sha256).hex()] * 2


class Killed(BaseException):
    """As `kill -9` looks from inside: nothing is caught, nothing is cleaned up."""


@pytest.mark.parametrize("dies_before_saving", [True, False])
def test_a_killed_runner_is_followed_by_one_that_goes_on(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, dies_before_saving: bool
) -> None:
    history(cast, 20)
    version = candidate(cast)
    expected = finished(start(cast, version))
    disturbed = start(cast, version)
    calls: list[str] = []

    def dying(**kwargs: Any) -> bool:
        calls.append(kwargs["cursor"])
        if len(calls) == 3 and dies_before_saving:
            raise Killed
        is_saved = record_chunk(**kwargs)
        if len(calls) == 3:
            raise Killed
        return is_saved

    monkeypatch.setattr(backtesting, "record_chunk", dying)
    with pytest.raises(Killed):
        finished(disturbed, 3)
    assert (fresh(disturbed).processed, fresh(disturbed).state, fresh(disturbed).total) == (6, "running", 20)
    history(cast, 5)  # what comes in meanwhile was not asked for
    assert finished(disturbed, 3) == expected
    assert calls[3] == calls[2]


def test_runners_side_by_side_count_nothing_twice(cast: Cast) -> None:
    history(cast, 40)
    backtest = start(cast, candidate(cast))

    def run() -> None:
        try:
            for _ in range(40):
                backtesting.run_chunk(cast.tenant.pk, 2)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert finished(backtest, 2)["decisions"] == 40


def test_a_window_and_a_system_narrow_it(cast: Cast) -> None:
    history(cast)
    version = candidate(cast)
    half = datetime(2026, 11, 1, 0, 6, tzinfo=UTC)
    assert finished(start(cast, version, system="loans"))["decisions"] == 6
    assert finished(start(cast, version, since=half))["decisions"] == 6
    assert finished(start(cast, version, until=half, system="loans"))["decisions"] == 3
    assert finished(start(cast, version, system="nobody's"))["decisions"] == 0
    with pytest.raises(ValidationError, match="window"):
        start(cast, version, until=datetime.now(UTC) + timedelta(minutes=1))


def test_errors_are_counted_and_erased_content_is_left_out(cast: Cast) -> None:
    ids = history(cast)
    for pk in ids[:2]:
        erase_decision(cast, pk)
    version = candidate(cast, a_document().replace("output.length > 100", "outcome.score > 0.5"))
    result = finished(start(cast, version))
    assert (result["decisions"], result["erased"]) == (10, 2)
    assert result["errors"] == [["too-long", "missing_fact", 10]]
    assert result["matrix"] == [["allow", "error_fail_closed", 10]]


def test_a_cancelled_one_stops_before_its_next_chunk(cast: Cast) -> None:
    history(cast)
    backtest = start(cast, candidate(cast))
    assert backtesting.run_chunk(cast.tenant.pk, 5)
    cancel_backtest(by=cast.actors[Role.POLICY_AUTHOR], backtest=backtest)
    assert not backtesting.run_chunk(cast.tenant.pk, 5)
    assert (fresh(backtest).state, fresh(backtest).processed) == ("cancelled", 5)


def test_altered_content_fails_it_and_says_so(cast: Cast) -> None:
    (pk, *_) = history(cast)
    with tenant_atomic(cast.tenant.pk, using="owner"):
        row = DecisionPayload.objects.using("owner").get(pk=pk)
        DecisionPayload.objects.using("owner").filter(pk=pk).update(sealed=bytes(row.sealed)[:-1] + b"\0")
    backtest = start(cast, candidate(cast))
    backtesting.run_chunk(cast.tenant.pk)
    assert fresh(backtest).state == "failed"
    assert "cannot be replayed" in fresh(backtest).message


def test_the_task_serves_every_tenant(cast: Cast, stranger: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "tenant_ids", lambda: [cast.tenant.pk, stranger.tenant.pk])
    history(cast, 3)
    mine, theirs = start(cast, candidate(cast)), start(stranger, candidate(stranger))
    tasks.run_backtests()
    assert (fresh(mine).processed, fresh(theirs).processed) == (3, 0)
    assert {fresh(mine).state, fresh(theirs).state} == {"done"}


def test_a_place_is_read_as_it_was_written() -> None:
    for at in (datetime(1999, 5, 1, 3, 4, 5, 678, tzinfo=UTC), datetime(2026, 11, 1, 1, 1, 1, 999_999, tzinfo=UTC)):
        place = backtesting.Place(at, uuid7_now())
        assert backtesting.Place.parse(str(place)) == place
        assert len(str(place)) <= 64
