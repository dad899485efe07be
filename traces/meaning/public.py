"""`POST /api/v1/thumbs/<key>`: from a visitor's browser, on an application's page. No cookie; CORS by key."""

import json
import uuid
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from tenants.problems import problem
from traces.meaning.thumbs import WINDOW_SECONDS, Opened, TooMany, give_thumb, open_key

MOST_BYTES = 10_000
MEMBERS = {"decision", "label", "comment"}


@csrf_exempt
@login_not_required
def thumb(request: HttpRequest, key: str) -> HttpResponse:
    """A preflight or a thumb: `{"decision": <id>, "label": "up" | "down", "comment"?}`; 201 with the feedback's id."""
    if request.method not in {"OPTIONS", "POST"}:
        return problem(405, "Method not allowed", headers={"Allow": "OPTIONS, POST"})
    try:
        opened = open_key(key)
    except Http404 as error:
        return problem(404, "Not found", str(error))
    origin = request.headers.get("Origin", "")
    if origin not in opened.origins:
        return problem(403, "Forbidden", "This key is not for pages of this origin.", headers={"Vary": "Origin"})
    response = HttpResponse(status=204) if request.method == "OPTIONS" else _recorded(request, opened)
    response["Access-Control-Allow-Origin"] = origin
    response["Access-Control-Allow-Methods"] = "POST"
    response["Access-Control-Allow-Headers"] = "Content-Type"
    response["Access-Control-Max-Age"] = "600"
    response["Vary"] = "Origin"
    return response


def _recorded(request: HttpRequest, opened: Opened) -> HttpResponse:
    try:
        body = _body(request)
        row = give_thumb(by=opened, visitor=_address_of(request), **body)
    except ValidationError as error:
        return problem(422, "This is no thumb", " ".join(error.messages))
    except Http404:
        return problem(404, "Not found", "No such decision.")
    except TooMany:
        return problem(429, "Too many thumbs", headers={"Retry-After": str(WINDOW_SECONDS)})
    return JsonResponse({"id": str(row.pk)}, status=201)


def _address_of(request: HttpRequest) -> str:
    """Who is counted: the address that reached us, or that our proxy says it heard from."""
    told = request.headers.get("X-Forwarded-For", "") if settings.SECURE_PROXY_SSL_HEADER else ""
    return told.rpartition(",")[2].strip()[:60] or str(request.META.get("REMOTE_ADDR", ""))


def _body(request: HttpRequest) -> dict[str, Any]:
    length = request.headers.get("Content-Length") or "0"
    if not length.isascii() or not length.isdecimal() or int(length) > MOST_BYTES:
        raise ValidationError(f"At most {MOST_BYTES:,} bytes, of a stated length.")
    try:
        body = json.loads(request.body)
        if not isinstance(body, dict) or not {"decision", "label"} <= body.keys() <= MEMBERS:
            raise ValueError
        label, comment = body["label"], body.get("comment", "")
        if not isinstance(label, str) or not isinstance(comment, str):
            raise ValueError
        return {"decision": uuid.UUID(str(body["decision"])), "label": label, "comment": comment}
    except (ValueError, RecursionError):
        raise ValidationError("One JSON object of decision, label and, if you like, comment.") from None
