"""Records made up for tests of the pure parts: cheap, seeded, with sessions, and a change where one is asked for."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit_each
from tests.traces.drift.cycles import HOUR, VOCABULARY, chatty
from traces.drift.frame import Row, rows_of
from traces.drift.observation import Observation

START = datetime(2026, 9, 1, tzinfo=UTC)
OLD = "Please send a proof of income first, then we look at it together with you."
NEW = "Certainly! **Step 1:** upload your payslip.\n\n- Step 2: wait\n- Step 3: read our letter, dear customer"


def made_rows(
    n: int,
    *,
    seed: int = 0,
    change_at: int | None = None,
    change: Callable[[random.Random, str], str] = chatty,
    share: float = 1.0,
    model: str = "m",
    new_model: str = "m",
    segment: str | None = None,
    start: int = 0,
) -> list[Row]:
    """An hour apart, sessions of two or three with a favourite word; from `change_at` on (a `share`) otherwise."""
    rng = random.Random(seed)
    seen = []
    session, left, favourite = 0, 0, ""
    for i in range(start, start + n):
        if left == 0:
            session, left, favourite = session + 1, rng.randint(2, 3), rng.choice(VOCABULARY)
        left -= 1
        text = " ".join([favourite, *rng.choices(VOCABULARY[:60], k=rng.randint(8, 20))])
        place = rng.choice(["eu", "us"])
        changed = change_at is not None and i >= change_at and (segment is None or segment == place)
        if changed and rng.random() < share:
            text = change(rng, text)
        seen.append(
            Observation(
                id=f"{seed}-{i:05d}",
                at=i * HOUR,
                session=f"{seed}-{session}",
                user=f"u{rng.randint(1, 20)}",
                segment=place,
                versions={"model": new_model if changed else model},
                asked=" ".join([favourite, *rng.choices(VOCABULARY, k=8)]),
                answered=text,
                scalars={"latency": rng.lognormvariate(7, 0.3), "output_tokens": float(len(text) // 4)},
                judged=frozenset({"refusal", "trigger"}),
                labels=frozenset({"trigger:x"} if rng.random() < 0.1 else ()),
            )
        )
    return rows_of(seen)


def decisions(n: int, *, change_at: int, seed: int = 1) -> list[dict[str, Any]]:
    """An hour apart; answers become chatty, with prompt 15, at `change_at`."""
    rng = random.Random(seed)
    fillers = [f"word{i}" for i in range(80)]
    found = []
    for i in range(n):
        text = NEW if i >= change_at else OLD
        extra = " ".join(rng.choices(fillers, k=rng.randint(5, 25)))
        found.append(
            a_decision(
                occurred_at=(START + timedelta(hours=i)).isoformat(),
                session=f"s-{seed}-{i // 2}",
                user=f"u-{rng.randint(1, 30)}",
                input=" ".join(rng.choices(fillers, k=12)),
                output=f"{text} {extra}",
                model={
                    "provider": "openai",
                    "name": "gpt-5",
                    "prompt": {"name": "p", "version": "15" if i >= change_at else "14"},
                },
                latency_ms=rng.randint(600, 1200),
                outcome=None,
            )
        )
    return found


def record(cast: Cast, made: list[dict[str, Any]]) -> None:
    """Through the write path, a hundred at a time."""
    for start in range(0, len(made), 100):
        submit_each(cast, made[start : start + 100])
