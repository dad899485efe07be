"""Which addresses may be told: the public internet, and networks that the operator opened. Pure but for `resolve`.

A tenant names the address, we connect from inside: without a guard, an endpoint is a way to ask machines that only we
can reach (server-side request forgery), a cloud's metadata service first of all. So a name is resolved once, every
address it leads to must be allowed, and the connection goes to one of those and not to the name again (a second answer
of the name server could be another one).
"""

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ValidationError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
MAX_URL = 2_000
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+", re.ASCII)  # a name in ASCII, or an address


class AddressRefused(OSError):
    """A place that must not be told, or that does not exist."""


@dataclass(frozen=True, slots=True)
class Target:
    """A checked URL, taken apart. `path` holds the query too."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """For the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"https": 443, "http": 80}[self.scheme] else f"{host}:{self.port}"


def parse_url(text: str) -> Target:
    """An http or https URL without credentials. Raises `ValidationError`."""
    try:
        parts = urlsplit(text.strip())
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except (ValueError, UnicodeError):
        raise ValidationError({"address": "This is no URL."}) from None
    if parts.scheme not in {"https", "http"} or not _HOST.fullmatch(host) or len(text) > MAX_URL:
        raise ValidationError({"address": "Write a whole URL: https://, a host, a path."})
    if parts.username is not None or parts.password is not None:
        raise ValidationError({"address": "Leave name and password out of the URL: requests are signed instead."})
    if any(ord(character) <= 32 or ord(character) > 126 for character in parts.path + parts.query):
        raise ValidationError({"address": "Percent-encode what is not plain ASCII."})
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or {"https": 443, "http": 80}[parts.scheme], path)


def opened_networks() -> list[IPNetwork]:
    """What the operator allows beside the public internet."""
    try:
        return [ipaddress.ip_network(text) for text in settings.AFFIDAVIT_WEBHOOK_NETWORKS]
    except ValueError as error:
        raise ImproperlyConfigured(f"AFFIDAVIT_WEBHOOK_NETWORKS: {error}") from None


def is_public(address: IPAddress) -> bool:
    """Whether it is an ordinary host of the internet; an IPv4 address inside an IPv6 one counts as itself."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if any(address in network for network in NAT64):
        return ipaddress.IPv4Address(address.packed[-4:])
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def is_opened(address: IPAddress, networks: Iterable[IPNetwork]) -> bool:
    """Whether the operator opened the address's network."""
    return any(address.version == network.version and address in network for network in networks)


def choose(target: Target, addresses: Sequence[IPAddress], networks: Sequence[IPNetwork]) -> IPAddress:
    """The address to connect to. Raises `AddressRefused` where any is not allowed, or http would leave opened networks.

    One bad address refuses the name: which of them a resolver puts first is its owner's to decide.
    """
    if not addresses:
        raise AddressRefused(f"{target.host} leads nowhere.")
    for address in addresses:
        if not (is_opened(address, networks) or is_public(address)):
            raise AddressRefused(f"{target.host} leads to {address}, which is not on the public internet.")
        if target.scheme == "http" and not is_opened(address, networks):
            raise AddressRefused("Over the public internet only https is spoken.")
    return addresses[0]


def resolve(target: Target) -> IPAddress:
    """Ask the name server once, and choose. Raises `AddressRefused`."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressRefused(f"{target.host} has no address: {error}") from None
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    return choose(target, list(dict.fromkeys(addresses)), opened_networks())
