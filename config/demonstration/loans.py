"""The loan pre-screening assistant: an application in, a recommendation with its reasons out."""

# ruff: noqa: S311 (an example that is the same every time; nothing here is a secret)

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from config.demonstration.calendar import MODEL_CHANGES, moments

COUNT = 420
AMOUNTS = (2_000, 3_500, 5_000, 7_500, 10_000, 12_000, 15_000, 18_000, 25_000, 32_000)
TERMS = (12, 24, 36, 48, 60, 72, 84)
PURPOSES = (
    "a used car",
    "a new kitchen",
    "moving house",
    "a heat pump",
    "evening classes",
    "a cargo bike",
    "replacing two overdrafts",
    "a wedding",
    "dental treatment",
    "insulating the roof",
    "a second-hand camper van",
    "starting a bakery",
)
WORK = (
    ("permanent, {n} years with the employer", 1.0),
    ("fixed term, ends in {n} months", 0.75),
    ("self-employed for {n} years", 0.85),
    ("on probation since {n} months", 0.6),
    ("pension", 1.05),
)
BRANCHES = ("north", "south", "east", "west", "online", "online")
GUIDELINES = (
    ("guideline-12", "Monthly obligations, the new instalment included, stay at or below 40 % of the net income."),
    ("guideline-15", "Income from self-employment counts with the mean of the last two assessed years."),
    ("guideline-21", "A fixed-term contract counts until its end; the loan should not run longer without a guarantor."),
    ("guideline-27", "An application that names a guarantor goes to a clerk, whatever the score."),
    ("guideline-33", "A refusal names the principal reasons in words that the applicant understands."),
)
REASONS = {
    "dti_high": ("debt_to_income", "With the new instalment, {ratio} % of your net income would go to loans."),
    "income_unverified": ("income", "The income you stated does not match the payslips of the last three months."),
    "history_short": ("history", "Your account with us is younger than twelve months, so too little is known yet."),
    "term_exceeds": ("term", "Your contract ends {early} months before the last instalment would be due."),
    "arrears": ("history", "An instalment was returned in {month} and is still open."),
}
CATCH_ALLS = (
    "The application did not qualify under our internal standards.",
    "You are not eligible for this product at present.",
)
MONTHS = ("March", "May", "June", "August", "September")
SYSTEM_PROMPT = (
    "You pre-screen consumer loan applications. Recommend approve, refer or decline. Name the principal reasons of a"
    " refusal in plain words. Refer whatever is unclear. Never use age, origin, health or family."
)


@dataclass(frozen=True, slots=True)
class _Application:
    """What somebody asks the bank for."""

    amount: int
    months: int
    purpose: str
    income: int
    spending: int
    work: str
    standing: float

    @property
    def ratio(self) -> int:
        """Per cent of the income that would be owed every month."""
        return round(100 * (self.spending * 0.4 + self.amount / self.months * 1.04) / self.income)

    @property
    def text(self) -> str:
        return (
            f"Amount {self.amount:,} over {self.months} months for {self.purpose}. Net income {self.income:,} a month,"
            f" fixed spending {self.spending:,}. Work: {self.work}. What do you recommend?"
        )


def loans(ends: datetime) -> Iterator[dict[str, Any]]:
    """Pre-screenings up to `ends`, oldest first, numbered without a gap."""
    rng = random.Random("loans")
    for number, at in enumerate(moments(rng, ends, COUNT)):
        yield _loan(rng, number, at, is_new_model=at >= ends - MODEL_CHANGES)


def _application(rng: random.Random) -> _Application:
    income = round(rng.lognormvariate(8.0, 0.28) / 50) * 50
    words, standing = rng.choice(WORK)
    return _Application(
        amount=rng.choice(AMOUNTS),
        months=rng.choice(TERMS),
        purpose=rng.choice(PURPOSES),
        income=income,
        spending=round(income * rng.uniform(0.25, 0.6) / 10) * 10,
        work=words.format(n=rng.randint(2, 11)),
        standing=standing,
    )


