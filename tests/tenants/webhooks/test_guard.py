"""What must not be told is refused, however it is written."""

import ipaddress
import socket
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from tenants.webhooks.addresses import checked_address, shown_address
from tenants.webhooks.guard import AddressRefused, choose, is_public, parse_url, resolve

INSIDE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.9", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",  # noqa: S104
    "255.255.255.255", "192.0.2.7", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
]  # fmt: skip
OUTSIDE = ["93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


@pytest.mark.parametrize("text", INSIDE)
def test_addresses_of_the_inside_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", OUTSIDE)
def test_addresses_of_the_internet_are(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


def test_one_bad_address_refuses_the_name() -> None:
    target = parse_url("https://hooks.example.com/x")
    with pytest.raises(AddressRefused, match=r"169\.254\.169\.254"):
        choose(target, [ipaddress.ip_address("1.1.1.1"), ipaddress.ip_address("169.254.169.254")], [])


def test_http_is_spoken_only_in_networks_that_the_operator_opened() -> None:
    target, inside = parse_url("http://hooks.internal/x"), ipaddress.ip_address("10.1.2.3")
    assert choose(target, [inside], [ipaddress.ip_network("10.0.0.0/8")]) == inside
    with pytest.raises(AddressRefused, match="only https"):
        choose(target, [ipaddress.ip_address("1.1.1.1")], [ipaddress.ip_network("10.0.0.0/8")])


@pytest.mark.parametrize(
    "text",
    ["", "hooks.example.com", "ftp://example.com/", "file:///etc/passwd", "https://", "https://u:p@example.com/",
     "https://example.com:99999/", "https://exa mple.com/", "https://example.com/a b", "https://example.com/\r\nX: 1"],
)  # fmt: skip
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        parse_url(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "[::ffff:10.0.0.1]"])
def test_a_literal_address_of_the_inside_is_refused_when_it_is_written(host: str) -> None:
    with pytest.raises(ValidationError, match="not on the public internet"):
        checked_address("generic", f"https://{host}/x")


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "localhost"])
def test_other_ways_to_write_this_machine_lead_to_the_same_refusal(host: str) -> None:
    with pytest.raises(AddressRefused):
        resolve(parse_url(f"https://{host}/"))


def test_the_name_server_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        inside = "127.0.0.1" if len(asked) > 1 else "93.184.215.14"  # a rebinding name server
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (inside, port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert str(resolve(parse_url("https://rebind.example.com/"))) == "93.184.215.14"
    assert asked == ["rebind.example.com"]


def test_the_part_of_an_address_that_is_a_secret_is_not_shown() -> None:
    assert shown_address("slack", "https://hooks.slack.com/services/T0/B0/secret") == "https://hooks.slack.com/…"
    assert shown_address("generic", "https://example.com/in?token=secret") == "https://example.com/in?…"
