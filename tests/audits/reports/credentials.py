"""Keys and certificates of a test: a root, one that signs reports, and an RFC 3161 authority that answers HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

PEM = serialization.Encoding.PEM
NO_PASSWORD = serialization.NoEncryption()


@dataclass(frozen=True)
class Issued:
    """A key with its certificate."""

    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, NO_PASSWORD)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(PEM)


def issue(name: str, by: Issued | None = None, *, stamps: bool = False, until: datetime | None = None) -> Issued:
    """A certificate of `by`; of itself, and able to issue others, without one. Its name is that of a host too."""
    now = datetime.now(UTC)
    key = rsa.generate_private_key(65537, 2048) if stamps else ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    signs, is_root = x509.KeyUsage(*[True, True] + [False] * 7), by is None
    issues = x509.KeyUsage(*[True] + [False] * 4 + [True] + [False] * 3)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, until or now) - timedelta(days=1))
        .not_valid_after(until or now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(issues if is_root else signs, critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name.replace(" ", "-"))]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if stamps:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(usage, critical=True)
    return Issued(key, builder.sign(by.key if by else key, hashes.SHA256()))


@contextmanager
def authority(issued: Issued) -> Iterator[str]:
    """An RFC 3161 authority at an address of this machine, for as long as the block."""
    from asn1crypto import keys, tsp
    from asn1crypto import x509 as asn1
    from pyhanko.sign.timestamps import DummyTimeStamper

    der = serialization.Encoding.DER
    key = keys.PrivateKeyInfo.load(issued.key.private_bytes(der, serialization.PrivateFormat.PKCS8, NO_PASSWORD))
    stamper = DummyTimeStamper(asn1.Certificate.load(issued.certificate.public_bytes(der)), key)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = tsp.TimeStampReq.load(self.rfile.read(int(self.headers["Content-Length"])))
            answer = stamper.request_tsa_response(asked).dump()
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/tsa"
        server.shutdown()
