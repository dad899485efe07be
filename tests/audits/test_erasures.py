"""E2, E4, B6: who asks, who decides, and what is said where there is nothing to erase."""

import uuid

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.http import Http404
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audits import erasure_views, signing
from audits.erasures import (
    Plea,
    UnknownSubject,
    approve_erasure,
    get_erasure,
    name_for,
    reject_erasure,
    request_erasure,
)
from audits.models import Erasure
from audits.signing import Factor
from audits.workflow import NotAllowed
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tenants.roles import Role
from tests.factories.erasures import REASON, approved, erased, fresh, requested
from tests.factories.tenants import PASSWORD, Cast
from tests.factories.traces import submit

SUBJECT = "customer-5521"


@pytest.fixture
def admin(cast: Cast) -> Client:
    client = Client()
    client.force_login(cast.people[Role.ADMIN], backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def owner(cast: Cast) -> Client:
    client = Client()
    client.force_login(cast.people[Role.OWNER], backend="django.contrib.auth.backends.ModelBackend")
    return client


def page(cast: Cast, name: str, *rest: object) -> str:
    return reverse(name, args=[cast.tenant.slug, *rest])


def test_every_step_is_a_leaf_without_the_name(cast: Cast) -> None:
    submit(cast)
    erased(cast, SUBJECT)
    with tenant_atomic(cast.tenant.pk):
        events = list(LedgerEvent.objects.filter(tag__startswith="erasure.").order_by("id"))
    assert [event.tag for event in events] == ["erasure.requested", "erasure.approved", "erasure.completed"]
    assert not any(SUBJECT.encode() in bytes(event.body) for event in events)


def test_an_unknown_subject_is_not_a_success(cast: Cast, stranger: Cast) -> None:
    """E4: 404, and no request; a name that only another tenant knows is unknown."""
    submit(stranger)
    with pytest.raises(UnknownSubject):
        requested(cast, SUBJECT)
    with tenant_atomic(cast.tenant.pk):
        assert not Erasure.objects.exists()


def test_nobody_decides_on_their_own_request(cast: Cast) -> None:
    submit(cast)
    row = request_erasure(by=cast.owner, plea=Plea(SUBJECT, "b", REASON))
    with pytest.raises(PermissionDenied):
        approve_erasure(by=cast.owner, erasure=row, password=PASSWORD)
    with pytest.raises(PermissionDenied):
        reject_erasure(by=cast.owner, erasure=row, reason="No.")


def test_only_an_owner_approves_and_proves_who_they_are(cast: Cast) -> None:
    submit(cast)
    row = requested(cast, SUBJECT)
    for role in (Role.ADMIN, Role.AUDITOR, Role.POLICY_APPROVER, Role.VIEWER):
        with pytest.raises(PermissionDenied):
            approve_erasure(by=cast.actors[role], erasure=row, password=PASSWORD)
    with pytest.raises(ValidationError, match="not your password"):
        approve_erasure(by=cast.owner, erasure=row, password="wrong")
    assert fresh(row).state == "requested"


def test_a_second_factor_is_asked_of_an_owner_who_has_one(
    cast: Cast, owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B6: the password alone does not erase where there is an authenticator app."""
    code = Factor("totp", lambda _: True, lambda _, given: given == "123456", "This is not the code.")
    monkeypatch.setattr(signing, "FACTORS", (*(one for one in signing.FACTORS if one.name != "totp"), code))
    monkeypatch.setattr(erasure_views, "has_totp", lambda _: True)
    submit(cast)
    row = requested(cast, SUBJECT)
    with pytest.raises(ValidationError, match="not the code"):
        approve_erasure(by=cast.owner, erasure=row, password=PASSWORD)
    url = page(cast, "erasure-approve", row.pk)
    assert "not the code" in owner.post(url, {"password": PASSWORD, "totp": "000000"}).content.decode()
    assert owner.post(url, {"password": PASSWORD, "totp": "123456"}).status_code == 302
    assert fresh(row).state == "approved"


def test_a_decision_is_taken_once(cast: Cast) -> None:
    submit(cast)
    row = approved(cast, SUBJECT)
    with pytest.raises(NotAllowed, match="is approved"):
        approve_erasure(by=cast.owner, erasure=row, password=PASSWORD)
    reject_erasure(by=cast.owner, erasure=row, reason="They took it back.")
    assert bytes(fresh(row).sealed_subject) == b""
    with pytest.raises(NotAllowed):
        reject_erasure(by=cast.owner, erasure=row, reason="Again.")


def test_one_request_for_one_subject_at_a_time(cast: Cast) -> None:
    submit(cast)
    row = requested(cast, SUBJECT)
    with pytest.raises(NotAllowed, match=row.reference):
        requested(cast, SUBJECT)
    reject_erasure(by=cast.owner, erasure=row, reason="Not them.")
    assert requested(cast, SUBJECT).number == row.number + 1


@pytest.mark.parametrize(
    "plea",
    [Plea("", "b", "x"), Plea(SUBJECT, "z", "x"), Plea(SUBJECT, "b", " "), Plea(SUBJECT, "b", "It is Customer-5521.")],
    ids=["no name", "no ground", "no reason", "the name in the reason"],
)
def test_what_a_request_must_say(cast: Cast, plea: Plea) -> None:
    submit(cast)
    with pytest.raises(ValidationError):
        request_erasure(by=cast.owner, plea=plea)


def test_the_name_is_shown_to_those_who_ask_and_decide(cast: Cast) -> None:
    submit(cast)
    row = requested(cast, SUBJECT)
    with tenant_atomic(cast.tenant.pk):
        assert [name_for(by, row) for by in (cast.actors[Role.ADMIN], cast.owner, cast.auditor)] == [
            SUBJECT,
            SUBJECT,
            "",
        ]


def test_from_the_form_to_the_certificate(cast: Cast, admin: Client, owner: Client) -> None:
    submit(cast, 2)
    form = {"subject": SUBJECT, "ground": "b", "reason": REASON}
    answer = admin.post(page(cast, "erasure-list"), form)
    detail = answer["Location"]
    assert "Somebody else approves it" in admin.get(detail).content.decode()
    asked = owner.get(detail).content.decode()
    assert SUBJECT in asked
    assert "Approve and erase" in asked
    assert "not your password" in owner.post(f"{detail}approve/", {"password": "x"}).content.decode()
    assert owner.post(f"{detail}approve/", {"password": PASSWORD}).status_code == 302
    moving = owner.get(detail)
    assert (moving["Refresh"], moving["Cache-Control"]) == ("5", "private, no-store")
    assert owner.get(f"{detail}certificate.json")["Location"] == detail


def test_a_completed_request_shows_what_went_and_not_whose(cast: Cast, owner: Client) -> None:
    (pk,) = submit(cast)
    row = erased(cast, SUBJECT)
    shown = owner.get(page(cast, "erasure-detail", row.pk))
    assert "Kept, and why" in shown.content.decode()
    assert SUBJECT not in shown.content.decode()
    assert "Refresh" not in shown
    file = owner.get(page(cast, "erasure-certificate", row.pk))
    assert file.json()["certificate"]["records"]["listed"][0][0] == str(pk)


def test_the_record_says_under_which_request_its_content_went(cast: Cast) -> None:
    (pk,) = submit(cast)
    row = erased(cast, SUBJECT)
    reader = Client(headers={"Authorization": f"Bearer {cast.keys['read'].secret}"})
    told = reader.get(f"/api/v1/decisions/{pk}").json()
    assert (told["erased"], told["erased_reason"]) == (True, row.spoken_reason)
    auditor = Client()
    auditor.force_login(cast.people[Role.AUDITOR], backend="django.contrib.auth.backends.ModelBackend")
    assert row.spoken_reason in auditor.get(page(cast, "decision-detail", pk)).content.decode()


def test_a_form_for_a_name_that_nobody_knows(cast: Cast, admin: Client) -> None:
    answer = admin.post(page(cast, "erasure-list"), {"subject": "who", "ground": "b", "reason": REASON})
    assert answer.status_code == 422
    assert "nothing was erased" in answer.content.decode()


def test_a_portal_files_requests_and_follows_them(cast: Cast) -> None:
    submit(cast)
    portal = Client(headers={"Authorization": f"Bearer {cast.keys['manage'].secret}"})
    given = {"subject": SUBJECT, "ground": "b", "reason": REASON}
    made = portal.post("/api/v1/erasures", given, content_type="application/json")
    assert (made.status_code, made.json()["state"]) == (201, "requested")
    again = portal.post("/api/v1/erasures", given, content_type="application/json")
    unknown = portal.post("/api/v1/erasures", given | {"subject": "who"}, content_type="application/json")
    assert (again.status_code, unknown.status_code) == (409, 404)
    told = portal.get(f"/api/v1/erasures/{made.json()['id']}")
    assert SUBJECT not in told.content.decode()
    assert portal.get(f"/api/v1/erasures/{made.json()['id']}/certificate").status_code == 409
    assert [row["reference"] for row in portal.get("/api/v1/erasures").json()["items"]] == ["ER-1"]


def test_a_foreign_request_is_missing(cast: Cast, stranger: Cast) -> None:
    submit(cast)
    row = requested(cast, SUBJECT)
    with tenant_atomic(stranger.tenant.pk):
        for pk in (row.pk, uuid.uuid4()):
            with pytest.raises(Http404, match="No such erasure request"):
                get_erasure(stranger.owner, pk)


def test_the_list_costs_the_same_however_long(cast: Cast, owner: Client) -> None:
    owner.get(page(cast, "erasure-list"))  # the first page of a session says where it is
    counts = []
    for n in (1, 4):
        for number in range(n):
            submit(cast, subject=f"s-{n}-{number}")
            requested(cast, f"s-{n}-{number}")
        with CaptureQueriesContext(connection) as captured:
            assert owner.get(page(cast, "erasure-list")).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1]
