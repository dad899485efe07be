"""RFC 3161: a time-stamping authority signs that a head existed at a moment."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    Verifier,
    VerifierBuilder,
    decode_timestamp_response,
)

from tenants.ledger.sinks import Anchored, Head, post

HEADERS = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}


@dataclass(frozen=True, slots=True)
class TimestampSink:
    """Keeps a DER-encoded TimeStampResp over the note's bytes, which leads to a certificate in the PEM file `roots`."""

    url: str
    roots: Path
    name: str = "rfc3161"
    every: timedelta = timedelta(hours=1)

    def anchor(self, head: Head) -> Anchored:
        """Have the note stamped."""
        message = head.note.encode()
        asked = TimestampRequestBuilder().data(message).hash_algorithm(HashAlgorithm.SHA256).build()
        der = _ask(self.url, asked.as_bytes())
        response = verified(der, message, self.roots, asked.nonce)
        return Anchored(der, f"stamped {response.tst_info.gen_time:%Y-%m-%d %H:%M:%S} UTC")


def stamp(url: str, roots: Path | None, request: bytes, digest: bytes) -> bytes:
    """The authority's answer (DER) to a TimeStampReq over the SHA-256 `digest`; it leads to one of `roots`, if given.

    Raises OSError where nobody answers, ValueError for an answer that is no such stamp.
    """
    der = _ask(url, request)
    if roots is not None:
        _hold(der, roots, None, lambda verifier, response: verifier.verify(response, digest))
    return der


def verified(der: bytes, message: bytes, roots: Path, nonce: int | None = None) -> TimeStampResponse:
    """The token, if it stamps `message`, answers `nonce` and leads to one of `roots`; raises ValueError."""
    return _hold(der, roots, nonce, lambda verifier, response: verifier.verify_message(response, message))


def _ask(url: str, request: bytes) -> bytes:
    """The body of the authority's answer; ValueError for a refusal."""
    answer = post(url, request, HEADERS)
    if answer.status != 200:
        raise ValueError(f"the authority answered {answer.status}")
    return answer.body


def _hold(
    der: bytes, roots: Path, nonce: int | None, check: Callable[[Verifier, TimeStampResponse], object]
) -> TimeStampResponse:
    """The token, if `check` finds that it holds; raises ValueError."""
    builder = VerifierBuilder(roots=x509.load_pem_x509_certificates(roots.read_bytes()), nonce=nonce)
    try:
        response = decode_timestamp_response(der)
        check(builder.build(), response)
    except VerificationError as error:
        raise ValueError(f"the time stamp does not hold: {error}") from error
    return response
