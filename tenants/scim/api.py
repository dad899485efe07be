"""SCIM 2.0 over HTTP (RFC 7644): people, and the roles as groups that are always there."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.http import Http404
from django.utils.decorators import method_decorator
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from tenants.context import tenant_atomic
from tenants.models import DirectoryUser
from tenants.permissions import actor_of
from tenants.roles import Role
from tenants.scim import protocol as scim
from tenants.scim.protocol import ScimError, Told
from tenants.scim.services import (
    GROUPS,
    AlreadyThere,
    Change,
    Person,
    as_persons,
    change_group,
    change_person,
    forget,
    in_group,
    people,
    person,
    provision,
)


class ScimParser(JSONParser):
    media_type = "application/scim+json"


class ScimRenderer(JSONRenderer):
    media_type = "application/scim+json"


@extend_schema(exclude=True)  # the protocol has schemas of its own
@method_decorator(login_not_required, name="dispatch")
class ScimView(APIView):
    """A part of the protocol: its media type, its errors, and one tenant's transaction a request."""

    permissions: ClassVar[dict[str, str]] = {"GET": "member.manage"}
    parser_classes = (ScimParser, JSONParser)
    renderer_classes = (ScimRenderer, JSONRenderer)

    def handle_exception(self, exc: Exception) -> Response:
        """The same refusals in the protocol's form."""
        if isinstance(exc, AlreadyThere):
            exc = ScimError(" ".join(exc.messages), "uniqueness", 409)
        elif isinstance(exc, ValidationError):
            exc = ScimError(" ".join(exc.messages))
        if isinstance(exc, ScimError):
            document = scim.error_document(exc.status, str(exc), exc.scim_type)
            return Response(document, exc.status, exception=True)
        response: Response = super().handle_exception(exc)
        told = {Http404: "There is nobody and nothing of this id here.", PermissionDenied: str(exc)}.get(type(exc))
        detail = told or str(getattr(exc, "detail", "")) or str(response.data.get("title", ""))
        response.data = scim.error_document(response.status_code, detail)
        response.content_type = None
        return response

    def body(self, request: Request) -> dict[str, Any]:
        """The request's object."""
        if not isinstance(request.data, dict):
            raise ScimError("The body is an object.", "invalidSyntax")
        return request.data


class ServiceProviderConfig(ScimView):
    """What is offered (RFC 7643 §5)."""

    def get(self, request: Request) -> Response:
        no, yes = {"supported": False}, {"supported": True}
        bearer = {"type": "oauthbearertoken", "name": "API key", "description": "A key of scope `directory` as Bearer."}
        return Response({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
            "patch": yes,
            "bulk": no | {"maxOperations": 0, "maxPayloadSize": 0},
            "filter": yes | {"maxResults": scim.MAX_RESULTS},
            "changePassword": no,
            "sort": no,
            "etag": no,
            "authenticationSchemes": [bearer],
        })  # fmt: skip


class ResourceTypes(ScimView):
    """Users and groups (RFC 7643 §6)."""

    def get(self, request: Request) -> Response:
        kind = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
        kinds = {"User": ("/Users", scim.USER), "Group": ("/Groups", scim.GROUP)}
        return _listed([
            {"schemas": [kind], "id": name, "name": name, "endpoint": endpoint, "schema": schema}
            for name, (endpoint, schema) in kinds.items()
        ])  # fmt: skip


def _attribute(name: str, kind: str = "string", *, required: bool = False, mutable: bool = True) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "multiValued": kind == "complex",
        "required": required,
        "mutability": "readWrite" if mutable else "readOnly",
        "returned": "default",
        "uniqueness": "server" if name == "userName" else "none",
    }


class Schemas(ScimView):
    """The attributes that are kept (RFC 7643 §7)."""

    def get(self, request: Request) -> Response:
        user = [
            _attribute("userName", required=True),
            _attribute("displayName"),
            _attribute("active", "boolean"),
            _attribute("emails", "complex", mutable=False),
            _attribute("groups", "complex", mutable=False),
        ]
        group = [_attribute("displayName", required=True, mutable=False), _attribute("members", "complex")]
        schema = ["urn:ietf:params:scim:schemas:core:2.0:Schema"]
        return _listed([
            {"schemas": schema, "id": scim.USER, "name": "User", "attributes": user},
            {"schemas": schema, "id": scim.GROUP, "name": "Group", "attributes": group},
        ])  # fmt: skip


class UserList(ScimView):
    """Everybody of the organisation, also whom no directory brought."""

    permissions: ClassVar[dict[str, str]] = {"GET": "member.manage", "POST": "member.manage"}
    FILTERS: ClassVar[dict[str, str]] = {"userName": "email", "emails.value": "email", "id": "pk"}

    def get(self, request: Request) -> Response:
        query = request.query_params
        wanted = scim.read_filter(query.get("filter", ""), [*self.FILTERS, "externalId"])
        first, count = scim.read_page(query.get("startIndex", ""), query.get("count", ""))
        with tenant_atomic(actor_of(request).tenant_id):
            rows = people(self._condition(*wanted) if wanted else None)
            total = rows.count()
            found = [_user(request, one) for one in as_persons(list(rows[first : first + count]))]
        return _listed(found, total, first + 1)

    def _condition(self, name: str, value: str) -> Q:
        if name == "externalId":
            return Q(pk__in=DirectoryUser.objects.filter(external_id=value).values("user_id"))
        if name == "id":
            try:
                return Q(pk=uuid.UUID(value))
            except ValueError:
                return Q(pk__in=[])
        return Q(email=value.strip().lower())

    def post(self, request: Request) -> Response:
        told = scim.read_user(self.body(request))
        made = provision(by=actor_of(request), email=str(told.user_name), change=_change(told))
        document = _user(request, made)
        return Response(document, 201, headers={"Location": document["meta"]["location"]})


