"""How much a key and a tenant may ask of the instance: token buckets in Redis, for all processes together.

A bucket holds `BURST_SECONDS` of its rate and fills at that rate. A request is let in while its buckets hold anything
and pays afterwards what it cost (`tenants.metering`): no batch is too large to ever be taken, and a debt is waited for.

Each process spends from what Redis last told it and settles with one atomic script, once it has spent a `SHARE` of a
bucket: most requests cost no round trip, and processes together pass a limit by a few such shares at most.

Whatever goes wrong here, requests pass. A limit keeps neighbours from each other's noise; a record that it lost would
be a worse harm than the noise. The push-back of the ledger's queue, which the database counts, holds on without Redis.
"""

import functools
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import redis
from django.conf import settings
from django.core.cache import cache
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

BURST_SECONDS = 10
SHARE = 1 / 50  # of a bucket, spent here before Redis is told
FRESH_SECONDS = 10.0  # how old Redis's answer may be while much is left
LOW_SECONDS = 0.25  # and while little or nothing is
PATIENCE_SECONDS = 0.05  # for Redis: a limit is not worth a slow answer
PAUSE_SECONDS = 2.0  # before Redis is asked again after it failed
TELL_SECONDS = 60.0  # between two log lines of the same bucket's refusals
MOST_ACCOUNTS = 20_000
REFUSED = "limits:refused"  # how many requests, ever
logger = logging.getLogger("affidavit.limits")

# One clock for all processes: Redis's own. A debt never outgrows a bucket: nobody waits longer than it takes to fill.
SETTLE = """
local time = redis.call('TIME')
local now, told = time[1] + time[2] / 1000000, {}
for i = 1, #KEYS - 1 do
  local rate, most, spent = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local kept = redis.call('HMGET', KEYS[i], 'left', 'at')
  local left, at = tonumber(kept[1]) or most, tonumber(kept[2]) or now
  left = math.max(-most, math.min(most, left + math.max(0, now - at) * rate) - spent)
  redis.call('HSET', KEYS[i], 'left', string.format('%.6f', left), 'at', string.format('%.6f', now))
  redis.call('EXPIRE', KEYS[i], math.ceil(2 * most / rate) + 1)
  told[i] = string.format('%.6f', left)
end
if tonumber(ARGV[#ARGV]) > 0 then redis.call('INCRBY', KEYS[#KEYS], ARGV[#ARGV]) end
return told
"""


@dataclass(frozen=True, slots=True)
class Quota:
    """A bucket: `rate` units a second for one subject; `name` is what its limit is called in headers."""

    name: str
    subject: str
    rate: int

    @property
    def most(self) -> int:
        """Units in a full bucket."""
        return self.rate * BURST_SECONDS


@dataclass(slots=True)
class Account:
    """A bucket as this process knows it: `left` when Redis was last asked, less what was spent here since."""

    left: float
    settled_at: float
    spent: int = 0
    told_at: float = -math.inf

    @property
    def balance(self) -> float:
        return self.left - self.spent


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a request may pass, and its tightest bucket; without a quota nothing is known, and it may."""

    is_allowed: bool
    quota: Quota | None = None
    balance: float = 0.0

    @property
    def retry_after(self) -> int:
        """Seconds until the bucket holds something again."""
        return max(1, math.ceil((1 - self.balance) / self.quota.rate)) if self.quota else 0

    def headers(self, quotas: Sequence[Quota]) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers-10 has them: `t` is how long until the bucket is full."""
        if self.quota is None:
            return {}
        left, full_in = max(0, int(self.balance)), math.ceil((self.quota.most - self.balance) / self.quota.rate)
        policies = (f'"{quota.name}";q={quota.most};w={BURST_SECONDS}' for quota in quotas)
        return {
            "RateLimit-Policy": ", ".join(policies),
            "RateLimit": f'"{self.quota.name}";r={left};t={max(0, full_in)}',
        }


UNLIMITED = Standing(is_allowed=True)


