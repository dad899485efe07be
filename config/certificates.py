"""The certificate that an instance makes for itself, to sign reports with, until its operator gives it another."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

VALID = timedelta(days=3650)


def report_key_files(key: Path, certificate: Path) -> None:
    """Make an ECDSA P-256 key (PKCS#8, mode 0600) and its self-signed certificate, both PEM, where there is no key.

    The certificate is its own root: whoever gets it over a channel that they trust can validate reports with it.
    """
    if key.exists():
        return
    from cryptography import x509  # every command of the configuration passes here, and hardly one makes a key
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"Affidavit reports (instance of {now:%Y-%m-%d})")])
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=True, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    _write(certificate, built.public_bytes(serialization.Encoding.PEM), 0o644)
    plain = serialization.NoEncryption()
    _write(key, private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain), 0o600)


def _write(path: Path, data: bytes, mode: int) -> None:
    """All of it or nothing, flushed to the disk."""
    partial = path.with_suffix(f".{os.getpid()}")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
