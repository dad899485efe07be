"""An identity provider brings people, gives them roles by groups, and takes them away again."""

import json
import uuid
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tenants.access import seats_of
from tenants.context import tenant_atomic
from tenants.models import DirectoryUser, LedgerEvent, User
from tenants.roles import Role
from tests.factories.tenants import Cast, UserFactory

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Provider:
    """A client of the protocol with a tenant's directory key."""

    def __init__(self, cast: Cast) -> None:
        self.client = Client(headers={"Authorization": f"Bearer {cast.keys['directory'].secret}"})

    def ask(self, method: str, path: str, body: Any = None) -> HttpResponse:
        data = b"" if body is None else json.dumps(body).encode()
        answer: Any = self.client.generic(method, f"/scim/v2/{path}", data, "application/scim+json")
        return HttpResponse(answer.content, status=answer.status_code)

    def get(self, path: str, **query: str) -> Any:
        answer = self.client.get(f"/scim/v2/{path}", query, headers={"accept": "application/scim+json"})
        assert answer.headers["Content-Type"].startswith("application/scim+json")
        return answer.json()

    def bring(self, email: str, **more: Any) -> str:
        answer = self.ask("POST", "Users", {"userName": email, **more})
        assert answer.status_code == 201, answer.content
        pk: str = json.loads(answer.content)["id"]
        return pk

    def patch(self, where: str, /, **operation: Any) -> HttpResponse:
        return self.ask("PATCH", where, {"schemas": [PATCH], "Operations": [operation]})

    def join(self, pk: str, *roles: str) -> None:
        for role in roles:
            answer = self.patch(f"Groups/{role}", op="add", path="members", value=[{"value": pk}])
            assert answer.status_code == 200, answer.content


def address() -> str:
    return f"{uuid.uuid4().hex[:12]}@acme.example"


def roles_in(cast: Cast, pk: str) -> list[str]:
    """What the person may come in as."""
    return [role for seat in seats_of(uuid.UUID(pk)) if seat.tenant_id == cast.tenant.pk for role in seat.roles]


