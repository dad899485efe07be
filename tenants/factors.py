"""The codes of an authenticator app: each opens once, whatever it is asked for."""

import logging
import uuid

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.core.cache import cache
from redis.exceptions import RedisError

from tenants.models import User

USED_SECONDS = 150  # longer than a code is taken: half a minute, and one tolerance on either side
MAX_FAILURES, WINDOW_SECONDS = 10, 15 * 60
logger = logging.getLogger("affidavit.security")


def has_totp(user: User | uuid.UUID) -> bool:
    """Whether the person (or the one of that id) has set up an authenticator app."""
    return bool(Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists())


def take_totp(user: User, code: str) -> bool:
    """Whether this is the app's code now, given for the first time; ten wrong ones close it for a quarter of an hour.

    Without the cache nobody knows what was used: then no code holds.
    """
    row = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).first()
    key = f"totp-failures:{user.pk}"
    try:
        if row is None or cache.get(key, 0) >= MAX_FAILURES:
            return False
        if TOTP(row).validate_code(code.strip()) and is_first_use(user, code):
            row.record_usage()
            return True
        cache.add(key, 0, WINDOW_SECONDS)
        cache.incr(key)
    except (RedisError, ValueError):  # the key may expire between the two calls
        logger.exception("a code was not taken: the cache does not answer")
    return False


def is_first_use(user: User, code: str) -> bool:
    """Remember a code that was right. The library forgets it while it still opens (its tolerance is longer)."""
    return bool(cache.add(f"totp-used:{user.pk}:{code.strip()}", 1, USED_SECONDS))
