"""JSON logs with tenant and request id; the request id also goes back to the caller, and along with each task.

A line is a line: whatever somebody submits, its line breaks and control characters come out escaped.
"""

import json
import logging
import time
import uuid
from collections.abc import Callable, MutableMapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse

from tenants.context import current_tenant_or_none

HEADER = "affidavit_request_id"  # of a task's message
request_id: ContextVar[str] = ContextVar("request_id", default="")
task_tenant: ContextVar[str] = ContextVar("task_tenant", default="")
logger = logging.getLogger("affidavit.request")


class JsonFormatter(logging.Formatter):
    """One JSON object a line, in ASCII: a terminal or a collector meets no control character of anybody's."""

    def format(self, record: logging.LogRecord) -> str:
        tenant = current_tenant_or_none() or task_tenant.get()
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get() or None,
            "tenant": str(tenant) if tenant else None,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps({key: value for key, value in entry.items() if value is not None}, default=str)


class PlainFormatter(logging.Formatter):
    """For a person at a terminal: a line a message, and below it a traceback's lines, set apart by their margin."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's own name
        return inert(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802  logging's own name
        return "\n".join(f"    | {inert(line)}" for line in super().formatException(ei).splitlines())


def inert(text: str) -> str:
    """The text with whatever moves a cursor or breaks a line escaped as in a Python string."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def stamp(headers: MutableMapping[str, Any]) -> None:
    """Send the request's id along with a task, so that what the request set off can be found by it."""
    if request_id.get():
        headers.setdefault(HEADER, request_id.get())


def begin_task(task_id: str, sent: str | None, arguments: Sequence[Any]) -> None:
    """From here on, log lines are a task's: under the id of the request that sent it, or under its own.

    A task that works for one tenant is given it first, so the lines outside any transaction can name it too.
    """
    request_id.set(sent or task_id)
    task_tenant.set(str(arguments[0]) if arguments else "")


def end_task() -> None:
    """The worker's own lines belong to nobody."""
    request_id.set("")
    task_tenant.set("")


class RequestLogMiddleware:
    """Gives each request an id and logs slow or failed ones; a line for each would drown what matters."""

    SLOW_SECONDS = 1.0

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = request_id.set(uuid.uuid4().hex)
        started = time.monotonic()
        try:
            response = self.get_response(request)
            response["X-Request-Id"] = request_id.get()
            seconds = time.monotonic() - started
            if response.status_code >= 500 or seconds > self.SLOW_SECONDS:
                fields = {"status": response.status_code, "ms": round(seconds * 1000), "path": request.path}
                logger.warning("%s %s", request.method, request.path, extra={"fields": fields})
            return response
        finally:
            request_id.reset(token)