def problem(answer: Any) -> tuple[int, str]:
    told = json.loads(answer.content)
    assert told["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert told["status"] == str(answer.status_code)
    assert told["detail"]
    return answer.status_code, told.get("scimType", "")


def test_a_person_comes_gets_roles_and_goes(cast: Cast) -> None:
    provider, email = Provider(cast), address()
    pk = provider.bring(email.upper(), externalId="e-7", displayName="Anna Ott")
    shown = provider.get(f"Users/{pk}")
    assert (shown["userName"], shown["externalId"], shown["active"], shown["groups"]) == (email, "e-7", True, [])
    assert roles_in(cast, pk) == []  # brought, and nothing given yet
    provider.join(pk, Role.AUDITOR, Role.VIEWER)
    assert roles_in(cast, pk) == [Role.AUDITOR, Role.VIEWER]
    provider.patch(f"Groups/{Role.VIEWER}", op="remove", path=f'members[value eq "{pk}"]')
    assert roles_in(cast, pk) == [Role.AUDITOR]
    assert provider.ask("DELETE", f"Users/{pk}").status_code == 204
    assert (roles_in(cast, pk), provider.ask("GET", f"Users/{pk}").status_code) == ([], 404)


def test_who_is_switched_off_cannot_come_in_and_gets_the_same_roles_back(cast: Cast) -> None:
    provider = Provider(cast)
    pk = provider.bring(address())
    provider.join(pk, Role.AUDITOR)
    assert provider.patch(f"Users/{pk}", op="replace", value={"active": False}).status_code == 200
    assert roles_in(cast, pk) == []
    assert provider.get(f"Users/{pk}")["active"] is False
    provider.patch(f"Users/{pk}", op="Replace", path="active", value="True")
    assert roles_in(cast, pk) == [Role.AUDITOR]


def test_every_change_is_a_leaf_of_the_key(cast: Cast) -> None:
    provider = Provider(cast)
    pk = provider.bring(address())
    provider.join(pk, Role.VIEWER)
    provider.ask("DELETE", f"Users/{pk}")
    with tenant_atomic(cast.tenant.pk):
        events = [event for event in LedgerEvent.objects.order_by("id") if pk in bytes(event.body).decode()]
    assert [event.tag for event in events] == [
        "directory_user.changed", "member.added",
        "directory_user.changed", "member.removed", "directory_user.forgotten",
    ]  # fmt: skip
    assert {event.actor for event in events} == {f"key:{cast.keys['directory'].row.pk}"}


def test_somebody_who_was_there_before_is_found_and_managed(cast: Cast) -> None:
    provider, viewer = Provider(cast), cast.people[Role.VIEWER]
    found = provider.get("Users", filter=f'userName eq "{viewer.email.upper()}"')
    assert [(one["id"], one["groups"][0]["value"]) for one in found["Resources"]] == [(str(viewer.pk), "viewer")]
    provider.join(str(viewer.pk), Role.AUDITOR)
    assert roles_in(cast, str(viewer.pk)) == [Role.AUDITOR, Role.VIEWER]
    assert problem(provider.ask("POST", "Users", {"userName": viewer.email})) == (409, "uniqueness")


def test_the_directory_neither_makes_nor_removes_an_owner(cast: Cast) -> None:
    provider, owner = Provider(cast), str(cast.people[Role.OWNER].pk)
    assert provider.ask("GET", "Groups/owner").status_code == 404
    for answer in (
        provider.patch(f"Users/{owner}", op="replace", path="active", value=False),
        provider.ask("DELETE", f"Users/{owner}"),
        provider.patch("Groups/auditor", op="add", path="members", value=[{"value": owner}]),
    ):
        assert problem(answer)[0] == 400
    assert roles_in(cast, owner) == [Role.OWNER]


def test_roles_that_would_approve_their_own_work_are_refused_and_nothing_changes(cast: Cast) -> None:
    provider = Provider(cast)
    pk = provider.bring(address())
    provider.join(pk, Role.POLICY_AUTHOR)
    answer = provider.patch("Groups/policy_approver", op="add", path="members", value=[{"value": pk}])
    assert problem(answer) == (400, "invalidValue")
    assert "approve their own work" in json.loads(answer.content)["detail"]
    assert roles_in(cast, pk) == [Role.POLICY_AUTHOR]
    assert [one["value"] for one in provider.get("Groups/policy_approver")["members"]] == [
        str(cast.people[Role.POLICY_APPROVER].pk)
    ]


def test_a_group_is_replaced_whole(cast: Cast) -> None:
    provider = Provider(cast)
    pk, viewer = provider.bring(address()), str(cast.people[Role.VIEWER].pk)
    answer = provider.ask("PUT", "Groups/viewer", {"displayName": "Viewer", "members": [{"value": pk}]})
    assert [one["value"] for one in json.loads(answer.content)["members"]] == [pk]
    assert (roles_in(cast, pk), roles_in(cast, viewer)) == ([Role.VIEWER], [])


def test_groups_are_the_roles_and_are_linked_not_made(cast: Cast) -> None:
    provider = Provider(cast)
    names = {one["displayName"] for one in provider.get("Groups", excludedAttributes="members")["Resources"]}
    assert names == {"Administrator", "Policy author", "Policy approver", "Auditor", "Viewer"}
    found = provider.get("Groups", filter='displayName eq "auditor"')["Resources"]
    assert [one["id"] for one in found] == ["auditor"]
    assert problem(provider.ask("POST", "Groups", {"displayName": "Auditor"})) == (409, "uniqueness")
    assert problem(provider.ask("POST", "Groups", {"displayName": "Finance"})) == (400, "invalidValue")


def test_another_organisations_people_are_not_there(cast: Cast, stranger: Cast) -> None:
    provider, theirs = Provider(cast), stranger.people[Role.AUDITOR]
    assert provider.get("Users", filter=f'userName eq "{theirs.email}"')["totalResults"] == 0
    assert problem(provider.ask("GET", f"Users/{theirs.pk}"))[0] == 404
    added = provider.patch("Groups/viewer", op="add", path="members", value=[{"value": str(theirs.pk)}])
    assert problem(added)[0] == 404
    pk = provider.bring(theirs.email, displayName="Somebody Else")  # the same person, of two organisations
    assert (pk, User.objects.get(pk=pk).name) == (str(theirs.pk), theirs.name)
    provider.ask("DELETE", f"Users/{pk}")
    assert roles_in(stranger, pk) == [Role.AUDITOR]


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("POST", "Users", {}, (400, "invalidValue")),
        ("POST", "Users", {"userName": "no address"}, (400, "invalidValue")),
        ("POST", "Users", [], (400, "invalidSyntax")),
        ("GET", "Users?filter=title+pr", None, (400, "invalidFilter")),
        ("GET", f"Users/{uuid.uuid4()}", None, (404, "")),
        ("PUT", "Users", {}, (405, "")),
    ],
)
def test_what_cannot_be_done_is_told_in_the_protocols_form(
    cast: Cast, method: str, path: str, body: Any, told: tuple[int, str]
) -> None:
    assert problem(Provider(cast).ask(method, path, body)) == told


def test_an_address_and_an_external_id_are_one_persons(cast: Cast) -> None:
    provider, email = Provider(cast), address()
    pk = provider.bring(email, externalId="e-1")
    assert problem(provider.ask("POST", "Users", {"userName": address(), "externalId": "e-1"})) == (409, "uniqueness")
    moved = provider.ask("PUT", f"Users/{pk}", {"userName": address()})
    assert problem(moved) == (400, "mutability")
    assert provider.get("Users", filter='externalId eq "e-1"')["Resources"][0]["id"] == pk


def test_only_a_directory_key_comes_in(cast: Cast) -> None:
    for scope in ("read", "manage", "ingest"):
        answer = Client(headers={"Authorization": f"Bearer {cast.keys[scope].secret}"}).get("/scim/v2/Users")
        assert problem(answer)[0] == 403
    assert problem(Client().get("/scim/v2/Users"))[0] == 401
    assert Provider(cast).get("ServiceProviderConfig")["patch"] == {"supported": True}
    assert {one["id"] for one in Provider(cast).get("ResourceTypes")["Resources"]} == {"User", "Group"}
    assert Provider(cast).get("Schemas")["totalResults"] == 2


def test_a_page_costs_the_same_for_many(cast: Cast) -> None:
    provider = Provider(cast)
    counted = []
    for more in (1, 12):
        with tenant_atomic(cast.tenant.pk):
            DirectoryUser.objects.bulk_create([DirectoryUser(user=UserFactory.create()) for _ in range(more)])
        provider.get("Users")
        with CaptureQueriesContext(connection) as captured:
            shown = provider.get("Users", startIndex="2", count="5")
        assert (len(shown["Resources"]), shown["startIndex"]) == (5, 2)
        counted.append(len(captured))
    assert counted[0] == counted[1]
