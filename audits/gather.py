"""Reading what a report shows, inside the caller's `tenant_atomic`. The number of queries does not grow with the items.

No content of a decision is opened: a report goes to readers who may see cases and not payloads.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence

from django.db.models import QuerySet

from audits.certificates import report_certificate
from audits.content import case_content, content_sha256
from audits.models import Case, CaseEvent, CaseItem, CaseRevision, Finding, Population, Sample, Signature
from audits.populations import scope_of
from audits.reports.data import (
    Attachment,
    FileSigner,
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
from audits.sample_pages import in_currency, strata_rows, terms
from audits.sampling import Evaluation, Method
from audits.selectors import evaluation_of, items_of, progress_of, sample_from
from audits.workflow import NotAllowed
from policies.models import PolicySet, PolicyVersion
from tenants.ids import uuid7_time
from tenants.ledger.canonical import parse_strict
from tenants.ledger.proofs import FILE_EXTENSION
from tenants.ledger.reader import Prover, latest_checkpoint, trust_policy
from tenants.models import LedgerCheckpoint, LedgerLeaf, SubjectKey, User
from traces.models import Decision, DecisionPayload

ATTACHED_PROOFS = 300  # the others are in the bundle; a PDF with ten thousand attachments opens in nothing
ABOUT_THE_CASE = (
    "report",
    "bundle",
    "grant",
    "revoke",
    "read",
    "viewed",
)  # actions of the timeline that change nothing that a report shows


def report_data(case: Case) -> ReportData:
    """The values of the case's report, of its current revision.

    Raises `NotAllowed` for a signed case whose rows no longer say what was signed: that must not be printed.
    """
    content = _content(case)
    rows = list(items_of(case).select_related("decision__deployment", "decision__model_version"))
    freezes = list(Population.objects.filter(case=case, revision=case.revision).order_by("id").defer("leaf_indexes"))
    population = freezes[-1] if freezes else None
    sample = sample_from(population) if population else None
    signatures = list(Signature.objects.filter(case=case, revision=case.revision).order_by("id"))
    checkpoint = latest_checkpoint(population.shard) if population else None
    certificate = report_certificate() if case.is_sealed else None
    decisions = [row.decision for row in rows]
    return ReportData(
        head=_head(case, signatures),
        scope=tuple(scope_of(case).as_dict().items()),
        population=_freeze(population) if population else None,
        earlier_freezes=tuple(_freeze(row) for row in freezes[:-1]),
        sample=_sample(sample) if sample else None,
        limit=_limit(evaluation_of(case, sample, progress_of(case))),
        items=_items(case, rows),
        findings=tuple(_finding(row) for row in _findings(case)),
        policy_sets=_policy_sets(decisions),
        models=_models(decisions),
        systems=_systems(decisions),
        signatures=tuple(_signature(row) for row in signatures),
        ledger=_ledger(checkpoint) if checkpoint else None,
        content=content,
        content_sha256=content_sha256(content),
        proofs=_proofs(rows[:ATTACHED_PROOFS], checkpoint) if checkpoint else (),
        file_signer=FileSigner(certificate.subject, certificate.sha256) if certificate else None,
        unproven=sum(1 for row in rows if checkpoint is None or row.leaf_index >= checkpoint.size),
    )


def _content(case: Case) -> bytes:
    content = case_content(case)
    if not case.is_sealed:
        return content
    sealed = CaseRevision.objects.get(case=case, revision=case.revision)
    if bytes(sealed.content) != content:
        raise NotAllowed("The case no longer says what was signed: nothing is reported before that is explained.")
    return bytes(sealed.content)


def _head(case: Case, signatures: Sequence[Signature]) -> Head:
    last = CaseEvent.objects.filter(case=case).exclude(action__in=ABOUT_THE_CASE).order_by("-id").first()
    is_signed = case.is_sealed
    return Head(
        organisation=case.tenant.name,
        case_id=case.pk,
        reference=case.reference,
        title=case.title,
        type=case.get_type_display(),
        revision=case.revision,
        state="Signed" if is_signed else case.get_state_display(),
        is_signed=is_signed,
        as_of=signatures[-1].signed_at if is_signed else uuid7_time(last.pk) if last else case.state_at,
        opened_at=case.opened_at,
        lead=_name(case.lead),
        preparer=_name(case.preparer),
        reviewer=_name(case.reviewer),
        objective=case.objective,
        criteria=case.criteria,
    )


def _name(person: object) -> str:
    return str(person) if person else ""


def _freeze(row: Population) -> Freeze:
    return Freeze(
        count=row.count,
        checkpoint_size=row.checkpoint_size,
        checkpoint_root=bytes(row.checkpoint_root),
        sha256=bytes(row.sha256),
        frozen_at=row.frozen_at,
        reason=row.reason,
    )


def _sample(row: Sample) -> SampleDrawn:
    return SampleDrawn(
        kind=row.method,
        method=Method(row.method).label,
        is_everything=row.method == Method.ALL,
        size=row.size,
        acceptable=row.acceptable,
        expected_rate=_rate(row.expected_bp),
        tolerable_rate=row.tolerable_rate,
        overreliance=row.risk,
        seed=bytes(row.seed) if row.seed else None,
        seed_checkpoint_size=row.seed_checkpoint_size,
        justification=row.justification,
        drawn_at=row.drawn_at,
        terms=tuple(terms(row)),
        strata=tuple((part["name"], part["population"], part["size"], part["value"]) for part in strata_rows(row)),
        code_letter=row.code_letter,
        interval=in_currency(row, row.interval_micros),
    )


def _rate(basis_points: int | None) -> float | None:
    return None if basis_points is None else basis_points / 10_000


def _limit(found: Evaluation | None) -> Limit | None:
    if found is None:
        return None
    return Limit(
        found.n,
        found.deviations,
        found.observed,
        found.upper_limit,
        found.tolerable_rate,
        found.is_acceptable,
        found.words,
        found.basis,
    )


def _items(case: Case, rows: Sequence[CaseItem]) -> tuple[ItemLine, ...]:
    kept = set(_kept(items_of(case)))
    people = {str(pk): str(user) for pk, user in User.objects.in_bulk([row.preparer_id for row in rows]).items()}
    return tuple(_item(row, people.get(str(row.preparer_id), ""), row.decision_id not in kept) for row in rows)


def _kept(items: "QuerySet[CaseItem]") -> "QuerySet[DecisionPayload, uuid.UUID]":
    """Which of the items' decisions still have their content: the payload and the key that opens it."""
    wanted = DecisionPayload.objects.filter(pk__in=items.order_by().values("decision_id"))
    return wanted.filter(subject_key_id__in=SubjectKey.objects.values("pk")).values_list("pk", flat=True)


