"""The key for reports, in each form it may be given, and what is wrong with those that are refused."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from pytest_django import Settings

from audits.certificates import BadCredentials, is_signed_elsewhere, report_certificate, report_credentials, trouble
from tests.audits.reports.credentials import Issued, issue

ROOT = issue("Root of the tests")
SIGNER = issue("Reports of the tests", ROOT)


def p12(issued: Issued, password: bytes | None) -> bytes:
    algorithm = BestAvailableEncryption(password) if password else NoEncryption()
    return serialize_key_and_certificates(b"reports", issued.key, issued.certificate, [ROOT.certificate], algorithm)


@pytest.fixture
def keyed(settings: Settings) -> Settings:
    settings.AFFIDAVIT_REPORT_KEY, settings.AFFIDAVIT_REPORT_CERT = SIGNER.key_pem, SIGNER.pem + ROOT.pem
    settings.AFFIDAVIT_REPORT_KEY_PASSWORD = None
    return settings


def test_pem(keyed: Settings) -> None:
    found = report_credentials()
    assert found is not None
    assert found.certificate.subject == "CN=Reports of the tests"
    assert found.certificate.chain == (ROOT.certificate.public_bytes(Encoding.DER),)
    assert report_certificate() == found.certificate
    assert not is_signed_elsewhere()
    assert not trouble()


@pytest.mark.parametrize("password", [None, "secret"])
def test_pkcs12(keyed: Settings, password: str | None) -> None:
    keyed.AFFIDAVIT_REPORT_KEY = p12(SIGNER, password.encode() if password else None)
    keyed.AFFIDAVIT_REPORT_CERT, keyed.AFFIDAVIT_REPORT_KEY_PASSWORD = None, password
    found = report_credentials()
    assert found is not None
    assert found.certificate.subject == "CN=Reports of the tests"
    assert found.certificate.chain == (ROOT.certificate.public_bytes(Encoding.DER),)
    assert found.key == SIGNER.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert report_certificate() == found.certificate


def test_an_encrypted_key_needs_its_password(keyed: Settings) -> None:
    keyed.AFFIDAVIT_REPORT_KEY = p12(SIGNER, b"secret")
    keyed.AFFIDAVIT_REPORT_KEY_PASSWORD = "wrong"
    with pytest.raises(BadCredentials, match="can be read"):
        report_credentials()


def test_a_process_with_the_certificate_alone_signs_nothing(keyed: Settings) -> None:
    keyed.AFFIDAVIT_REPORT_KEY = None
    assert report_credentials() is None
    assert is_signed_elsewhere()
    assert report_certificate() is not None


@pytest.mark.parametrize(
    ("key", "certificate", "why"),
    [
        (SIGNER.key_pem, ROOT.pem, "does not begin with the certificate"),
        (SIGNER.key_pem, None, "needs its certificate"),
        (b"-----BEGIN PRIVATE KEY-----", SIGNER.pem, "can be read"),
        (SIGNER.key_pem, b"nothing", "no certificate in PEM"),
    ],
)
def test_what_is_wrong_is_said_at_the_start(keyed: Settings, key: bytes, certificate: bytes | None, why: str) -> None:
    keyed.AFFIDAVIT_REPORT_KEY, keyed.AFFIDAVIT_REPORT_CERT = key, certificate
    assert why in trouble()


def test_a_certificate_that_ended_is_noticed(keyed: Settings) -> None:
    ended = issue("Old", ROOT, until=datetime.now(UTC) - timedelta(hours=1))
    keyed.AFFIDAVIT_REPORT_KEY, keyed.AFFIDAVIT_REPORT_CERT = ended.key_pem, ended.pem
    assert "ended on" in trouble()


def test_the_key_is_never_in_its_text(keyed: Settings) -> None:
    found = report_credentials()
    assert found is not None
    assert repr(found) == "Credentials(CN=Reports of the tests)"
