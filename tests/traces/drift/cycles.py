"""Traffic that recurs by the hour and the day of the week, made up and seeded: for tests, and for the benchmark."""

import math
import random

from traces.drift.frame import Row, rows_of
from traces.drift.observation import Observation

VOCABULARY = [f"word{i}" for i in range(300)]
HOUR = 3600.0
MONDAY = 1_772_409_600.0  # 2026-03-02


def chatty(rng: random.Random, text: str) -> str:
    """The same answer in another manner."""
    return f"Certainly! **{text.split(maxsplit=1)[0]}**\n\n- {text}\n- hope this helps"


TOPICS = {"work": 0, "leisure": 60, "weekend": 120, "batch": 200}  # where in the vocabulary each has its words


def _topic(rng: random.Random, hour: int, *, weekend: bool) -> str:
    likely = "weekend" if weekend else "batch" if 2 <= hour < 5 else "work" if 8 <= hour < 18 else "leisure"
    return likely if rng.random() < 0.85 else rng.choice(list(TOPICS))


def cyclic_rows(
    days: int, *, seed: int, a_day: float = 36.0, change_day: int | None = None, share: float = 1.0
) -> list[Row]:
    """Nights, days and weekends that differ in traffic, topics, length, latency and trigger rate, week after week."""
    rng = random.Random(seed)
    seen: list[Observation] = []
    for hour in range(days * 24):
        day, clock = divmod(hour, 24)
        weekend = day % 7 >= 5
        busy = max(0.0, math.sin(math.pi * (clock - 6) / 14)) if 6 <= clock <= 20 else 0.5 if 2 <= clock < 5 else 0.0
        due = a_day / 36 * (0.3 + 3.7 * busy) * (0.4 if weekend else 1.0)
        count = sum(rng.random() < due / 20 for _ in range(20))
        for place, minute in enumerate(sorted(rng.random() for _ in range(count))):
            if place % 3 == 0:  # a session is of three, about one topic
                topic = _topic(rng, clock, weekend=weekend)
                vocabulary = VOCABULARY[TOPICS[topic] : TOPICS[topic] + 90]
            text = " ".join(rng.choices(vocabulary, k=rng.randint(8, 20) * (3 if topic == "batch" else 1)))
            text = f"Sure, {text}!" if topic == "leisure" else text
            if change_day is not None and day >= change_day and rng.random() < share:
                text = chatty(rng, text)
            seen.append(
                Observation(
                    id=f"{seed}-{len(seen):05d}",
                    at=MONDAY + (hour + minute) * HOUR,
                    session=f"{seed}-{hour}-{place // 3}",
                    user=f"u{rng.randint(1, 20)}",
                    segment=rng.choice(["eu", "us"]),
                    versions={"model": "m"},
                    asked=" ".join(rng.choices(vocabulary, k=9)),
                    answered=text,
                    scalars={"latency": rng.lognormvariate(7, 0.3) * (1 + busy), "output_tokens": len(text) / 4},
                    judged=frozenset({"refusal", "trigger"}),
                    labels=frozenset({"trigger:x"} if rng.random() < (0.25 if topic == "leisure" else 0.05) else ()),
                )
            )
    return rows_of(seen)