def _item(row: CaseItem, preparer: str, is_erased: bool) -> ItemLine:
    decision: Decision = row.decision
    return ItemLine(
        ordinal=row.ordinal,
        decision_id=decision.pk,
        occurred_at=decision.occurred_at,
        system=str(decision.deployment),
        model=str(decision.model_version),
        action=decision.action,
        verdict=decision.verdict,
        leaf_index=row.leaf_index,
        leaf_hash=bytes(row.leaf_hash),
        conclusion=row.conclusion,
        note=row.note,
        preparer=preparer,
        is_erased=is_erased,
        replaces=row.replaces,
        replaced_by=row.replaced_by,
    )


def _findings(case: Case) -> "QuerySet[Finding]":
    return Finding.objects.filter(case=case).select_related("item", "owner").order_by("number")


def _finding(row: Finding) -> FindingLine:
    return FindingLine(
        reference=row.reference,
        item=row.item.ordinal if row.item else None,
        kind=row.get_kind_display(),
        severity=row.get_severity_display(),
        state=row.get_state_display(),
        criteria=row.criteria,
        condition=row.condition,
        cause=row.cause,
        effect=row.effect,
        recommendation=row.recommendation,
        response=row.response,
        owner=_name(row.owner),
        due=row.due,
    )


def _signature(row: Signature) -> SignatureLine:
    return SignatureLine(
        name=row.name_printed,
        role=row.role,
        meaning=row.get_meaning_display(),
        signed_at=row.signed_at,
        methods=tuple(row.auth_methods),
        payload_sha256=bytes(row.payload_sha256),
        event=row.pk,
    )


