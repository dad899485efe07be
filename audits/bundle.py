"""The evidence bundle of a case: a zip that verifies offline, with the verifier in it.

Its layout is `affidavit-bundle/1`, scope `case`, as `audits/verifier/affidavit_verify.py` describes; beside that it
holds the case itself, its population, policies and report. What is left out is listed with its reason.
"""

import tempfile
import uuid
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import IO, Any

from audits.bundle_writer import ERASED, TOOLS, BundleWriter, record_document
from audits.content import case_content, file_document
from audits.drawing import indexes_of
from audits.evidence import files_of, open_evidence
from audits.models import Case, CaseEvent, CaseItem, CaseRevision, Sample
from audits.populations import seed_checkpoint
from audits.publishing import report_pdf, stored_report
from audits.reading import reader_in
from audits.selectors import items_of, population_of
from audits.timeline import record, refuse
from policies.models import PolicySet, PolicyVersion
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.canonical import dumps, parse_strict
from tenants.ledger.commitments import parse_leaf
from tenants.ledger.reader import Prover, latest_checkpoint, trust_policy
from tenants.ledger.redaction import is_redacted, redaction_of
from tenants.models import LedgerCheckpoint, LedgerEvent, LedgerLeaf
from traces.contents import erased_reasons
from traces.models import Decision
from traces.sealing import Content
from traces.selectors import open_payloads

BATCH = 200
SPOOL_BYTES = 8 * 2**20

NOT_COVERED = "not yet covered by a signed checkpoint"
NOT_ALLOWED = "content not disclosed: the reader's role does not open it"


def export_bundle(*, by: Actor, case: Case) -> IO[bytes]:
    """The bundle of the case as this reader may see it, in a temporary file that goes when it is closed.

    Its contents are opened in the reader's name, which the log records. Raises `NotAllowed` before there are items.
    """
    with tenant_atomic(by.tenant_id):
        checkpoint = latest_checkpoint()
        if checkpoint is None or not items_of(case).exists():
            raise refuse(case, by, "There is no evidence before the sample is drawn.")
        file: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 (the response closes it)
        with BundleWriter(file) as writer:
            _add_case(writer, case)
            _add_population(writer, case)
            _add_records(writer, case, reader_in(case, by), checkpoint)
            _add_evidence(writer, case)
            _add_policies(writer, case)
            _add_frame(writer, checkpoint)
            origin = checkpoint.note.partition("\n")[0]
            head = {"size": checkpoint.size, "root": b64encode(bytes(checkpoint.root)).decode()}
            writer.finish({"scope": "case", "origin": origin, "case": str(case.pk), "checkpoint": head})
        record(case, by, Tag.BUNDLE_EXPORTED, _exported(case, writer), action="bundle")
    file.seek(0)
    return file


def _exported(case: Case, writer: BundleWriter) -> dict[str, Any]:
    """What went out: the numbers of the files of evidence are part of their custody."""
    numbers = list(case.files.order_by("number").values_list("number", flat=True))
    return {"files": len(writer.files), "missing": len(writer.missing), "evidence": numbers}


def _add_case(writer: BundleWriter, case: Case) -> None:
    """What was signed (or would be), who signed it, and the report."""
    sealed = CaseRevision.objects.filter(case=case, revision=case.revision).first()
    writer.add("case.json", bytes(sealed.content) if sealed else case_content(case))
    signatures = case.signatures.filter(revision=case.revision).order_by("id")
    told = [
        {
            "event": str(signature.pk),
            "name": signature.name_printed,
            "role": signature.role,
            "meaning": signature.get_meaning_display(),
            "signed_at": signature.signed_at.isoformat(),
            "auth_methods": signature.auth_methods,
            "payload_sha256": bytes(signature.payload_sha256).hex(),
        }
        for signature in signatures
    ]
    writer.add("signatures.json", dumps(told))
    report = stored_report(case)
    pdf = report_pdf(report) if report else None
    if pdf is None:
        writer.leave_out("report.pdf", ERASED if report else "not built yet")
    else:
        writer.add("report.pdf", pdf)


def _add_evidence(writer: BundleWriter, case: Case) -> None:
    """Every file as it was handed in, superseded ones too, with its custody. Erased ones are listed as missing."""
    files = list(files_of(case))
    custody: dict[uuid.UUID | None, list[dict[str, str]]] = {file.pk: [] for file in files}
    for event in CaseEvent.objects.filter(file__in=custody).order_by("id"):
        told = {"event": str(event.pk), "action": event.action, "by": event.actor, "label": event.actor_label}
        custody[event.file_id].append(told)
    for file in files:
        path = f"evidence/{file.number:04d}-{_ascii(file.name)}"
        data = open_evidence([file]).get(file.pk)
        if data is None:
            writer.leave_out(path, ERASED)
        else:
            writer.add(path, data)
    told_files = [
        file_document(file) | {"path": f"evidence/{file.number:04d}-{_ascii(file.name)}", "custody": custody[file.pk]}
        for file in files
    ]
    writer.add("evidence.json", dumps(told_files))


def _ascii(name: str) -> str:
    """A file's name as a member of a zip that unpacks the same everywhere."""
    return "".join(char if char.isascii() and (char.isalnum() or char in ".-_") else "_" for char in name)