@dataclass
class Limiter:
    """One a process. `admit` and `spend` never raise and never wait for another thread's round trip."""

    client: "redis.Redis"
    counter: str = REFUSED
    _accounts: dict[Quota, Account] = field(default_factory=dict)
    _refused: int = 0
    _paused_until: float = 0.0
    _lock: Lock = field(default_factory=Lock)
    _settling: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._settle = self.client.register_script(SETTLE)

    def admit(self, quotas: Sequence[Quota]) -> Standing:
        """Whether all of the buckets hold something."""
        try:
            now = time.monotonic()
            if now < self._paused_until:
                return UNLIMITED
            if any(self._is_due(quota, now) for quota in quotas):
                self._ask(quotas, now)
            return self._standing(quotas, is_asking=True)
        except Exception:  # a fault of a limit is no reason to refuse a record
            logger.exception("a request passes unlimited")
            return UNLIMITED

    def spend(self, quotas: Sequence[Quota], units: int) -> Standing:
        """Take what a request cost, and say how the buckets stand now."""
        with self._lock:
            for quota in quotas:
                if account := self._accounts.get(quota):
                    account.spent += units
        return self._standing(quotas)

    def _standing(self, quotas: Sequence[Quota], *, is_asking: bool = False) -> Standing:
        known = [(account.balance, quota) for quota in quotas if (account := self._accounts.get(quota))]
        if not known:
            return UNLIMITED
        balance, quota = min(known, key=lambda pair: pair[0])
        is_allowed = balance >= 1
        if is_asking and not is_allowed:
            self._count_refusal(quota)
        return Standing(is_allowed, quota, balance)

    def _count_refusal(self, quota: Quota) -> None:
        with self._lock:
            self._refused += 1
            account, now = self._accounts.get(quota), time.monotonic()
            if account is None or now - account.told_at < TELL_SECONDS:
                return
            account.told_at = now
        logger.warning("over the limit of %s a second: %s %s", quota.rate, quota.name, quota.subject)

    def _is_due(self, quota: Quota, now: float) -> bool:
        account = self._accounts.get(quota)
        if account is None:
            return True
        share = max(1.0, quota.most * SHARE)
        fresh = LOW_SECONDS if account.balance < share else FRESH_SECONDS
        return account.spent >= share or now - account.settled_at > fresh

    def _ask(self, quotas: Sequence[Quota], now: float) -> None:
        """Tell Redis what was spent here and hear what is left; others meanwhile go by what is known."""
        if not self._settling.acquire(blocking=False):
            return
        try:
            with self._lock:
                told = {quota: account.spent for quota in quotas if (account := self._accounts.get(quota))}
                refused = self._refused
            arguments = [value for quota in quotas for value in (quota.rate, quota.most, told.get(quota, 0))]
            keys = [f"limits:{quota.subject}" for quota in quotas]
            lefts = self._settle(keys=[*keys, self.counter], args=[*arguments, refused])
            with self._lock:
                self._refused -= refused
                self._note(zip(quotas, map(float, lefts), strict=True), told, now)
        except (RedisError, OSError) as error:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            self._accounts.clear()
            logger.warning("requests pass unlimited while Redis is away: %s", error)
        finally:
            self._settling.release()

    def _note(self, lefts: "zip[tuple[Quota, float]]", told: dict[Quota, int], now: float) -> None:
        if len(self._accounts) > MOST_ACCOUNTS:
            self._accounts.clear()
        for quota, left in lefts:
            before = self._accounts.get(quota)
            if before is None:
                self._accounts[quota] = Account(left, now)
            else:
                before.left, before.settled_at, before.spent = left, now, before.spent - told.get(quota, 0)


def impatient(url: str) -> "redis.Redis":
    """A client that gives up soon, and at once for good: the library's own would retry for many seconds."""
    once = Retry(NoBackoff(), 0)
    return redis.Redis.from_url(
        url, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS, retry=once
    )


@functools.cache
def limiter() -> Limiter | None:
    """This process's; None where the settings name no Redis."""
    if not settings.REDIS_URL:
        return None
    return Limiter(impatient(settings.REDIS_URL), cache.make_key(REFUSED))  # where `/metrics` reads it
