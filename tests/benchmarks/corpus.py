"""Decisions of a loan pre-screening assistant, serialised once: about 2,170 bytes of JSON each.

A record is kept as two byte strings around its external id, so that a client makes a new one by joining three.
"""

import json
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

TARGET_BYTES = 2170
ID_BYTES = 30  # of every external id that the load generators write
_MARK = "§" * 4
_SENTENCES = (
    "The applicant asks for a personal loan over forty-eight months.",
    "Monthly income after tax is stated, with a payslip of the last month.",
    "Existing obligations take about a fifth of the income.",
    "The bureau lists one closed loan that was repaid early.",
    "Rent and insurance are paid by standing order.",
    "The stated purpose is the renovation of a kitchen.",
    "Employment has been with the same company for six years.",
    "No arrears are known for the last thirty-six months.",
    "The requested rate exceeds the guideline of a third of free income.",
    "A co-applicant is not named; collateral is not offered.",
)


def _prose(rng: random.Random, length: int) -> str:
    text = ""
    while len(text) < length:
        text += rng.choice(_SENTENCES) + " "
    return text[:length].rstrip() or "Yes."


def decision(rng: random.Random, now: datetime) -> dict[str, Any]:
    """One believable submission, its context short by what `pieces` fills up."""
    adverse = rng.random() < 0.2
    return {
        "external_id": _MARK,
        "occurred_at": (now - timedelta(milliseconds=rng.randrange(1000))).isoformat(timespec="milliseconds"),
        "system": "loan-assistant",
        "system_version": "2.4.0",
        "environment": "production",
        "task": "pre-screening",
        "trace_id": uuid.UUID(int=rng.getrandbits(128)).hex,
        "span_id": f"{rng.getrandbits(64):016x}",
        "session": f"s-{rng.randrange(400)}",
        "user": f"clerk-{rng.randrange(40)}",
        "subject": f"customer-{rng.randrange(200)}",
        "model": {
            "provider": "openai",
            "name": rng.choice(("gpt-5-mini", "gpt-5")),
            "version": "2026-08-01",
            "prompt": {"name": "screen", "version": "14"},
        },
        "input": [
            {"role": "system", "content": "You pre-screen loan applications. Give reasons; refer what is unclear."},
            {"role": "user", "content": _prose(rng, 300)},
        ],
        "context": [{"id": f"doc-{rng.randrange(90)}", "score": round(rng.random(), 3), "text": ""}],
        "output": [{"role": "assistant", "content": _prose(rng, 220)}],
        "outcome": {
            "decision": "decline" if adverse else "refer",
            "adverse": adverse,
            "reasons": [{"code": "income_unverified", "text": "No payslip of the last three months."}],
        },
        "usage": {"input_tokens": rng.randrange(300, 900), "output_tokens": rng.randrange(40, 200)},
        "latency_ms": rng.randrange(300, 2500),
        "metadata": {"region": rng.choice(("eu-west", "eu-north")), "channel": "branch"},
    }


def pieces(count: int, seed: int = 7, size: int = TARGET_BYTES) -> list[tuple[bytes, bytes]]:
    """`count` different records of `size` bytes each, as what stands before and after the external id."""
    rng = random.Random(seed)
    now = datetime.now(UTC)
    made = []
    for _ in range(count):
        document = decision(rng, now)
        short = size - len(_serialised(document)) + len(_MARK.encode()) - ID_BYTES
        document["context"][0]["text"] = _prose(rng, short).ljust(short, ".") if short > 0 else ""
        before, _, after = _serialised(document).partition(_MARK.encode())
        made.append((before, after))
    return made


def _serialised(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def external_id(run: str, worker: int, number: int) -> bytes:
    """`ID_BYTES` characters: unique within a run."""
    return f"{run[:14]:0>14}-{worker:03d}-{number:011d}".encode()
