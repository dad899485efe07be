"""What a request costs, and whose buckets pay: told by the code that finds out, settled when the request is over.

A key that writes pays by the record: a request costs as many units as it brings records, or started 16 KiB of body, and
at least one. Any other key pays by the request and its time: one unit for each started 50 ms, for the work that a heavy
question makes is not seen from outside.
"""

import math
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from django.conf import settings

from tenants.limits import UNLIMITED, Quota, Standing, limiter

UNIT_BYTES = 16 * 1024
UNIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Plan:
    """The buckets of a key: its own and its tenant's."""

    quotas: tuple[Quota, ...] = ()
    is_timed: bool = False


class OverLimit(Exception):
    """A bucket is empty; `retry_after` seconds from now it holds something again."""

    def __init__(self, standing: Standing) -> None:
        name = standing.quota.name if standing.quota else "tenant"
        super().__init__(f"The limit of this {name} is used up; wait as Retry-After says.")
        self.retry_after = standing.retry_after


@dataclass(slots=True)
class Meter:
    """One request's: who pays, and how much by now."""

    plan: Plan = field(default_factory=Plan)
    cost: int = 0
    idle: float = 0.0  # seconds that cost nobody anything
    started_at: float = field(default_factory=time.monotonic)
    refused: Standing | None = None

    def settle(self) -> dict[str, str]:
        """Let the buckets pay; the headers that tell how they stand."""
        on = limiter()
        if on is None or not self.plan.quotas:
            return {}
        if self.refused is not None:
            return self.refused.headers(self.plan.quotas)
        cost = self.cost
        if self.plan.is_timed:
            cost = max(cost, math.ceil((time.monotonic() - self.started_at - self.idle) / UNIT_SECONDS))
        return on.spend(self.plan.quotas, cost).headers(self.plan.quotas)


_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metered() -> Iterator[Meter]:
    """Meter what runs inside; the caller settles."""
    meter = Meter()
    token = _meter.set(meter)
    try:
        yield meter
    finally:
        _meter.reset(token)


def plan_for(
    *, tenant_id: uuid.UUID, key_id: uuid.UUID, writes: bool, records: int | None, requests: int | None
) -> Plan:
    """The buckets of a key. `records` and `requests` are the tenant's own limits; None: the settings', 0: none.

    All are units a second. One key may use `AFFIDAVIT_RATE_KEY_SHARE` per cent of its tenant's, so that a program that
    ran wild leaves the others some.
    """
    own, usual = (records, settings.AFFIDAVIT_RATE_RECORDS) if writes else (requests, settings.AFFIDAVIT_RATE_REQUESTS)
    rate = usual if own is None else own
    if rate <= 0:
        return Plan()
    kind = "records" if writes else "requests"
    share = max(1, rate * settings.AFFIDAVIT_RATE_KEY_SHARE // 100)
    # The braces keep a tenant's buckets together where Redis is a cluster.
    key = Quota("key", f"{{{tenant_id}}}:{kind}:{key_id}", share)
    return Plan((key, Quota("tenant", f"{{{tenant_id}}}:{kind}", rate)), is_timed=not writes)


def admit(plan: Plan) -> None:
    """Let the request in, which from now on costs one unit; raises `OverLimit`."""
    on = limiter()
    if on is None or not plan.quotas:
        return
    standing = on.admit(plan.quotas)
    meter = _meter.get()
    if meter is not None:
        meter.plan, meter.cost = plan, 1
    if standing is not UNLIMITED and not standing.is_allowed:
        if meter is not None:
            meter.refused = standing
        raise OverLimit(standing)


def cost_records(number: int) -> None:
    """The request brings so many records."""
    if meter := _meter.get():
        meter.cost = max(meter.cost, number)


def cost_bytes(number: int) -> None:
    """The request brings so much to be read."""
    cost_records(-(-number // UNIT_BYTES))


def cost_nothing(seconds: float) -> None:
    """So much of the request's time was spent waiting for nothing of ours."""
    if meter := _meter.get():
        meter.idle += seconds
