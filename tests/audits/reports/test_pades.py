"""The file's own signature, judged by pyhanko as a reader of PDF judges it."""

import hashlib
import subprocess
import sys
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
from asn1crypto import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils.generic import NumberObject
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.fields import MDPPerm
from pyhanko.sign.validation import EmbeddedPdfSignature, validate_pdf_signature
from pyhanko.sign.validation.status import PdfSignatureStatus, SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext
from pypdf import PdfReader

from audits.certificates import Certificate, Credentials
from audits.reports.pades import FIELD, sign_pdf
from audits.reports.pdf import render
from tenants.ledger.timestamps import stamp
from tests.audits.reports.credentials import Issued, authority, issue
from tests.audits.reports.examples import example

ROOT = issue("Root of the tests")
SIGNER = issue("Reports of the tests", ROOT)


def credentials(issued: Issued = SIGNER) -> Credentials:
    der = issued.certificate.public_bytes(Encoding.DER)
    until = issued.certificate.not_valid_after_utc
    certificate = Certificate(der, (), "CN=x", hashlib.sha256(der).digest(), until)
    return Credentials(certificate, issued.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def embedded(pdf: bytes) -> EmbeddedPdfSignature:
    found: list[EmbeddedPdfSignature] = PdfFileReader(BytesIO(pdf)).embedded_signatures
    assert len(found) == 1
    return found[0]


def judged(pdf: bytes, *roots: Issued) -> PdfSignatureStatus:
    trusted = [x509.Certificate.load(root.certificate.public_bytes(Encoding.DER)) for root in roots]
    context = ValidationContext(trust_roots=trusted, allow_fetching=False)
    return validate_pdf_signature(embedded(pdf), context, ts_validation_context=context)


@pytest.fixture(scope="module")
def plain() -> bytes:
    return render(example(3))


@pytest.fixture(scope="module")
def signed(plain: bytes) -> bytes:
    return sign_pdf(plain, credentials()).pdf


def test_it_is_intact_and_trusted_with_the_root(signed: bytes) -> None:
    status = judged(signed, ROOT)
    assert status.intact
    assert status.valid
    assert status.trusted
    assert status.bottom_line
    assert status.coverage == SignatureCoverageLevel.ENTIRE_FILE
    assert status.summary() == "INTACT:TRUSTED,UNTOUCHED"


def test_it_certifies_that_nothing_may_be_added(signed: bytes) -> None:
    found = embedded(signed)
    assert found.docmdp_level == MDPPerm.NO_CHANGES
    assert found.sig_object["/SubFilter"] == "/ETSI.CAdES.detached"


def test_without_the_root_it_is_intact_and_not_trusted(signed: bytes) -> None:
    status = judged(signed, issue("Somebody else"))
    assert status.intact
    assert not status.trusted
    assert not status.bottom_line


def test_the_rendered_bytes_are_the_first_of_the_file(plain: bytes, signed: bytes) -> None:
    assert signed[: len(plain)] == plain
    assert len(signed) > len(plain)


def test_any_changed_byte_is_noticed(plain: bytes, signed: bytes) -> None:
    """In the metadata, in a page, in the evidence attached: wherever the file says something."""
    for mark in (b"/Producer", b"/Author", b"/Contents"):
        at = signed.index(mark, 0, len(plain)) + len(mark) + 3
        changed = signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :]
        assert not judged(changed, ROOT).intact, mark


def test_an_edit_appended_after_it_is_no_report_of_ours(signed: bytes) -> None:
    writer = IncrementalPdfFileWriter(BytesIO(signed))
    page = writer.root["/Pages"]["/Kids"][0].get_object()
    page["/Rotate"] = NumberObject(90)  # type: ignore[no-untyped-call]
    writer.mark_update(page.container_ref)
    out = BytesIO()
    writer.write(out)  # type: ignore[no-untyped-call]
    status = judged(out.getvalue(), ROOT)
    assert status.modification_level == ModificationLevel.OTHER
    assert not status.bottom_line


def test_the_field_is_invisible_and_the_evidence_still_attached(plain: bytes, signed: bytes) -> None:
    before, after = PdfReader(BytesIO(plain)), PdfReader(BytesIO(signed))
    fields = after.get_fields() or {}
    assert list(fields) == [FIELD]
    assert list(map(float, fields[FIELD].indirect_reference.get_object()["/Rect"])) == [0, 0, 0, 0]
    assert {name: files[0] for name, files in after.attachments.items()} == {
        name: files[0] for name, files in before.attachments.items()
    }
    assert [page.extract_text() for page in after.pages] == [page.extract_text() for page in before.pages]


def test_with_an_authority_it_has_a_time_stamp(plain: bytes) -> None:
    stamps = issue("Clock of the tests", ROOT, stamps=True)
    with authority(stamps) as url:
        found = sign_pdf(plain, credentials(), partial(stamp, url, None))
    assert found.is_stamped
    status = judged(found.pdf, ROOT)
    assert status.bottom_line
    assert status.timestamp_validity is not None
    assert status.timestamp_validity.trusted
    assert status.timestamp_validity.intact


def test_a_stamp_that_leads_to_another_root_is_not_taken(plain: bytes, tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_bytes(issue("Another root").pem)
    with authority(issue("Clock of the tests", ROOT, stamps=True)) as url:
        found = sign_pdf(plain, credentials(), partial(stamp, url, tmp_path / "roots.pem"))
    assert not found.is_stamped
    assert judged(found.pdf, ROOT).bottom_line


def test_a_stamp_that_leads_to_the_root_is_taken(plain: bytes, tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_bytes(ROOT.pem)
    with authority(issue("Clock of the tests", ROOT, stamps=True)) as url:
        assert sign_pdf(plain, credentials(), partial(stamp, url, tmp_path / "roots.pem")).is_stamped


def test_an_authority_that_does_not_answer_does_not_keep_the_report(plain: bytes) -> None:
    found = sign_pdf(plain, credentials(), partial(stamp, "http://127.0.0.1:9/none", None))
    assert not found.is_stamped
    assert judged(found.pdf, ROOT).bottom_line


def test_pyhanko_is_not_loaded_until_a_report_is_signed() -> None:
    code = "import sys, audits.reports.pades, audits.certificates; print('pyhanko' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
