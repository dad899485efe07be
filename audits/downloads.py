"""The files that leave a case, the same through pages and API: report (PDF), evidence bundle (zip), evidence."""

from base64 import b64encode

from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.utils.http import content_disposition_header

from audits import tasks
from audits.bundle import export_bundle
from audits.evidence import read_evidence
from audits.models import Case, EvidenceFile, Report
from audits.publishing import current_report, report_filename, report_pdf, stored_report
from tenants.actors import Actor

RETRY_SECONDS = 5
PDF, ZIP = "application/pdf", "application/zip"


def report_response(actor: Actor, case: Case) -> HttpResponse | None:
    """The PDF of the case as it is; None while a worker builds it. Raises `NotAllowed` where there is nothing yet."""
    report = current_report(by=actor, case=case)
    if report is None:
        tasks.build_report_later(case)
        return None
    return _answer(case, report)


def kept_report(then: Case) -> HttpResponse:
    """The final report of a signed revision (`revisions.as_of`); 404 where there is none."""
    report = stored_report(then)
    if report is None:
        raise Http404("No such report.")
    return _answer(then, report)


def _answer(case: Case, report: Report) -> HttpResponse:
    pdf = report_pdf(report)
    if pdf is None:
        return HttpResponse("This report was erased.", status=410, content_type="text/plain")
    headers = {
        "Content-Disposition": content_disposition_header(True, report_filename(case, report)) or "",
        "Content-Digest": f"sha-256=:{b64encode(report.file_sha256).decode()}:",
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(pdf, content_type=PDF, headers=headers)


def bundle_response(actor: Actor, case: Case) -> HttpResponseBase:
    """The bundle, streamed from a temporary file."""
    file = export_bundle(by=actor, case=case)
    name = f"{case.reference}-r{case.revision}-evidence.zip"
    return FileResponse(file, as_attachment=True, filename=name, content_type=ZIP)


def evidence_response(actor: Actor, case: Case, file: EvidenceFile) -> HttpResponse:
    """A file as it was handed in: an attachment, of the type its bytes have, that no browser runs or guesses about."""
    data = read_evidence(by=actor, file=file, purpose=f"case {case.reference}")
    if data is None:
        return HttpResponse("This file was erased.", status=410, content_type="text/plain")
    headers = {
        "Content-Disposition": content_disposition_header(True, file.name) or "attachment",
        "Content-Digest": f"sha-256=:{b64encode(bytes(file.sha256)).decode()}:",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-store",
    }
    return HttpResponse(data, content_type=file.media_type, headers=headers)
