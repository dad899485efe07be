"""When an event is tried again, when it is given up, and when an endpoint is. Pure; the clock is an argument."""

import random
from datetime import datetime, timedelta

# After the first try: what the specification recommends, over three days.
WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)  # fmt: skip
MOST_ATTEMPTS = len(WAITS) + 1
JITTER = 0.2  # of the wait: endpoints that fell together are not asked together
LONGEST_ASKED = timedelta(days=1)  # of an answer's Retry-After
GIVE_UP_ENDPOINT = timedelta(days=5)  # of nothing but failures …
TRIES_FIRST = 4  # … and so many tries of one event: where little happens, the first hiccup is no reason


def next_try(n_attempts: int, now: datetime, retry_after: int | None = None) -> datetime | None:
    """When to try again after `n_attempts`, or None: given up. An answer may ask for longer, up to a day."""
    if n_attempts >= MOST_ATTEMPTS:
        return None
    wait = WAITS[n_attempts - 1] * (1 + JITTER * random.random())  # noqa: S311  (no secret)
    asked = min(timedelta(seconds=retry_after or 0), LONGEST_ASKED)
    return now + max(wait, asked)


def is_hopeless(failing_since: datetime, now: datetime, n_attempts: int) -> bool:
    """Whether an endpoint that failed at this try of an event has failed for so long that it is disabled."""
    return n_attempts >= TRIES_FIRST and now - failing_since >= GIVE_UP_ENDPOINT
