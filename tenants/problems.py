"""Errors as RFC 9457 problem details."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import OperationalError
from django.http import Http404, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

CONTENT_TYPE = "application/problem+json"


def problem(
    status: int, title: str, detail: str = "", *, headers: dict[str, str] | None = None, **more: Any
) -> JsonResponse:
    """A problem document outside DRF; `more` are extension members such as `errors`."""
    body = {"type": "about:blank", "title": title, "status": status} | ({"detail": detail} if detail else {}) | more
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE, headers=headers)


class TookTooLong(exceptions.APIException):
    """The database ended a question that would have taken too long."""

    status_code = 503
    default_detail = "This took too long"
    wait = 10


def is_too_slow(error: OperationalError) -> bool:
    """Whether the database ended the statement at its time-out (57014)."""
    return getattr(error.__cause__, "sqlstate", None) == "57014"


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's errors in the same form; None lets Django's 500 handler answer."""
    if isinstance(error, OperationalError) and is_too_slow(error):
        error = TookTooLong()
    response = drf_exception_handler(error, context)
    if response is None:
        return None
    more: dict[str, Any] = {}
    if isinstance(error, Http404):
        title, detail = "Not found", ""
    elif isinstance(error, PermissionDenied):
        title, detail = "Forbidden", str(error)
    elif isinstance(error, exceptions.ValidationError):
        title, detail = "The request is not valid", ""
        more["errors"] = error.get_full_details()
    else:
        title = getattr(error, "default_detail", "Error")
        detail = str(getattr(error, "detail", ""))
    response.data = {"type": "about:blank", "title": str(title), "status": response.status_code}
    response.data |= ({"detail": detail} if detail and detail != str(title) else {}) | more
    response.content_type = CONTENT_TYPE
    return response


@contextmanager
def as_problem() -> Iterator[None]:
    """Turns the services' `ValidationError` into the API's."""
    try:
        yield
    except ValidationError as error:
        details = error.message_dict if hasattr(error, "error_dict") else error.messages
        raise exceptions.ValidationError(details) from None
