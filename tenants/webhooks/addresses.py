"""What may be written as an endpoint's address, and what of it may be read again. Asks no name server."""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from tenants.models import EndpointKind
from tenants.webhooks.guard import AddressRefused, IPAddress, choose, opened_networks, parse_url

MAX_SHOWN = 300


def checked_address(kind: str, text: str) -> str:
    """The address, if it can be told at all; what a name leads to is looked at each time. Raises `ValidationError`."""
    text = text.strip()
    if kind not in EndpointKind.values:
        raise ValidationError({"kind": f"One of {', '.join(EndpointKind.values)}."})
    if kind == EndpointKind.EMAIL:
        return _checked_email(text)
    target, networks = parse_url(text), opened_networks()
    if target.scheme == "http" and not networks:
        raise ValidationError({"address": "Write https://: over the public internet nothing else is spoken."})
    try:
        literal: Sequence[IPAddress] = [ipaddress.ip_address(target.host)]
    except ValueError:
        return text
    try:
        choose(target, literal, networks)
    except AddressRefused as error:
        raise ValidationError({"address": str(error)}) from None
    return text


def _checked_email(text: str) -> str:
    if not settings.EMAIL_HOST:
        raise ValidationError({"kind": "This installation sends no e-mail: its operator sets AFFIDAVIT_SMTP_HOST."})
    try:
        validate_email(text)
    except ValidationError as error:
        raise ValidationError({"address": error.messages}) from None
    return text


def shown_address(kind: str, address: str) -> str:
    """What may be read of it: of a URL the host and, of a program's, the path; never the query, never a chat's path."""
    if kind == EndpointKind.EMAIL:
        return address[:MAX_SHOWN]
    parts = urlsplit(address)
    host = f"{parts.scheme}://{parts.netloc}"
    if kind == EndpointKind.SLACK:
        return f"{host}/…"[:MAX_SHOWN]
    return f"{host}{parts.path}{'?…' if parts.query else ''}"[:MAX_SHOWN]