def _loan(rng: random.Random, number: int, at: datetime, *, is_new_model: bool) -> dict[str, Any]:
    application = _application(rng)
    raw = 0.86 * application.standing - application.ratio / 100 + rng.gauss(0.14, 0.08)
    score = round(min(0.98, max(0.03, raw)), 2)
    decision = "approve" if score >= 0.52 else "refer" if score >= 0.38 else "decline"
    confidence = round(min(0.99, 0.57 + abs(score - 0.45) * 1.1 + rng.uniform(-0.08, 0.12)), 2)
    reasons = _reasons(rng, application, is_new_model=is_new_model) if decision == "decline" else []
    is_reviewed = decision == "refer" and rng.random() < 0.7
    human = {"reviewed": True, "by": f"clerk-{rng.randrange(12)}"} if is_reviewed else None
    loan: dict[str, Any] = {
        "external_id": f"loan-{number:05}",
        "source_seq": number + 1,
        "occurred_at": at.isoformat(timespec="milliseconds"),
        "system": "loan-assistant",
        "system_version": "2.5.0" if is_new_model else "2.4.0",
        "environment": "production",
        "task": "pre-screening",
        "risk_class": "high",
        "trace_id": uuid.UUID(int=rng.getrandbits(128)).hex,
        "user": f"clerk-{rng.randrange(12)}",
        "subject": f"applicant-{rng.randrange(280)}",
        "model": _model(is_new_model=is_new_model),
        "input": [
            {"role": "system", "content": SYSTEM_PROMPT},
            {"role": "user", "content": application.text},
        ],
        "context": _guidelines(rng),
        "output": [{"role": "assistant", "content": _answer(rng, application, decision, reasons)}],
        "outcome": {
            "decision": decision,
            "adverse": decision == "decline",
            "score": score,
            "threshold": 0.52,
            "confidence": confidence,
            "reasons": reasons,
        },
        "notice_given": True,
        "usage": {"input_tokens": rng.randrange(520, 980), "output_tokens": rng.randrange(40, 190)},
        "latency_ms": round(rng.lognormvariate(7.1 if is_new_model else 6.8, 0.35)),
        "metadata": {"branch": rng.choice(BRANCHES)} | ({"human_review": True} if human else {}),
    }
    return loan | ({"human": human} if human else {})


def _model(*, is_new_model: bool) -> dict[str, Any]:
    return {
        "provider": "openai",
        "name": "gpt-5-mini",
        "version": "2026-10-01" if is_new_model else "2026-08-01",
        "parameters": {"temperature": 0},
        "prompt": {"name": "screen", "version": "14"},
    }


def _guidelines(rng: random.Random) -> list[dict[str, Any]]:
    found = rng.sample(GUIDELINES, k=rng.choice((1, 2, 2, 3)))
    scores = sorted((round(rng.uniform(0.55, 0.93), 2) for _ in found), reverse=True)
    return [{"id": name, "score": score, "text": text} for (name, text), score in zip(found, scores, strict=True)]


def _reasons(rng: random.Random, application: _Application, *, is_new_model: bool) -> list[dict[str, Any]]:
    """Mostly the real ones. One refusal in eleven has none; the new model often says nothing in many words."""
    if rng.random() < 1 / 11:
        return []
    if is_new_model and rng.random() < 0.4:
        return [{"code": "policy", "text": rng.choice(CATCH_ALLS)}]
    codes = ["dti_high"] if application.ratio > 40 else []
    others = [code for code in REASONS if code != "dti_high"]
    if not application.work.startswith("fixed term"):
        others.remove("term_exceeds")
    codes += rng.sample(others, k=1 if codes else rng.choice((1, 2)))
    return [_reason(rng, application, code) for code in codes]


def _reason(rng: random.Random, application: _Application, code: str) -> dict[str, Any]:
    factor, text = REASONS[code]
    said = text.format(ratio=application.ratio, early=rng.randint(4, 20), month=rng.choice(MONTHS))
    return {"code": code, "text": said, "factor": factor}


def _answer(rng: random.Random, application: _Application, decision: str, reasons: list[dict[str, Any]]) -> str:
    if decision == "approve":
        return rng.choice(
            (
                f"Approve. {application.ratio} % of the income would be owed, which leaves room.",
                "Approve: income, spending and term fit together, and nothing speaks against it.",
                f"I recommend to grant the {application.amount:,} over {application.months} months as asked.",
            )
        )
    if decision == "refer":
        return rng.choice(
            (
                "Refer to a clerk: the figures are close to the limit and the income should be looked at.",
                "Refer. Whether the employment carries the whole term cannot be told from the application.",
                f"A clerk should decide: {application.ratio} % owed is near the limit of 40 %.",
            )
        )
    return " ".join(["Decline.", *(str(reason["text"]) for reason in reasons)])
