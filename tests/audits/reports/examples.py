"""A believable report without a database, of any size."""

import hashlib
import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from audits.reports.data import (
    Attachment,
    FindingLine,
    Freeze,
    Head,
    ItemLine,
    Ledger,
    Limit,
    Met,
    PolicyLine,
    PolicySetUsed,
    ReportData,
    SampleDrawn,
    SignatureLine,
)
from audits.sampling import upper_limit

BEGAN = datetime(2026, 11, 2, 8, 30, tzinfo=UTC)
CONTENT = b'{"format":"affidavit-case/1"}'
NOTE = (
    "affidavit.example.org/t/nordbank\n48213\nq0mDzIk1mVd0h2JnJmFq0r0GQJpOZ3b0o8n1l1Jm0lI=\n\n"
    "— affidavit.example.org/t/nordbank 3q2+7w5Rz0ZkPqQm2b1mWQ0m6n3hX3mJ1Xy8Jc7mJpV5nq1l0Hc4wq5n0bX8mQ==\n"
)


def digest(text: object) -> bytes:
    return hashlib.sha256(str(text).encode()).digest()


def example(n: int = 60, **changes: Any) -> ReportData:
    """A signed case of `n` items, one of which failed; `changes` go to the data, those it knows of to its head."""
    head = {name: changes.pop(name) for name in list(changes) if name in Head.__dataclass_fields__}
    items = tuple(an_item(ordinal) for ordinal in range(1, n + 1))
    deviations = sum(item.conclusion == "fail" for item in items)
    data = ReportData(
        head=replace(HEAD, **head),
        scope=(("since", "2026-10-01T00:00:00+00:00"), ("until", "2026-11-01T00:00:00+00:00"), ("system", "loans")),
        population=a_freeze(),
        earlier_freezes=(),
        sample=replace(SAMPLE, size=n),
        limit=a_limit(n, deviations, upper_limit(deviations, n), 0.05) if n else None,
        items=items,
        findings=(FINDING,),
        policy_sets=(PolicySetUsed(digest("set"), n, POLICIES),),
        models=(Met("gpt-5-mini 2026-08-01", "openai · prompt screen 14", n),),
        systems=(Met("loan-assistant · production · pre-screening", "2.4.0", n),),
        signatures=SIGNATURES,
        ledger=Ledger(
            NOTE.partition("\n")[0],
            48_213,
            digest("head"),
            NOTE,
            BEGAN,
            ("affidavit.example.org/t/nordbank+0a1b2c3d+AQID",),
        ),
        content=CONTENT,
        content_sha256=hashlib.sha256(CONTENT).digest(),
        proofs=tuple(
            Attachment(f"item-{i:05d}.tlog-proof", f"proof {i}\n".encode(), "") for i in range(1, min(n, 300) + 1)
        ),
    )
    return replace(data, **changes)


def a_limit(n: int, deviations: int, upper: float, tolerable: float | None, words: str = "") -> Limit:
    """An evaluation."""
    return Limit(n, deviations, deviations / n, upper, tolerable, tolerable is None or upper <= tolerable, words)


def draft(**changes: Any) -> ReportData:
    """The same, before anybody signed."""
    return example(is_signed=False, state="In review", signatures=(), **changes)


def a_freeze(reason: str = "") -> Freeze:
    """A population."""
    return Freeze(41_802, 48_190, digest("root"), digest("population"), BEGAN, reason)


def an_item(ordinal: int, **changes: Any) -> ItemLine:
    """The third one failed; the others passed."""
    failed = ordinal == 3
    item = ItemLine(
        ordinal=ordinal,
        decision_id=uuid.UUID(bytes=digest(ordinal)[:16]),
        occurred_at=BEGAN + timedelta(minutes=ordinal),
        system="loan-assistant · production",
        model="gpt-5-mini 2026-08-01",
        action="block" if failed else "allow",
        verdict="triggered" if failed else "clear",
        leaf_index=37 * ordinal,
        leaf_hash=digest(f"leaf {ordinal}"),
        conclusion="fail" if failed else "pass",
        note="The refusal names no reason that the applicant could act on." if failed else "",
        preparer="Ida Nyström",
        is_erased=False,
    )
    return replace(item, **changes)


HEAD = Head(
    organisation="Nordbank Kredit AB",
    case_id=uuid.UUID("0199f1c2-8a3b-7c4d-9e5f-0123456789ab"),
    reference="C-12",
    title="Do refusals of consumer loans name specific reasons?",
    type="Periodic review",
    revision=1,
    state="Signed",
    is_signed=True,
    as_of=BEGAN + timedelta(days=9, hours=5),
    opened_at=BEGAN - timedelta(days=2),
    lead="Ida Nyström",
    preparer="Ida Nyström",
    reviewer="Łukasz Wójcik",
    objective="To find out whether the loan assistant gives every refused applicant specific and accurate reasons.",
    criteria="Every refusal names one specific principal reason (12 CFR 1002.9(b)(2)).\nNo reason is a generic code.",
)
SAMPLE = SampleDrawn(
    kind="attribute",
    method="Attribute sample: size computed from the tolerable rate",
    is_everything=False,
    size=93,
    acceptable=1,
    expected_rate=0.01,
    tolerable_rate=0.05,
    overreliance=0.05,
    seed=digest("seed"),
    seed_checkpoint_size=48_191,
    justification="",
    drawn_at=BEGAN + timedelta(minutes=1),
)
FINDING = FindingLine(
    reference="F-1",
    item=3,
    kind="Minor nonconformity",
    severity="Medium",
    state="Open",
    criteria="Every refusal names at least one specific principal reason.",
    condition="The answer says that the application “does not meet our requirements”, and nothing more.",
    cause="The prompt lets the model close the conversation before the reasons are listed.",
    effect="The applicant cannot act on the refusal, nor contest it.",
    recommendation="Make the reasons a required part of the output, and block an answer without them.",
    response="Agreed. Prompt 15 requires them; released on 9 November.",
    owner="Ana Ruiz",
    due=date(2026, 12, 15),
)
POLICIES = (
    PolicyLine("reasons-given", "Refusals give reasons", "v4", digest("reasons").hex(), "enforce"),
    PolicyLine("pii-output", "No personal numbers in answers", "v2", digest("pii").hex(), "shadow"),
)
SIGNATURES = tuple(
    SignatureLine(
        name, role, meaning, BEGAN + timedelta(days=9, hours=hour), ("password",), hashlib.sha256(CONTENT).digest(),
        uuid.UUID(bytes=digest(role)[:16]),
    )
    for name, role, meaning, hour in (
        ("Ida Nyström", "lead", "I am responsible for this examination and its conclusions", 4),
        ("Łukasz Wójcik", "approver", "I reviewed this examination and approve its conclusions", 5),
    )
)  # fmt: skip
