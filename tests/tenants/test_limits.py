"""Token buckets on a real Redis, shared by two processes' limiters."""

import socket
import time
import uuid
from typing import Any

import pytest
import redis
from django.conf import settings

from tenants.limits import BURST_SECONDS, Limiter, Quota, impatient


def process() -> Limiter:
    return Limiter(impatient(settings.REDIS_URL), counter=f"test:{uuid.uuid4()}")


def quota(rate: int, name: str = "tenant") -> Quota:
    return Quota(name, str(uuid.uuid4()), rate)


def passed(on: Limiter, quotas: list[Quota], times: int, cost: int = 1) -> int:
    """How many of so many requests were let in, each paid for."""
    n = 0
    for _ in range(times):
        if on.admit(quotas).is_allowed:
            on.spend(quotas, cost)
            n += 1
    return n


def asked(on: Limiter, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each round trip."""
    trips: list[int] = []
    settle: Any = on._settle

    def counting(**given: Any) -> Any:
        trips.append(1)
        return settle(**given)

    monkeypatch.setattr(on, "_settle", counting)
    return trips


def test_a_bucket_gives_what_it_holds_and_fills_at_its_rate() -> None:
    on, quotas = process(), [quota(20)]
    started = time.monotonic()
    first = passed(on, quotas, 400)
    took = time.monotonic() - started
    assert 20 * BURST_SECONDS <= first <= 20 * (BURST_SECONDS + took) + 4
    time.sleep(0.5)
    assert 8 <= passed(on, quotas, 400) <= 20 * (0.5 + took) + 8


def test_two_processes_share_a_bucket() -> None:
    one, two, quotas = process(), process(), [quota(5)]
    started = time.monotonic()
    together = passed(one, quotas, 30) + passed(two, quotas, 60)
    share = 5 * BURST_SECONDS / 50
    assert 50 <= together <= 50 + 5 * (time.monotonic() - started) + 2 * share + 1


def test_a_batch_larger_than_what_is_left_is_taken_and_the_debt_waited_for() -> None:
    on, quotas = process(), [quota(10)]
    assert passed(on, quotas, 3, cost=80) == 2  # 160 of 100
    standing = on.admit(quotas)
    assert not standing.is_allowed
    assert standing.retry_after == 7  # 61 units at 10 a second
    assert standing.headers(quotas) == {"RateLimit-Policy": '"tenant";q=100;w=10', "RateLimit": '"tenant";r=0;t=16'}


def test_a_debt_never_outgrows_a_bucket() -> None:
    on, quotas = process(), [quota(10)]
    passed(on, quotas, 1, cost=1_000_000)
    time.sleep(0.3)
    assert on.admit(quotas).retry_after <= BURST_SECONDS + 1


def test_a_tenants_keys_share_its_bucket_and_a_neighbour_feels_nothing() -> None:
    on, tenant, neighbour = process(), quota(4), quota(4)
    assert 30 <= passed(on, [quota(3, "key"), tenant], 60) <= 33  # the key's own is used up first
    assert 10 <= passed(on, [quota(3, "key"), tenant], 60) <= 13  # another key gets what the tenant has left
    assert on.admit([quota(3, "key"), tenant]).quota == tenant
    assert passed(on, [quota(3, "key"), neighbour], 20) == 20


def test_a_limit_that_was_lowered_binds_at_once() -> None:
    on, before = process(), quota(1_000)
    passed(on, [before], 50)
    after = Quota(before.name, before.subject, 2)
    assert 20 <= passed(on, [after], 60) <= 23


def test_most_requests_and_refusals_cost_no_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    on, quotas = process(), [quota(750, "key"), quota(1_000)]
    trips = asked(on, monkeypatch)
    passed(on, quotas, 7_000)
    assert len(trips) <= 7_000 / 150 + 3  # a fiftieth of a bucket is 150
    passed(on, quotas, 2_000)
    before = len(trips)
    assert passed(on, quotas, 3_000) < 1_500
    assert len(trips) - before < 40


def test_refusals_are_counted_for_all_processes() -> None:
    on, quotas = process(), [quota(1)]
    refused = 100 - passed(on, quotas, 100)
    time.sleep(0.3)
    on.admit(quotas)
    counted: Any = redis.Redis.from_url(settings.REDIS_URL).get(on.counter)
    assert int(counted) == refused > 80


def test_without_redis_requests_pass_and_do_not_wait() -> None:
    on, quotas = Limiter(impatient("redis://127.0.0.1:1/0")), [quota(1)]
    started = time.monotonic()
    assert passed(on, quotas, 2_000) == 2_000
    assert time.monotonic() - started < 1
    assert on.admit(quotas).headers(quotas) == {}


def test_a_redis_that_hangs_costs_one_wait_and_a_pause() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        on = Limiter(impatient(f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"))
        started = time.monotonic()
        assert passed(on, [quota(1)], 500) == 500
        assert time.monotonic() - started < 1


def test_a_fault_of_the_limit_refuses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    on = process()
    monkeypatch.setattr(on, "_settle", lambda **_: ["no number", "none"])
    assert passed(on, [quota(1)], 30) == 30
