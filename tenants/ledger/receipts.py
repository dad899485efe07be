"""Receipts: the signed promise that goes back with every record (an SCT, in the words of RFC 6962)."""

import time
import uuid
from datetime import datetime
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from tenants.context import tenant_atomic
from tenants.ledger.log import active_log
from tenants.ledger.notes import Receipt, Signer, sign_note

CACHED_LOGS = 10_000


@lru_cache(maxsize=1)
def receipt_signer() -> Signer:
    """The instance's receipt key, from `AFFIDAVIT_RECEIPT_KEY` (an Ed25519 seed, 64 hex digits)."""
    if not settings.AFFIDAVIT_RECEIPT_KEY:
        raise ImproperlyConfigured("This process has no AFFIDAVIT_RECEIPT_KEY: it cannot promise anything.")
    return Signer.from_seed(f"{settings.AFFIDAVIT_INSTANCE}/receipt", bytes.fromhex(settings.AFFIDAVIT_RECEIPT_KEY))


ORIGIN_SECONDS = 10.0  # a frozen log's successor is noticed within this
_origins: dict[uuid.UUID, tuple[str, float]] = {}


def origin_of(tenant_id: uuid.UUID, using: str = "default") -> str:
    """The origin of the tenant's growing log; one query in ten seconds."""
    origin, until = _origins.get(tenant_id, ("", 0.0))
    if time.monotonic() >= until:
        with tenant_atomic(tenant_id, using=using):
            origin = active_log(tenant_id, using).origin
        if len(_origins) >= CACHED_LOGS:
            _origins.clear()
        _origins[tenant_id] = (origin, time.monotonic() + ORIGIN_SECONDS)
    return origin


def sign_receipt(origin: str, record_id: uuid.UUID, leaf_hash: bytes, received_at: datetime) -> str:
    """The signed note that promises `leaf_hash` in the log `origin` within the maximum merge delay."""
    receipt = Receipt(origin, record_id, leaf_hash, received_at, settings.AFFIDAVIT_MMD_SECONDS)
    return sign_note(receipt.text, receipt_signer())
