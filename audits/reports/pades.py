"""The file's own signature: PAdES (ETSI EN 319 142-1), baseline B-B, or B-T where a time-stamping authority answers.

It is an incremental update: the bytes that were rendered come first, unchanged, then the signature. The signature
field is invisible, and certifies that nothing may be added. pyhanko is imported here, when a report is signed, and
nowhere else: it takes most of a second and 60 MB, which only the worker pays.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from audits.certificates import Credentials

if TYPE_CHECKING:
    from pyhanko.sign.timestamps import TimeStamper

logger = logging.getLogger(__name__)

FIELD = "Affidavit"
REASON = "Built from the signed revision of the case"

Stamp = Callable[[bytes, bytes], bytes]  # (DER of a TimeStampReq, the digest in it) → DER of a TimeStampResp


@dataclass(frozen=True, slots=True)
class Signed:
    """The file with its signature, and whether a time stamp is in it."""

    pdf: bytes
    is_stamped: bool


def sign_pdf(pdf: bytes, credentials: Credentials, stamp: Stamp | None = None) -> Signed:
    """Sign; with a time stamp of `stamp`, without one where that raises OSError or ValueError (which is logged)."""
    if stamp is not None:
        try:
            return Signed(_sign(pdf, credentials, _stamper(stamp)), True)
        except (OSError, ValueError) as error:
            logger.warning("report.no_time_stamp", extra={"error": str(error)})
    return Signed(_sign(pdf, credentials, None), False)


def _sign(pdf: bytes, credentials: Credentials, stamper: "TimeStamper | None") -> bytes:
    from asn1crypto import keys, x509
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import fields, signers
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    certificate = credentials.certificate
    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    store.register_multiple([x509.Certificate.load(der) for der in certificate.chain])
    signer = signers.SimpleSigner(
        signing_cert=x509.Certificate.load(certificate.der),
        signing_key=keys.PrivateKeyInfo.load(credentials.key),
        cert_registry=store,
    )
    about = signers.PdfSignatureMetadata(
        field_name=FIELD,
        md_algorithm="sha256",
        reason=REASON,
        subfilter=fields.SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=fields.MDPPerm.NO_CHANGES,
    )
    field = fields.SigFieldSpec(FIELD, box=None)
    out = BytesIO()
    signers.PdfSigner(about, signer, timestamper=stamper, new_field_spec=field).sign_pdf(
        IncrementalPdfFileWriter(BytesIO(pdf)), output=out
    )
    return out.getvalue()


def _stamper(stamp: Stamp) -> "TimeStamper":
    from asn1crypto import tsp
    from pyhanko.sign.timestamps import TimeStamper

    class Stamper(TimeStamper):
        """Asks the authority that `stamp` knows."""

        async def async_request_tsa_response(self, req: tsp.TimeStampReq) -> tsp.TimeStampResp:
            digest = req["message_imprint"]["hashed_message"].native
            return tsp.TimeStampResp.load(stamp(req.dump(), digest))

    return Stamper()  # type: ignore[no-untyped-call]
