"""What a report shows, as plain values: no rows, no clock. Times are aware and in UTC; hashes are bytes.

Text is as people wrote it, unescaped; the pages escape it. Payload content has no place here.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

PASS, FAIL, EXCEPTION, NOT_APPLICABLE, OPEN = "pass", "fail", "exception", "na", ""
CONCLUSIONS = (PASS, FAIL, EXCEPTION, NOT_APPLICABLE, OPEN)


@dataclass(frozen=True, slots=True)
class Head:
    """What the case is, and who is who in it. `as_of` is the moment that the report shows: it dates the PDF."""

    organisation: str
    case_id: UUID
    reference: str
    title: str
    type: str
    revision: int
    state: str
    is_signed: bool
    as_of: datetime
    opened_at: datetime
    lead: str
    preparer: str
    reviewer: str
    objective: str
    criteria: str


@dataclass(frozen=True, slots=True)
class Freeze:
    """A population as it was frozen at a signed checkpoint."""

    count: int
    checkpoint_size: int
    checkpoint_root: bytes
    sha256: bytes
    frozen_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class SampleDrawn:
    """How the items were drawn: enough to draw them again. Rates are fractions. `kind` is the method's code; `terms`
    are what was laid down before, in words; `strata` have a name, decisions, items and their cost."""

    kind: str
    method: str
    is_everything: bool
    size: int
    acceptable: int
    expected_rate: float | None
    tolerable_rate: float | None
    overreliance: float
    seed: bytes | None
    seed_checkpoint_size: int | None
    justification: str
    drawn_at: datetime
    terms: tuple[tuple[str, str], ...] = ()
    strata: tuple[tuple[str, int, int, str], ...] = ()
    code_letter: str = ""
    interval: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """The evaluation of a sample: deviations among the items that apply, and the one-sided upper limit. `observed`,
    `upper` and `tolerable` are shares of the decisions, or of their cost; `words` and `basis` say how they came."""

    n: int
    deviations: int
    observed: float
    upper: float
    tolerable: float | None
    is_acceptable: bool
    words: str = ""
    basis: str = "one-sided Clopper–Pearson upper limit"


@dataclass(frozen=True, slots=True)
class ItemLine:
    """One decision under review: its metadata and what was concluded. `model` and `action` are as recorded."""

    ordinal: int
    decision_id: UUID
    occurred_at: datetime
    system: str
    model: str
    action: str
    verdict: str
    leaf_index: int
    leaf_hash: bytes
    conclusion: str
    note: str
    preparer: str
    is_erased: bool
    replaces: int | None = None
    replaced_by: int | None = None


@dataclass(frozen=True, slots=True)
class FindingLine:
    """A finding by the five C's, and the response to it."""

    reference: str
    item: int | None
    kind: str
    severity: str
    state: str
    criteria: str
    condition: str
    cause: str
    effect: str
    recommendation: str
    response: str
    owner: str
    due: date | None


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """A member of a policy set: which version, under which hash, in which mode."""

    slug: str
    title: str
    version: str
    sha256: str
    mode: str


@dataclass(frozen=True, slots=True)
class PolicySetUsed:
    """A set of policies that was in force for some of the items."""

    sha256: bytes
    items: int
    members: tuple[PolicyLine, ...]


@dataclass(frozen=True, slots=True)
class Met:
    """A model or system version, in words and parts, and how many of the items it decided."""

    name: str
    detail: str
    items: int


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """A signature with what it means and the content it binds to."""

    name: str
    role: str
    meaning: str
    signed_at: datetime
    methods: tuple[str, ...]
    payload_sha256: bytes
    event: UUID


@dataclass(frozen=True, slots=True)
class Ledger:
    """The signed head that the attached proofs lead to, and the keys that have signed this log."""

    origin: str
    size: int
    root: bytes
    note: str
    signed_at: datetime
    vkeys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file inside the PDF."""

    name: str
    content: bytes
    description: str
    mime: str = "text/plain"


@dataclass(frozen=True, slots=True)
class FileSigner:
    """Under which certificate the finished file is signed (PAdES)."""

    subject: str
    sha256: bytes


@dataclass(frozen=True, slots=True)
class ReportData:
    """One revision of a case, whole. `content` is the canonical JSON that is signed, byte for byte."""

    head: Head
    scope: tuple[tuple[str, str], ...]
    population: Freeze | None
    earlier_freezes: tuple[Freeze, ...]
    sample: SampleDrawn | None
    limit: Limit | None
    items: tuple[ItemLine, ...]
    findings: tuple[FindingLine, ...]
    policy_sets: tuple[PolicySetUsed, ...]
    models: tuple[Met, ...]
    systems: tuple[Met, ...]
    signatures: tuple[SignatureLine, ...]
    ledger: Ledger | None
    content: bytes
    content_sha256: bytes
    proofs: tuple[Attachment, ...] = field(default=())
    file_signer: FileSigner | None = None  # none: the file is not signed
    unproven: int = 0  # items that no signed checkpoint covers yet

    @property
    def counts(self) -> Counter[str]:
        """Items by conclusion."""
        return count(item.conclusion for item in self.items)

    @property
    def erased(self) -> tuple[int, ...]:
        """Ordinals of the items whose content is gone."""
        return tuple(item.ordinal for item in self.items if item.is_erased)


def count(conclusions: Iterable[str]) -> Counter[str]:
    """How many of each, none left out."""
    found = Counter(dict.fromkeys(CONCLUSIONS, 0))
    found.update(conclusions)
    return found