def _add_population(writer: BundleWriter, case: Case) -> None:
    """What is needed to draw the sample again."""
    population = population_of(case)
    if population is None:
        return
    writer.add("population/leaf-indexes.txt", "".join(f"{index}\n" for index in indexes_of(population)))
    at = LedgerCheckpoint.objects.get(shard=population.shard, size=population.checkpoint_size)
    writer.add("population/checkpoint.txt", at.note)
    if seed := seed_checkpoint(population):
        writer.add("population/seed-checkpoint.txt", seed.note)
    else:
        writer.leave_out("population/seed-checkpoint.txt", NOT_COVERED)
    sample = Sample.objects.filter(population=population).first()
    if sample is not None and sample.frame is not None:
        writer.add("population/frame.csv", bytes(sample.frame))


def _add_records(writer: BundleWriter, case: Case, by: Actor, checkpoint: LedgerCheckpoint) -> None:
    """The items' decisions and every event of the case: record, leaf and proof of each, in batches."""
    items = items_of(case).select_related("decision")
    last = 0
    while batch := list(items.filter(ordinal__gt=last)[:BATCH]):
        _add_decisions(writer, by, case, batch, checkpoint)
        last = batch[-1].ordinal
    events = list(CaseEvent.objects.filter(case=case).order_by("id").values_list("pk", flat=True))
    for start in range(0, len(events), BATCH):
        _add_events(writer, events[start : start + BATCH], checkpoint)


def _add_decisions(
    writer: BundleWriter, by: Actor, case: Case, items: Sequence[CaseItem], checkpoint: LedgerCheckpoint
) -> None:
    decisions: list[Decision] = [item.decision for item in items]
    may_read = by.may("decision.read_payload")
    purpose = f"bundle of case {case.reference}"
    contents = open_payloads(decisions, by=by, purpose=purpose) if may_read else {}
    leaves = _leaves([decision.pk for decision in decisions])
    reasons = erased_reasons(leaves)
    _add_proofs(writer, leaves.values(), checkpoint)
    for decision in decisions:
        leaf, content = leaves[decision.pk], contents.get(decision.pk)
        reason = reasons.get(decision.pk, ERASED)
        is_gone = content is None and (may_read or decision.pk in reasons)
        if content is None:
            writer.leave_out(decision.pk, reason if is_gone else NOT_ALLOWED)
        groups = parse_leaf(bytes(leaf.leaf)).commitments if is_gone else {}
        writer.add(f"records/{decision.pk}.json", record_document(decision.pk, content, dict.fromkeys(groups, reason)))


def _add_events(writer: BundleWriter, ids: Sequence[uuid.UUID], checkpoint: LedgerCheckpoint) -> None:
    leaves = {pk: leaf for pk, leaf in _leaves(ids).items() if leaf.leaf_index < checkpoint.size}
    _add_proofs(writer, leaves.values(), checkpoint)
    for event in LedgerEvent.objects.filter(pk__in=ids).order_by("id"):
        if event.pk in leaves and is_redacted(event):
            reason = redaction_of(event)
            writer.leave_out(event.pk, reason)
            writer.add(f"records/{event.pk}.json", record_document(event.pk, None, {"event": reason}))
        elif event.pk in leaves:
            content = Content({"event": bytes(event.body)}, {"event": bytes(event.salt)})
            writer.add(f"records/{event.pk}.json", record_document(event.pk, content, {}))
        else:
            writer.leave_out(event.pk, f"{event.tag} {NOT_COVERED}")


def _leaves(ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, LedgerLeaf]:
    return {leaf.rid: leaf for leaf in LedgerLeaf.objects.filter(rid__in=ids)}


def _add_proofs(writer: BundleWriter, leaves: Iterable[LedgerLeaf], checkpoint: LedgerCheckpoint) -> None:
    rows = list(leaves)
    prover = Prover(checkpoint, [leaf.leaf_index for leaf in rows])
    for leaf in rows:
        writer.add(f"proofs/{leaf.rid}.tlog-proof", prover.proof(leaf))


def _add_policies(writer: BundleWriter, case: Case) -> None:
    """The sets that judged the items, and the versions in them; each is named by the SHA-256 of its bytes."""
    used = items_of(case).order_by().values_list("decision__policy_set", flat=True).distinct()
    sets = {bytes(row.sha256): bytes(row.members) for row in PolicySet.objects.filter(sha256__in=list(used))}
    for digest, members in sorted(sets.items()):
        writer.add(f"policies/sets/{digest.hex()}.json", members)
    versions = {bytes.fromhex(sha256) for members in sets.values() for _, sha256, _ in parse_strict(members)}
    for version in PolicyVersion.objects.filter(sha256__in=sorted(versions)).order_by("sha256").distinct("sha256"):
        writer.add(f"policies/versions/{bytes(version.sha256).hex()}.json", bytes(version.canonical))


def _add_frame(writer: BundleWriter, checkpoint: LedgerCheckpoint) -> None:
    """The head that the proofs lead to, whom to trust, and how to check it all."""
    writer.add("checkpoint.txt", checkpoint.note)
    writer.add("trust-policy.txt", trust_policy().text)
    writer.add("affidavit_verify.py", (TOOLS / "affidavit_verify.py").read_bytes())
    writer.add("README.txt", (TOOLS / "README.txt").read_bytes())
