"""The certificate that an instance makes for itself."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from config.certificates import report_key_files


def test_key_and_certificate_fit_and_are_made_once(tmp_path: Path) -> None:
    key, certificate = tmp_path / "report.key", tmp_path / "report.crt"
    report_key_files(key, certificate)
    first = key.read_bytes(), certificate.read_bytes()
    report_key_files(key, certificate)
    assert (key.read_bytes(), certificate.read_bytes()) == first
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    found = x509.load_pem_x509_certificate(first[1])
    assert load_pem_private_key(first[0], None).public_key() == found.public_key()
    found.verify_directly_issued_by(found)
    assert found.not_valid_after_utc > datetime.now(UTC) + timedelta(days=3_000)
    usage = found.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.content_commitment, usage.key_cert_sign) == (True, True, False)
