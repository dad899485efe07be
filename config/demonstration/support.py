"""The support assistant: conversations of one to four turns, with what was looked up and what the guards found."""

# ruff: noqa: S311 (an example that is the same every time; nothing here is a secret)

import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from config.demonstration.calendar import PROMPT_CHANGES, moments
from config.demonstration.conversations import HELD, RARE, Conversation, Turn

CONVERSATIONS = 260
RARE_EVERY = 13
SYSTEM_PROMPT = (
    "You answer customers of a bank. Be brief and exact, quote the help pages, never guess a balance or a date,"
    " and hand over to a colleague when asked to."
)
FILLERS = {
    "card": ("debit card", "credit card", "card", "second card"),
    "place": ("Spain", "Poland", "Canada", "Portugal", "Norway", "Italy"),
    "amount": ("40", "120", "250", "800", "1,500", "3,200"),
    "days": ("two", "three", "four"),
    "shop": ("a furniture shop", "an airline", "a streaming service", "a petrol station"),
    "when": ("yesterday", "on Monday", "last week", "this morning"),
}


@dataclass(slots=True)
class _Session:
    """One customer's conversation: what has been said so far goes into every next turn."""

    number: int
    user: str
    trace: random.Random
    fillers: dict[str, str]
    said: list[dict[str, Any]]


def chats(ends: datetime) -> Iterator[dict[str, Any]]:
    """Every answer up to `ends`, oldest first, numbered without a gap."""
    rng = random.Random("support")
    answers: list[tuple[datetime, dict[str, Any]]] = []
    for number, start in enumerate(moments(rng, ends - timedelta(minutes=20), CONVERSATIONS)):
        conversation = rng.choice(RARE if number % RARE_EVERY == RARE_EVERY - 1 else HELD)
        answers += _held(rng, number, conversation, start, is_new_prompt=start >= ends - PROMPT_CHANGES)
    answers.sort(key=lambda answer: answer[0])
    for sequence, (_, answer) in enumerate(answers, 1):
        yield answer | {"source_seq": sequence}


def _held(
    rng: random.Random, number: int, conversation: Conversation, start: datetime, *, is_new_prompt: bool
) -> Iterator[tuple[datetime, dict[str, Any]]]:
    fillers = {name: rng.choice(words) for name, words in FILLERS.items()}
    session = _Session(number, f"customer-{rng.randrange(170)}", rng, fillers, [])
    turns = conversation.turns[: rng.randint(1, len(conversation.turns))]
    at = start
    for place, turn in enumerate(turns):
        yield at, _answer(rng, session, turn, place, at, is_new_prompt=is_new_prompt)
        at += timedelta(seconds=rng.randint(25, 180))


def _answer(
    rng: random.Random, session: _Session, turn: Turn, place: int, at: datetime, *, is_new_prompt: bool
) -> dict[str, Any]:
    question = rng.choice(turn.questions).format(**session.fillers)
    answer = rng.choice(turn.answers).format(**session.fillers)
    if is_new_prompt and not turn.enforcement and rng.random() < 0.5:
        answer += " Is there anything else I can do for you?"
    session.said.append({"role": "user", "content": question})
    messages = [{"role": "system", "content": SYSTEM_PROMPT}, *session.said]
    session.said.append({"role": "assistant", "content": answer})
    return {
        "external_id": f"chat-{session.number:04}-{place + 1}",
        "occurred_at": at.isoformat(timespec="milliseconds"),
        "system": "support-assistant",
        "system_version": "1.9.2" if is_new_prompt else "1.9.1",
        "environment": "production",
        "task": "answer",
        "risk_class": "limited",
        "trace_id": uuid.UUID(int=rng.getrandbits(128)).hex,
        "session": f"s-{session.number:04}",
        "user": session.user,
        "notice_given": True,
        "model": {
            "provider": "anthropic",
            "name": "claude-haiku-4-5",
            "version": "2026-07-15",
            "parameters": {"temperature": 0.2},
            "prompt": {"name": "support", "version": "4" if is_new_prompt else "3"},
        },
        "input": messages,
        "context": _looked_up(rng, turn),
        "output": [{"role": "assistant", "content": answer}],
        "enforcement": [dict(found) for found in turn.enforcement] or _passed(rng),
        "usage": {
            "input_tokens": 90 + sum(len(message["content"]) for message in messages) // 4,
            "output_tokens": 6 + len(answer) // 4,
            "cache_read_tokens": 64 if place else 0,
        },
        "latency_ms": round(rng.lognormvariate(6.6, 0.4)),
    }


def _looked_up(rng: random.Random, turn: Turn) -> list[dict[str, Any]]:
    return [{"id": name, "score": round(rng.uniform(0.6, 0.95), 2), "text": text} for name, text in turn.documents]


def _passed(rng: random.Random) -> Sequence[dict[str, Any]]:
    """The guards run on every answer; only some applications report that they found nothing."""
    return [{"guard": "pii", "guard_version": "3", "verdict": "passed"}] if rng.random() < 0.4 else []
