"""Reports: built from one content of a case, kept, and committed to in the log by their hash."""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings

from audits.access import get_case
from audits.certificates import is_signed_elsewhere, report_credentials
from audits.content import case_content, content_sha256
from audits.gather import report_data
from audits.models import Case, Pades, Report, ReportDocument, ReportKind
from audits.reports.pades import Stamp, sign_pdf
from audits.reports.pdf import render
from audits.selectors import items_of, population_of
from audits.timeline import Stale, move, open_to_change, record, refuse
from audits.workflow import Action, NotAllowed, State
from tenants.actors import Actor, system_actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger import timestamps

INLINE_ITEMS = 300  # up to here a report is built while the reader waits; beyond, by a worker


def reporter(case: Case) -> Actor:
    """The product itself, as the builder of reports."""
    return system_actor(case.tenant_id, "reporter", "case.read")


def stored_report(case: Case) -> Report | None:
    """The final report of a signed revision; else the draft that shows the case as it is now."""
    reports = Report.objects.filter(case=case, revision=case.revision).order_by("-id")
    if case.is_sealed:
        return reports.filter(kind=ReportKind.FINAL).first()
    return reports.filter(kind=ReportKind.DRAFT, content_sha256=content_sha256(case_content(case))).first()


def current_report(*, by: Actor, case: Case) -> Report | None:
    """The report of the case as it is, built now where it is small; None where it is for a worker to build: many items,
    or a final one that the worker has the key for.

    Raises `NotAllowed` before a population is frozen: there is nothing to report.
    """
    with tenant_atomic(by.tenant_id):
        row = get_case(by, case.pk)
        if found := stored_report(row):
            return found
        if population_of(row) is None:
            raise refuse(row, by, "There is nothing to report before the population is frozen.")
        if items_of(row).count() > INLINE_ITEMS or (row.is_sealed and is_signed_elsewhere()):
            return None
        return build_report(case=row, requested_by=by)


def build_report(*, case: Case, requested_by: Actor) -> Report:
    """Build and keep the report of a case. Building it again changes nothing.

    1. Read, and note which content it is. 2. Render and, a final one, sign the file, without a lock: the time stamp
    comes over the network. 3. Lock; keep it if the content is still that.
    """
    by = reporter(case)
    with tenant_atomic(by.tenant_id):
        seen = get_case(by, case.pk)
        if found := stored_report(seen):
            return found
        digest = content_sha256(case_content(seen))
        data = report_data(seen)
    pdf = render(data)
    seal = _signed(pdf) if seen.is_sealed else None
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk)
        if found := stored_report(locked):
            return found
        if content_sha256(case_content(locked)) != digest or locked.is_sealed != seen.is_sealed:
            raise Stale("The case changed while its report was built; ask for it again.")
        return _keep(locked, by, digest, pdf, seal, requested_by)


@dataclass(frozen=True, slots=True)
class Seal:
    """A rendered report with the file's own signature: under which certificate, at which level."""

    pdf: bytes
    level: Pades
    certificate_sha256: bytes


def _signed(pdf: bytes) -> Seal | None:
    """The file signed by the instance; None where it signs none. Refused in a process that has only the certificate."""
    if is_signed_elsewhere():
        raise NotAllowed("This process does not have the key for reports: the worker builds the final one.")
    credentials = report_credentials()
    if credentials is None:
        return None
    stamp: Stamp | None = None
    if url := settings.AFFIDAVIT_TSA_URL:
        stamp = partial(timestamps.stamp, url, Path(roots) if (roots := settings.AFFIDAVIT_TSA_ROOTS) else None)
    signed = sign_pdf(pdf, credentials, stamp)
    return Seal(signed.pdf, Pades.T if signed.is_stamped else Pades.B, credentials.certificate.sha256)


def _keep(case: Case, by: Actor, content_digest: bytes, pdf: bytes, seal: Seal | None, requested_by: Actor) -> Report:
    """`sha256` and `bytes` are of the document as rendered; those of the whole file follow where it is signed."""
    kind = ReportKind.FINAL if case.is_sealed else ReportKind.DRAFT
    digest = hashlib.sha256(pdf).digest()
    body = {
        "kind": kind,
        "sha256": digest.hex(),
        "bytes": len(pdf),
        "content_sha256": content_digest.hex(),
        "requested_by": requested_by.reference,
    }
    columns: dict[str, Any] = {}
    if seal is not None:
        signed_digest = hashlib.sha256(seal.pdf).digest()
        columns = {
            "signed_sha256": signed_digest,
            "pades": seal.level,
            "certificate_sha256": seal.certificate_sha256,
        }
        body |= {
            "signed_sha256": signed_digest.hex(),
            "pades": seal.level,
            "certificate_sha256": seal.certificate_sha256.hex(),
        }
    if case.state == State.SIGNED:
        event = move(case, by, Action.REPORT, tag=Tag.REPORT_BUILT, body=body)
    else:
        event = record(case, by, Tag.REPORT_BUILT, body, action="report")
    report = Report.objects.create(
        id=event.pk,
        case=case,
        revision=case.revision,
        kind=kind,
        content_sha256=content_digest,
        sha256=digest,
        bytes=len(pdf),
        **columns,
    )
    ReportDocument.objects.create(id=report.pk, pdf=seal.pdf if seal else pdf)
    return report


def report_pdf(report: Report) -> bytes | None:
    """The bytes as they were built; None when they were erased."""
    document = ReportDocument.objects.filter(pk=report.pk).first()
    return bytes(document.pdf) if document else None


def report_filename(case: Case, report: Report) -> str:
    """`C-12-r1-final.pdf`."""
    return f"{case.reference}-r{report.revision}-{report.kind}.pdf"
