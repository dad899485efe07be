"""One POST to a real server: no redirect, no flood, no drip, and TLS that is verified."""

import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import override_settings

from tenants.webhooks import transport
from tenants.webhooks.guard import AddressRefused, parse_url
from tenants.webhooks.transport import ANSWER_BYTES, post
from tests.tenants.webhooks.receiver import Receiver, receiving


def test_what_is_sent_arrives_and_the_head_of_the_answer_comes_back(receiver: Receiver) -> None:
    receiver.answers = [(200, {"Retry-After": "7"}, b"thank you")]
    answer = post(parse_url(receiver.url), b"{}", {"webhook-id": "msg_1"})
    assert (answer.status, answer.head, answer.retry_after) == (200, "thank you", 7)
    (got,) = receiver.got
    assert (got.path, got.body, got.headers["webhook-id"]) == ("/hooks?to=us", b"{}", "msg_1")
    assert got.headers["Host"] == f"localhost:{receiver.port}"


def test_nothing_inside_is_asked_unless_the_operator_opened_it() -> None:
    with receiving() as hidden, override_settings(AFFIDAVIT_WEBHOOK_NETWORKS=["10.0.0.0/8"]):
        with pytest.raises(AddressRefused):
            post(parse_url(hidden.url), b"{}", {})
        assert hidden.got == []


def test_a_redirect_is_told_and_not_followed(receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.answers = [(307, {"Location": elsewhere.url}, b"")]
        assert post(parse_url(receiver.url), b"{}", {}).status == 307
        assert elsewhere.got == []


def test_a_flood_is_read_no_further_than_its_head(receiver: Receiver) -> None:
    receiver.answers = [(200, {}, b"x" * 5_000_000)]
    assert len(post(parse_url(receiver.url), b"{}", {}).head) == ANSWER_BYTES


def test_an_answer_that_drips_is_cut(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "TOTAL_SECONDS", 0.4)
    receiver.answers, receiver.drip = [(200, {}, b"x" * 400)], 0.05
    began = time.monotonic()
    assert len(post(parse_url(receiver.url), b"{}", {}).head) < 100
    assert time.monotonic() - began < 5


def test_silence_is_no_answer(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "TOTAL_SECONDS", 0.3)
    receiver.silence = 2.0
    began = time.monotonic()
    with pytest.raises(OSError, match="without response"):
        post(parse_url(receiver.url), b"{}", {})
    assert time.monotonic() - began < 1.5


def a_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """(certificate, key) of a name, signed by itself."""
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / f"{name}.pem", folder / f"{name}.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return pem, private


@pytest.mark.parametrize(("name", "is_trusted"), [("localhost", True), ("localhost", False), ("example.com", True)])
def test_tls_is_verified_against_the_name(
    name: str, is_trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, key = a_certificate(tmp_path, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with receiving(context) as receiver, override_settings(AFFIDAVIT_WEBHOOK_NETWORKS=["127.0.0.0/8", "::1/128"]):
        if name == "localhost" and is_trusted:
            assert post(parse_url(receiver.url), b"{}", {}).status == 204
            return
        with pytest.raises(ssl.SSLCertVerificationError):
            post(parse_url(receiver.url), b"{}", {})
        assert receiver.got == []
