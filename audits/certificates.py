"""The instance's key for signing reports, and its certificate: made by the product, or given by the operator.

`AFFIDAVIT_REPORT_KEY` is a private key as PEM, or a PKCS#12 file with key and certificates. `AFFIDAVIT_REPORT_CERT`
is PEM: the key's certificate, then those that lead to its root; not needed beside PKCS#12.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12
from django.conf import settings

PEM = b"-----BEGIN"
DER, SPKI = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo


class BadCredentials(ValueError):
    """A key or certificate that cannot be used, and why."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Who signs, as DER: the signer's certificate, and the chain behind it."""

    der: bytes
    chain: tuple[bytes, ...]
    subject: str
    sha256: bytes
    until: datetime


@dataclass(frozen=True, slots=True)
class Credentials:
    """A certificate with its private key, as unencrypted PKCS#8 DER. Its text never names the key."""

    certificate: Certificate
    key: bytes

    def __repr__(self) -> str:
        return f"Credentials({self.certificate.subject})"


def report_certificate() -> Certificate | None:
    """The certificate that reports are signed under; None where this instance signs none. Raises `BadCredentials`."""
    if settings.AFFIDAVIT_REPORT_CERT:
        return _certificate(_pem_certificates(settings.AFFIDAVIT_REPORT_CERT))
    found = report_credentials()
    return found.certificate if found else None


def report_credentials() -> Credentials | None:
    """What this process signs reports with; None where it has no key. Raises `BadCredentials`."""
    if not settings.AFFIDAVIT_REPORT_KEY:
        return None
    password = settings.AFFIDAVIT_REPORT_KEY_PASSWORD
    return _credentials(settings.AFFIDAVIT_REPORT_KEY, settings.AFFIDAVIT_REPORT_CERT or b"", password)


def is_signed_elsewhere() -> bool:
    """Whether final reports get their signature from another process: this one has the certificate, and no key."""
    return bool(settings.AFFIDAVIT_REPORT_CERT and not settings.AFFIDAVIT_REPORT_KEY)


@lru_cache(maxsize=4)
def _credentials(key: bytes, certificate: bytes, password: str | None) -> Credentials:
    secret = password.encode() if password else None
    chain = _pem_certificates(certificate) if certificate else []
    private: PrivateKeyTypes | None
    try:
        if key.startswith(PEM):
            private = serialization.load_pem_private_key(key, secret)
        else:
            private, stored, others = pkcs12.load_key_and_certificates(key, secret)
            chain = chain or [one for one in (stored, *others) if one]
    except (ValueError, TypeError) as error:
        raise BadCredentials(f"AFFIDAVIT_REPORT_KEY is no private key that can be read: {error}") from None
    if private is None or not chain:
        raise BadCredentials("A report key needs its certificate: set AFFIDAVIT_REPORT_CERT, or use PKCS#12 with both.")
    if private.public_key().public_bytes(DER, SPKI) != chain[0].public_key().public_bytes(DER, SPKI):
        raise BadCredentials("AFFIDAVIT_REPORT_CERT does not begin with the certificate of AFFIDAVIT_REPORT_KEY.")
    plain = private.private_bytes(DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Credentials(_certificate(chain), plain)


def _pem_certificates(data: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise BadCredentials(f"AFFIDAVIT_REPORT_CERT is no certificate in PEM: {error}") from None


def _certificate(chain: list[x509.Certificate]) -> Certificate:
    first, *others = chain
    return Certificate(
        der=first.public_bytes(DER),
        chain=tuple(one.public_bytes(DER) for one in others),
        subject=first.subject.rfc4514_string(),
        sha256=first.fingerprint(hashes.SHA256()),
        until=first.not_valid_after_utc,
    )


def trouble(now: datetime | None = None) -> str:
    """What keeps reports from being signed so that others accept it; empty: nothing."""
    try:
        found, _ = report_certificate(), report_credentials()
    except BadCredentials as error:
        return str(error)
    if found and found.until <= (now or datetime.now(UTC)):
        return f"The certificate for reports, {found.subject}, ended on {found.until:%Y-%m-%d}."
    return ""
