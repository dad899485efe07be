"""Signing in, with a limit: ten wrong passwords for one address from one place in fifteen minutes."""

import hashlib
import logging
from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from redis.exceptions import RedisError

MAX_FAILURES = 10
WINDOW_SECONDS = 15 * 60
logger = logging.getLogger("affidavit.security")


class SignInForm(AuthenticationForm):
    """Django's form behind the limit. The page and the admin's own sign-in both use it."""

    def clean(self) -> dict[str, Any]:
        key = failures_key(self.request, str(self.cleaned_data.get("username", "")))
        if failures(key) >= MAX_FAILURES:
            raise ValidationError("Too many attempts. Wait a quarter of an hour, then try again.", code="throttled")
        try:
            cleaned = super().clean()
        except ValidationError:
            count_failure(key)
            logger.warning("sign-in refused")
            raise
        forget_failures(key)
        return cleaned


def failures_key(request: HttpRequest | None, email: str) -> str:
    """Address and place, hashed: neither is readable in the cache."""
    place = request.META.get("REMOTE_ADDR", "") if request else ""
    return f"sign-in:{hashlib.sha256(f'{email.strip().lower()}|{place}'.encode()).hexdigest()}"


def failures(key: str) -> int:
    """How many in the window. While the cache is away nobody is locked out: the password hash is slow by itself."""
    try:
        return int(cache.get(key, 0))
    except RedisError:
        logger.exception("sign-in attempts are not counted: the cache does not answer")
        return 0


def count_failure(key: str) -> None:
    """One more; the first starts the window."""
    try:
        if not cache.add(key, 1, WINDOW_SECONDS):
            cache.incr(key)
    except (RedisError, ValueError):  # the key may expire between the two calls
        logger.warning("a failed sign-in was not counted")


def forget_failures(key: str) -> None:
    """A right password clears the slate."""
    try:
        cache.delete(key)
    except RedisError:
        logger.warning("failed sign-ins were not cleared")
