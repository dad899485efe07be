"""What identity providers send, as the RFCs and as Okta and Microsoft Entra write it."""

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.scim.protocol import (
    MAX_RESULTS,
    Members,
    ScimError,
    Told,
    read_filter,
    read_group_patch,
    read_page,
    read_user,
    read_user_patch,
)

KNOWN = ["userName", "externalId"]
ANNA, BOB = uuid.uuid4(), uuid.uuid4()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", None),
        ('userName eq "anna@acme.example"', ("userName", "anna@acme.example")),
        ('USERNAME EQ "x"', ("userName", "x")),
        ('urn:ietf:params:scim:schemas:core:2.0:User:userName eq "x"', ("userName", "x")),
        (r'externalId eq "a\"b\\c"', ("externalId", 'a"b\\c')),
    ],
)
def test_a_filter_is_read(text: str, wanted: tuple[str, str] | None) -> None:
    assert read_filter(text, KNOWN) == wanted


@pytest.mark.parametrize("text", ["userName", 'userName co "x"', 'title eq "x"', 'userName eq "x" and active eq true'])
def test_another_filter_is_refused_in_the_protocols_words(text: str) -> None:
    with pytest.raises(ScimError) as refused:
        read_filter(text, KNOWN)
    assert refused.value.scim_type == "invalidFilter"


@given(st.text())
def test_no_filter_breaks_it(text: str) -> None:
    try:
        found = read_filter(text, KNOWN)
    except ScimError:
        return
    assert found is None or found[0] in KNOWN


@pytest.mark.parametrize(
    ("start", "count", "wanted"),
    [("", "", (0, MAX_RESULTS)), ("11", "10", (10, 10)), ("0", "-1", (0, 0)), ("-5", "9999", (0, MAX_RESULTS))],
)
def test_a_page_is_brought_into_range(start: str, count: str, wanted: tuple[int, int]) -> None:
    assert read_page(start, count) == wanted


def test_a_user_is_read_whole() -> None:
    body = {"userName": " Anna@acme.example ", "name": {"givenName": "Anna", "familyName": "Ott"}, "externalId": "7"}
    assert read_user(body) == Told("Anna@acme.example", "7", "Anna Ott", True)
    assert read_user({"userName": "b@acme.example", "displayName": "Bob", "active": "False"}).active is False


@pytest.mark.parametrize(
    "body", [{}, {"userName": " "}, {"userName": 5}, {"userName": "a", "active": 1}, {"userName": "a", "externalId": 1}]
)
def test_a_user_that_is_none_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ScimError):
        read_user(body)


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list(operations)}


@pytest.mark.parametrize(
    ("operation", "wanted"),
    [
        ({"op": "replace", "value": {"active": False}}, Told(active=False)),  # Okta
        ({"op": "Replace", "path": "active", "value": "False"}, Told(active=False)),  # Entra
        ({"op": "replace", "path": "externalId", "value": "8"}, Told(external_id="8")),
        ({"op": "remove", "path": "externalId"}, Told(external_id="")),
        ({"op": "add", "path": "name.formatted", "value": "Anna Berg"}, Told(display_name="Anna Berg")),
        ({"op": "replace", "value": {"displayName": "Anna", "title": "Dr"}}, Told(display_name="Anna")),
        ({"op": "replace", "path": "title", "value": "Dr"}, Told()),
    ],
)
def test_a_patch_of_a_user(operation: dict[str, Any], wanted: Told) -> None:
    assert read_user_patch(patch(operation)) == wanted


def one(*who: uuid.UUID) -> list[dict[str, str]]:
    return [{"value": str(pk)} for pk in who]


@pytest.mark.parametrize(
    ("operation", "wanted"),
    [
        ({"op": "add", "path": "members", "value": one(ANNA, BOB)}, Members(add={ANNA, BOB})),
        ({"op": "Add", "value": {"members": one(ANNA)}}, Members(add={ANNA})),
        ({"op": "remove", "path": f'members[value eq "{ANNA}"]'}, Members(remove={ANNA})),  # Okta
        ({"op": "Remove", "path": "members", "value": one(ANNA)}, Members(remove={ANNA})),  # Entra
        ({"op": "remove", "path": "members"}, Members(exactly=set())),
        ({"op": "replace", "path": "members", "value": one(BOB)}, Members(exactly={BOB})),
        ({"op": "replace", "value": {"id": "auditor", "displayName": "Auditor"}}, Members()),
        ({"op": "replace", "path": "displayName", "value": "Auditor"}, Members()),
    ],
)
def test_a_patch_of_a_group(operation: dict[str, Any], wanted: Members) -> None:
    assert read_group_patch(patch(operation)) == wanted


@pytest.mark.parametrize(
    "body",
    [
        {},
        patch(),
        patch({"op": "move"}),
        {"Operations": ["x"]},
        patch({"op": "add", "path": "members", "value": "x"}),
        patch({"op": "add", "path": "members", "value": [{"value": "x"}]}),
        patch({"op": "add", "path": "members", "value": [{}]}),
    ],
)
def test_a_patch_that_is_none_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ScimError):
        read_group_patch(body)
