"""When the bank's customers come: weekdays more than weekends, mornings more than nights."""

import random
from datetime import datetime, timedelta

SPAN = timedelta(days=28)
MODEL_CHANGES = timedelta(days=14)  # before the end
PROMPT_CHANGES = timedelta(days=9)  # before the end

WEEKDAYS = (1.0, 1.05, 1.0, 0.95, 0.9, 0.35, 0.2)
HOURS = (1, 1, 1, 1, 1, 2, 4, 9, 16, 22, 24, 22, 15, 19, 21, 20, 17, 13, 9, 7, 6, 4, 2, 1)


def moments(rng: random.Random, ends: datetime, count: int) -> list[datetime]:
    """`count` moments of the `SPAN` before `ends`, in order, to the millisecond."""
    hours = [ends - timedelta(hours=back) for back in range(1, int(SPAN.total_seconds()) // 3600 + 1)]
    weights = [WEEKDAYS[hour.weekday()] * HOURS[hour.hour] for hour in hours]
    chosen = rng.choices(hours, weights, k=count)
    return sorted(hour + timedelta(milliseconds=rng.randrange(3_600_000)) for hour in chosen)
