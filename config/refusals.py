"""Addresses that are not there and errors of our own: a page for people, a problem document for programs."""

from django.http import HttpRequest, HttpResponseBase
from django.views import defaults

from tenants.problems import problem

PROGRAMS = ("/api/", "/v1/")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """404, the same for what never was and for what is another's."""
    return (
        problem(404, "Not found") if request.path.startswith(PROGRAMS) else defaults.page_not_found(request, exception)
    )


def broken(request: HttpRequest) -> HttpResponseBase:
    """500; what went wrong is in the log, under the answer's `X-Request-Id`."""
    if request.path.startswith(PROGRAMS):
        return problem(500, "Something went wrong here", "The log has it under this request's id.")
    return defaults.server_error(request)
