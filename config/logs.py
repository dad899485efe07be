"""JSON logs with tenant and request id; the request id also goes back to the caller."""

import json
import logging
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse

from tenants.context import current_tenant_or_none

request_id: ContextVar[str] = ContextVar("request_id", default="")
logger = logging.getLogger("affidavit.request")


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        tenant = current_tenant_or_none()
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
        return json.dumps({key: value for key, value in entry.items() if value is not None}, ensure_ascii=False)


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
