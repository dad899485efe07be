"""B4: nobody sends what only the product decides: no form and no document has a member for it, others are refused."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from django import forms
from django.test import Client
from django.urls import get_resolver
from rest_framework import serializers

from tests.factories.tenants import Cast
from tests.factories.traces import a_decision
from tests.invariants.test_registry import OURS
from traces.marks.submissions import SubmittedEvent
from traces.submissions import Submitted

# What the server decides: whose a row is, which, how it stands, where it lies in the log, who may do everything.
DECIDED = {
    "tenant", "tenant_id", "id", "pk", "state", "leaf_index", "leaf_hash", "received_at", "created_at",
    "is_staff", "is_superuser", "is_active", "user_permissions", "groups", "source_id", "judged_by", "key_id",
}  # fmt: skip


def below(parent: type[Any]) -> Iterator[type[Any]]:
    for child in parent.__subclasses__():
        yield child
        yield from below(child)


def ours(parent: type[Any]) -> list[type[Any]]:
    assert get_resolver().url_patterns  # importing them has imported every form and serializer there is
    return sorted({one for one in below(parent) if one.__module__.split(".")[0] in OURS}, key=lambda one: one.__name__)


def test_no_form_has_a_field_for_it() -> None:
    found = ours(forms.BaseForm)
    assert len(found) > 10
    assert {one.__name__: set(one.base_fields) & DECIDED for one in found if set(one.base_fields) & DECIDED} == {}


def test_no_serializer_takes_it() -> None:
    wrong = {}
    for one in ours(serializers.BaseSerializer):
        taken = {name for name, field in getattr(one(), "fields", {}).items() if not field.read_only}
        if taken & DECIDED:
            wrong[one.__name__] = taken & DECIDED
    assert wrong == {}


@pytest.mark.parametrize("document", [Submitted, SubmittedEvent])
def test_no_submitted_document_has_a_member_for_it(document: type[msgspec.Struct]) -> None:
    assert document.__struct_config__.forbid_unknown_fields
    assert not set(document.__struct_encode_fields__) & DECIDED


@pytest.mark.parametrize("name", sorted(DECIDED))
def test_a_decision_that_sends_it_is_refused(name: str, cast: Cast) -> None:
    headers = {"Authorization": f"Bearer {cast.keys['ingest'].secret}"}
    body = msgspec.json.encode(a_decision() | {name: "x"})
    response = Client().post("/api/v1/decisions", body, "application/json", headers=headers)
    assert response.status_code == 422
    assert name in response.json()["errors"][0]["detail"] + response.json()["errors"][0]["pointer"]
