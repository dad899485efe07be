"""The final report as a file: signed by the worker, its two hashes in the log, the same bytes at every download."""

import hashlib
import json
from io import BytesIO

import pytest
from asn1crypto import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext
from pytest_django import Settings

from audits.models import Case, Pades
from audits.publishing import build_report, current_report, report_pdf
from audits.workflow import NotAllowed, State
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tests.audits.reports.credentials import authority, issue
from tests.factories.audits import Team, case_in_review, fresh, make_team, signed_case
from tests.factories.tenants import Cast
from tests.factories.traces import submit

ROOT = issue("Root of the tests")
SIGNER = issue("Reports of the tests", ROOT)


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 2)
    return make_team(cast)


@pytest.fixture
def keyed(settings: Settings) -> Settings:
    """The process has the key of reports."""
    settings.AFFIDAVIT_REPORT_KEY, settings.AFFIDAVIT_REPORT_CERT = SIGNER.key_pem, SIGNER.pem
    return settings


def built(case: Case) -> dict[str, object]:
    """The body of the event report.built."""
    with tenant_atomic(case.tenant_id):
        found: dict[str, object] = json.loads(bytes(LedgerEvent.objects.get(tag="report.built").body))
    return found


def test_the_file_is_signed_and_both_hashes_are_in_the_log(team: Team, keyed: Settings) -> None:
    case = signed_case(team)
    report = build_report(case=case, requested_by=team.lead)
    with tenant_atomic(case.tenant_id):
        pdf = report_pdf(report) or b""
        assert report_pdf(report) == pdf
        assert current_report(by=team.bystander, case=case) == report
    body = built(case)
    assert hashlib.sha256(pdf).hexdigest() == body["signed_sha256"] == report.file_sha256.hex()
    assert hashlib.sha256(pdf[: report.bytes]).hexdigest() == body["sha256"] == bytes(report.sha256).hex()
    assert (report.pades, body["pades"]) == (Pades.B, "B-B")
    trusted = [x509.Certificate.load(ROOT.certificate.public_bytes(Encoding.DER))]
    (signature,) = PdfFileReader(BytesIO(pdf)).embedded_signatures
    status = validate_pdf_signature(signature, ValidationContext(trust_roots=trusted, allow_fetching=False))
    assert status.bottom_line
    assert body["certificate_sha256"] == hashlib.sha256(signature.signer_cert.dump()).hexdigest()
    assert fresh(case).state == State.REPORTED


def test_with_an_authority_it_is_stamped(team: Team, keyed: Settings) -> None:
    with authority(issue("Clock", ROOT, stamps=True)) as url:
        keyed.AFFIDAVIT_TSA_URL, keyed.AFFIDAVIT_TSA_ROOTS = url, ""
        report = build_report(case=signed_case(team), requested_by=team.lead)
    assert report.pades == Pades.T


def test_a_process_without_the_key_leaves_it_to_the_worker(team: Team, settings: Settings) -> None:
    settings.AFFIDAVIT_REPORT_CERT = SIGNER.pem
    case = signed_case(team)
    with tenant_atomic(case.tenant_id):
        assert current_report(by=team.lead, case=case) is None
    with pytest.raises(NotAllowed, match="the worker builds"):
        build_report(case=case, requested_by=team.lead)
    assert fresh(case).state == State.SIGNED


def test_a_draft_is_not_signed(team: Team, keyed: Settings) -> None:
    report = current_report(by=team.lead, case=case_in_review(team))
    assert report is not None
    assert (report.pades, report.signed_sha256) == ("", None)
    assert report.file_sha256 == bytes(report.sha256)


def test_an_instance_without_a_key_signs_nothing_and_says_so(team: Team) -> None:
    case = signed_case(team)
    report = build_report(case=case, requested_by=team.lead)
    assert report.pades == ""
    assert "signed_sha256" not in built(case)
