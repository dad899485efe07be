"""Data keys: the master key wraps tenant keys, a tenant key wraps subject keys, a subject key seals payloads.

AES-256 key wrap is RFC 3394, sealing is AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce. Everything derived
from a tenant key carries a label of its own (HMAC-SHA256), so no key serves two purposes.
"""

import hashlib
import hmac
import os
import uuid
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from tenants.context import tenant_atomic
from tenants.models import TenantKey

KEY_BYTES = 32
NONCE_BYTES = 12


class SealError(ValueError):
    """A sealed value that does not open: another key, or altered bytes."""


def master_key() -> bytes:
    """The instance's key-encryption key, from `AFFIDAVIT_MASTER_KEY` (64 hex digits)."""
    text = settings.AFFIDAVIT_MASTER_KEY
    if not text:
        raise ImproperlyConfigured("This process has no AFFIDAVIT_MASTER_KEY: it cannot read or write payloads.")
    key = bytes.fromhex(text)
    if len(key) != KEY_BYTES:
        raise ImproperlyConfigured("AFFIDAVIT_MASTER_KEY must be 64 hex digits (32 bytes).")
    return key


def new_wrapped_key(wrapping: bytes) -> bytes:
    """A fresh random key, wrapped: 40 bytes."""
    return aes_key_wrap(wrapping, os.urandom(KEY_BYTES))


def unwrap(wrapping: bytes, wrapped: bytes) -> bytes:
    """The key inside; raises `SealError` when the wrapping key is another."""
    try:
        return aes_key_unwrap(wrapping, wrapped)
    except InvalidUnwrap:
        raise SealError("A data key does not unwrap: was AFFIDAVIT_MASTER_KEY replaced?") from None


@lru_cache(maxsize=4096)
def _unwrapped_tenant_key(tenant_id: uuid.UUID, wrapped: bytes) -> bytes:
    return unwrap(master_key(), wrapped)


@lru_cache(maxsize=4096)
def _wrapped_tenant_key(tenant_id: uuid.UUID, using: str) -> bytes:
    with tenant_atomic(tenant_id, using=using):
        return bytes(TenantKey.objects.using(using).get().wrapped)


def tenant_key(tenant_id: uuid.UUID, using: str = "default") -> bytes:
    """The tenant's key; one query a process and tenant (a tenant key is never replaced in place)."""
    return _unwrapped_tenant_key(tenant_id, _wrapped_tenant_key(tenant_id, using))


def derive(key: bytes, label: str, message: bytes = b"") -> bytes:
    """A 32-byte value for one purpose: HMAC-SHA256(key, label ‖ 0x00 ‖ message)."""
    return hmac.new(key, label.encode() + b"\0" + message, hashlib.sha256).digest()


def seal(key: bytes, plain: bytes, bound_to: bytes) -> bytes:
    """nonce ‖ ciphertext ‖ tag; `bound_to` must be the same to open it (the row's identity)."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to)


def unseal(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    """The plain bytes; raises `SealError`."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
    except InvalidTag:
        raise SealError("A sealed value does not open: it was altered, or belongs to another row or key.") from None
