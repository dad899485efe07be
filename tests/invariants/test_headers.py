"""B7: what every answer carries, whatever was asked and whoever asked it; and that a page takes no stranger's form."""

from collections.abc import Iterator

import pytest
from django.http import HttpResponseBase
from django.test import Client
from django.urls import reverse

from tests.invariants.test_access_matrix import NEEDS, PAGES, TENANTED, WRITE, Caller, callers_of, fitting, values
from tests.invariants.worlds import World
from traces import selectors

SENT = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
STRICTER = "default-src 'none'; sandbox"  # of a file that somebody handed in
POLICY = ("default-src 'self'", "object-src 'none'", "base-uri 'self'", "form-action 'self'", "frame-ancestors 'none'")
# What the ledger answers holds no content, and says itself how long it is good for.
KEPT = ("api-ledger-", "api-decision-proof")
ELSEWHERE = {"api-thumbs"}  # the one address that pages of other sites may post to


@pytest.fixture(scope="module")
def callers(mine: World) -> list[Caller]:
    return callers_of(mine)


def lacking(response: HttpResponseBase, name: str) -> Iterator[str]:
    """What the answer should say and does not."""
    headers = response.headers
    yield from (f"{key} is {headers.get(key)}" for key, value in SENT.items() if headers.get(key) != value)
    policy = headers.get("Content-Security-Policy", "")
    yield from (part for part in POLICY if part not in policy and policy != STRICTER)
    if "unsafe" in policy:
        yield "the policy allows what is written into a page"
    if not name.startswith(KEPT) and "no-store" not in headers.get("Cache-Control", ""):
        yield f"may be kept: {headers.get('Cache-Control')}"
    if name not in ELSEWHERE:
        yield from (f"{key} opens it to other sites" for key in headers if key.startswith("Access-Control-"))


@pytest.mark.parametrize("name", TENANTED)
def test_every_answer_is_told_how_to_be_handled(name: str, mine: World, callers: list[Caller]) -> None:
    url = reverse(name, kwargs=values(name, mine))
    nobody = Caller("nobody", Client(raise_request_exception=False), frozenset(), {})
    for caller in (*fitting(callers, name), nobody):
        for method in (*NEEDS[name], "DELETE"):
            assert list(lacking(caller.ask(method, url), name)) == [], f"{method} {url} as {caller.name}"


@pytest.mark.parametrize("name", [name for name in PAGES if WRITE in NEEDS[name]])
def test_a_form_of_another_site_is_refused(name: str, mine: World, callers: list[Caller]) -> None:
    """Whoever may write is refused too, where the page's own token is not there."""
    url = reverse(name, kwargs=values(name, mine))
    for caller in fitting(callers, name):
        guarded = Client(enforce_csrf_checks=True)
        guarded.cookies = caller.client.cookies
        response = Caller(caller.name, guarded, caller.permissions, caller.headers).ask(WRITE, url)
        assert (response.status_code, b"CSRF" in getattr(response, "content", b"")) == (403, True), caller.name


@pytest.mark.parametrize("name", ["decision-list", "api-decisions"])
def test_an_error_tells_nothing_of_the_inside(
    name: str, mine: World, callers: list[Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("postgresql://web:hunter2@db/affidavit")

    monkeypatch.setattr(selectors, "_slice", broken)
    caller = next(one for one in fitting(callers, name) if one.may("decision.read"))
    response = caller.ask("GET", reverse(name, kwargs=values(name, mine)))
    assert response.status_code == 500
    body = getattr(response, "content", b"").decode()
    assert not [word for word in ("hunter2", "RuntimeError", "Traceback", "selectors", ".py") if word in body]