def _policy_sets(decisions: Iterable[Decision]) -> tuple[PolicySetUsed, ...]:
    """The sets that judged the items, most used first."""
    used = Counter(bytes(decision.policy_set) for decision in decisions)
    stored = PolicySet.objects.filter(sha256__in=list(used))
    members = {bytes(row.sha256): parse_strict(bytes(row.members)) for row in stored}
    hashes = {bytes.fromhex(sha256) for member in members.values() for _, sha256, _ in member}
    versions: dict[tuple[str, str], list[PolicyVersion]] = {}
    for row in PolicyVersion.objects.filter(sha256__in=list(hashes)).select_related("policy").order_by("number"):
        versions.setdefault((row.policy.slug, bytes(row.sha256).hex()), []).append(row)
    return tuple(
        PolicySetUsed(
            digest,
            n,
            tuple(
                _policy_line(slug, sha256, mode, versions.get((slug, sha256), ()))
                for slug, sha256, mode in members.get(digest, ())
            ),
        )
        for digest, n in sorted(used.items(), key=lambda pair: (-pair[1], pair[0]))
    )


def policies_of(decision: Decision) -> tuple[PolicyLine, ...]:
    """The policies of the set that judged one decision."""
    return next((used.members for used in _policy_sets([decision])), ())


def _policy_line(slug: str, sha256: str, mode: str, rows: Sequence[PolicyVersion]) -> PolicyLine:
    numbers = ", ".join(f"v{row.number}" for row in rows)
    return PolicyLine(slug, rows[0].policy.title if rows else "", numbers, sha256, mode)


def _models(decisions: Iterable[Decision]) -> tuple[Met, ...]:
    found: Counter[tuple[str, str]] = Counter()
    for decision in decisions:
        model = decision.model_version
        prompt = " ".join(part for part in (model.prompt_name, model.prompt_version) if part)
        detail = " · ".join(part for part in (model.provider, f"prompt {prompt}" if prompt else "") if part)
        found[str(model), detail] += 1
    return _met(found)


def _systems(decisions: Iterable[Decision]) -> tuple[Met, ...]:
    found: Counter[tuple[str, str]] = Counter()
    for decision in decisions:
        found[str(decision.deployment), decision.system_version] += 1
    return _met(found)


def _met(found: Counter[tuple[str, str]]) -> tuple[Met, ...]:
    ranked = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(Met(name, detail, n) for (name, detail), n in ranked)


def _ledger(checkpoint: LedgerCheckpoint) -> Ledger:
    return Ledger(
        origin=checkpoint.note.partition("\n")[0],
        size=checkpoint.size,
        root=bytes(checkpoint.root),
        note=checkpoint.note,
        signed_at=checkpoint.signed_at,
        vkeys=tuple(log.vkey for log in trust_policy().logs),
    )


def _proofs(rows: Sequence[CaseItem], checkpoint: LedgerCheckpoint) -> tuple[Attachment, ...]:
    """The inclusion proof of each item that the checkpoint covers."""
    indexes = [row.leaf_index for row in rows if row.leaf_index < checkpoint.size]
    leaves = LedgerLeaf.objects.filter(shard=checkpoint.shard, leaf_index__in=indexes)
    by_index = {leaf.leaf_index: leaf for leaf in leaves}
    prover = Prover(checkpoint, indexes)
    return tuple(
        Attachment(
            f"item-{row.ordinal:05d}-{row.decision_id}{FILE_EXTENSION}",
            prover.proof(by_index[row.leaf_index]).encode(),
            f"Inclusion proof of item {row.ordinal}",
        )
        for row in rows
        if row.leaf_index in by_index
    )
