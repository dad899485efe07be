"""Health for whoever restarts us: alive without touching anything, ready when the stores answer."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis.exceptions import RedisError


@login_not_required
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
def readyz(request: HttpRequest) -> JsonResponse:
    """The database and Redis answer; 503 names the one that does not.

    Redis is not on the path of a record, so without it we stay ready, and say so.
    """
    checks = {"database": _database(), "redis": _redis()}
    return JsonResponse(
        {"checks": checks, "version": settings.VERSION}, status=200 if checks["database"] == "ok" else 503
    )


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return f"unavailable: {type(error).__name__}"
    return "ok"


def _redis() -> str:
    try:
        cache.get("readyz")
    except (RedisError, OSError) as error:
        return f"unavailable: {type(error).__name__}"
    return "ok"
