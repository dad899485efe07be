"""What surrounds the decisions: releases and an incident, what people made of answers, and what may be spent."""

# ruff: noqa: S311 (an example that is the same every time; nothing here is a secret)

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from config.demonstration.calendar import MODEL_CHANGES, PROMPT_CHANGES

JUDGED = 60  # conversations whose first answer somebody gave a thumb
REMARKS = ("Not what I asked.", "It repeats itself.", "The date is wrong.", "Too long for a phone.")
BUDGETS: tuple[dict[str, Any], ...] = (
    {"name": "Everything, each month", "limit_micros": 5_000_000},
    {"name": "Support assistant", "scope": "system", "subject": "support-assistant", "limit_micros": 100_000},
    {
        "name": "Loans, each day",
        "scope": "system",
        "subject": "loan-assistant",
        "period": "day",
        "limit_micros": 50_000,
    },
)


def events(ends: datetime) -> list[dict[str, Any]]:
    """Releases and what went wrong, as a deployment pipeline and an on-call tool tell them."""
    model, prompt = ends - MODEL_CHANGES - timedelta(minutes=12), ends - PROMPT_CHANGES - timedelta(minutes=3)
    slow = ends - timedelta(days=5, hours=3)
    return [
        _event(1, "deployment", "loan-assistant 2.5.0", model, "loan-assistant", version="2.5.0"),
        _event(2, "prompt_release", "Support prompt 4", prompt, "support-assistant", version="4"),
        _event(3, "incident", "Search in the help pages slow", slow, "support-assistant", lasted=timedelta(minutes=95)),
        _event(4, "config_change", "Chats are kept for 400 days", ends - timedelta(days=3), "support-assistant"),
    ]


def _event(
    number: int, kind: str, title: str, at: datetime, system: str, *, version: str = "", lasted: timedelta | None = None
) -> dict[str, Any]:
    told: dict[str, Any] = {"external_id": f"demo-{number}", "kind": kind, "title": title, "system": system}
    told |= {"occurred_at": at.isoformat(timespec="seconds"), "environment": "production", "version": version}
    return told | ({"ended_at": (at + lasted).isoformat(timespec="seconds")} if lasted else {})


def feedback() -> Iterator[dict[str, Any]]:
    """Thumbs on first answers of conversations, most of them up, by the application's own ids."""
    rng = random.Random("feedback")
    for number in sorted(rng.sample(range(260), JUDGED)):
        is_good = rng.random() < 0.8
        judged = {"external_id": f"chat-{number:04}-1", "name": "helpful", "label": "good" if is_good else "bad"}
        yield judged | {"score": 1 if is_good else -1} | ({} if is_good else {"comment": rng.choice(REMARKS)})