class UserDetail(ScimView):
    """One person."""

    permissions: ClassVar[dict[str, str]] = dict.fromkeys(("GET", "PUT", "PATCH", "DELETE"), "member.manage")

    def get(self, request: Request, pk: uuid.UUID) -> Response:
        with tenant_atomic(actor_of(request).tenant_id):
            return Response(_user(request, person(pk)))

    def put(self, request: Request, pk: uuid.UUID) -> Response:
        return self._changed(request, pk, scim.read_user(self.body(request)))

    def patch(self, request: Request, pk: uuid.UUID) -> Response:
        return self._changed(request, pk, scim.read_user_patch(self.body(request)))

    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        forget(by=actor_of(request), user_id=pk)
        return Response(status=204)

    def _changed(self, request: Request, pk: uuid.UUID, told: Told) -> Response:
        by = actor_of(request)
        with tenant_atomic(by.tenant_id):
            known = person(pk)
            if told.user_name is not None and told.user_name.strip().lower() != known.user.email:
                raise ScimError("userName is fixed: bring the new address as a new user.", "mutability")
            return Response(_user(request, change_person(by=by, user_id=pk, change=_change(told))))


class GroupList(ScimView):
    """The roles that a directory can give. They are always there: to make one is to be told so."""

    permissions: ClassVar[dict[str, str]] = {"GET": "member.manage", "POST": "member.manage"}

    def get(self, request: Request) -> Response:
        wanted = scim.read_filter(request.query_params.get("filter", ""), ["displayName", "id"])
        roles = [role for role in GROUPS if not wanted or wanted[1].lower() == self._named(role, wanted[0])]
        with tenant_atomic(actor_of(request).tenant_id):
            found = [_group(request, role) for role in roles]
        return _listed(found)

    def _named(self, role: Role, attribute: str) -> str:
        return role.label.lower() if attribute == "displayName" else str(role)

    def post(self, request: Request) -> Response:
        names = ", ".join(Role(role).label for role in GROUPS)
        if str(self.body(request).get("displayName", "")).lower() in {Role(role).label.lower() for role in GROUPS}:
            raise ScimError("This group is always there; link to it.", "uniqueness", 409)
        raise ScimError(f"The groups are the roles: {names}. Name yours like the one it gives.")


class GroupDetail(ScimView):
    """One role and who has it."""

    permissions: ClassVar[dict[str, str]] = dict.fromkeys(("GET", "PUT", "PATCH"), "member.manage")

    def get(self, request: Request, role: str) -> Response:
        with tenant_atomic(actor_of(request).tenant_id):
            return Response(_group(request, _known(role)))

    def put(self, request: Request, role: str) -> Response:
        return self._changed(request, _known(role), scim.read_members(self.body(request)))

    def patch(self, request: Request, role: str) -> Response:
        return self._changed(request, _known(role), scim.read_group_patch(self.body(request)))

    def _changed(self, request: Request, role: Role, members: scim.Members) -> Response:
        by = actor_of(request)
        with tenant_atomic(by.tenant_id):
            add, remove = members.add, members.remove - members.add
            if members.exactly is not None:
                held = {one.user.pk for one in in_group(role)}
                add, remove = (members.exactly | add) - held, held - members.exactly - add
            remove &= {one.user.pk for one in in_group(role, remove)} if remove else set()
            change_group(by=by, role=role, add=add, remove=remove)
            return Response(_group(request, role))


def _known(role: str) -> Role:
    if role not in GROUPS:
        raise Http404("No such group.")
    return Role(role)


def _change(told: Told) -> Change:
    return Change(told.external_id, told.display_name, told.active)


def _listed(found: list[dict[str, Any]], total: int | None = None, first: int = 1) -> Response:
    n_all = len(found) if total is None else total
    return Response({
        "schemas": [scim.LIST],
        "totalResults": n_all,
        "startIndex": first,
        "itemsPerPage": len(found),
        "Resources": found,
    })  # fmt: skip


def _user(request: Request, who: Person) -> dict[str, Any]:
    made = who.entry.created_at if who.entry else who.seat.added_at if who.seat else who.user.date_joined
    changed = who.entry.changed_at if who.entry else made
    location = reverse("api-scim-user", kwargs={"pk": who.user.pk}, request=request)
    groups = [{"value": role, "display": Role(role).label} for role in who.roles if role in GROUPS]
    return {
        "schemas": [scim.USER],
        "id": str(who.user.pk),
        "userName": who.user.email,
        "displayName": who.display_name,
        "active": who.is_active,
        "emails": [{"value": who.user.email, "primary": True}],
        "groups": groups,
        "meta": {
            "resourceType": "User",
            "created": made.isoformat(),
            "lastModified": changed.isoformat(),
            "location": location,
        },
    } | ({"externalId": who.entry.external_id} if who.entry and who.entry.external_id else {})


def _group(request: Request, role: Role) -> dict[str, Any]:
    location = reverse("api-scim-group", kwargs={"role": role}, request=request)
    document: dict[str, Any] = {
        "schemas": [scim.GROUP],
        "id": str(role),
        "displayName": role.label,
        "meta": {"resourceType": "Group", "location": location},
    }
    if "members" not in request.query_params.get("excludedAttributes", ""):
        document["members"] = [{"value": str(one.user.pk), "display": str(one.user)} for one in in_group(role)]
    return document
