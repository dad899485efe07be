"""E2: what is held is not erased, whichever way it is held; released by somebody else, it goes."""

import uuid
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, connection
from django.http import Http404
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audits.erasing import Held, resume_erasures, run_erasure
from audits.erasures import approve_erasure
from audits.holds import HoldText, get_hold, place_hold, release_hold
from audits.models import Erasure, Hold
from audits.workflow import NotAllowed
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tenants.roles import Role
from tests.factories.audits import case_in_fieldwork, make_team
from tests.factories.erasures import approved, as_worker, fresh, requested
from tests.factories.tenants import PASSWORD, Cast
from tests.factories.traces import submit
from traces.erasing import Under, erase_contents
from traces.models import DecisionPayload

SUBJECT, WHY = "customer-5521", "Claim 12 O 81/26 is pending."


def held(by: Actor, scope: str, about: object) -> Hold:
    return place_hold(by=by, text=HoldText(scope, str(about), WHY))


def contents(cast: Cast) -> int:
    with tenant_atomic(cast.tenant.pk):
        return DecisionPayload.objects.count()


def run(cast: Cast, row: Erasure) -> None:
    with as_worker():
        run_erasure(cast.tenant.pk, row.pk)


@pytest.fixture(params=["record", "query", "subject", "case"])
def hold(request: Any, cast: Cast) -> Hold:
    """A hold on one of the subject's three records, in one of the four ways."""
    ids = submit(cast, 3)
    about: object = {"record": ids[1], "query": "?system=loan-assistant&action=allow", "subject": SUBJECT}.get(
        request.param
    )
    if request.param == "case":
        about = case_in_fieldwork(make_team(cast), system="loan-assistant").pk
    return held(cast.auditor, request.param, about)


def test_a_hold_stops_an_erasure_and_its_release_lets_it_go_on(cast: Cast, hold: Hold) -> None:
    """E2: refused at approval with a leaf; after the release it works."""
    row = requested(cast, SUBJECT)
    with pytest.raises(Held, match=hold.reference):
        approve_erasure(by=cast.owner, erasure=row, password=PASSWORD)
    with tenant_atomic(cast.tenant.pk):
        (refused,) = LedgerEvent.objects.filter(tag="erasure.refused")
        assert f'"hold":{hold.number}'.encode() in bytes(refused.body)
    assert (fresh(row).state, contents(cast)) == ("requested", 3)
    release_hold(by=cast.owner, hold=hold, reason="Settled.")
    run(cast, approve_erasure(by=cast.owner, erasure=row, password=PASSWORD))
    assert (fresh(row).state, contents(cast)) == ("completed", 0)


def test_a_hold_placed_after_the_approval_stops_it_too(cast: Cast) -> None:
    submit(cast, 2)
    row = approved(cast, SUBJECT)
    hold = held(cast.auditor, "subject", SUBJECT)
    run(cast, row)
    run(cast, row)
    assert (fresh(row).held_by, fresh(row).state, contents(cast)) == (hold.reference, "approved", 2)
    with tenant_atomic(cast.tenant.pk):
        assert LedgerEvent.objects.filter(tag="erasure.refused").count() == 1
    release_hold(by=cast.owner, hold=hold, reason="Settled.")
    with as_worker():
        resume_erasures(cast.tenant.pk)
    assert (fresh(row).held_by, fresh(row).state, contents(cast)) == ("", "completed", 0)


def test_a_hold_on_somebody_else_stops_nothing(cast: Cast) -> None:
    submit(cast)
    (other,) = submit(cast, subject="customer-2", system="other")
    held(cast.auditor, "record", other)
    held(cast.auditor, "query", "system=other")
    held(cast.auditor, "subject", "customer-2")
    run(cast, approved(cast, SUBJECT))
    assert contents(cast) == 1


def test_the_database_refuses_too(cast: Cast) -> None:
    (pk,) = submit(cast)
    row = approved(cast, SUBJECT)
    held(cast.auditor, "record", pk)
    with tenant_atomic(cast.tenant.pk):
        Erasure.objects.filter(pk=row.pk).update(state="running")
    with as_worker(), pytest.raises(IntegrityError, match="legal hold"), tenant_atomic(cast.tenant.pk):
        erase_contents([pk], Under(row.pk, "x"), SUBJECT)


def test_somebody_else_releases_it_with_a_reason_once(cast: Cast) -> None:
    (pk,) = submit(cast)
    mine = held(cast.owner, "record", pk)
    with pytest.raises(PermissionDenied):
        release_hold(by=cast.owner, hold=mine, reason="x")
    hold = held(cast.auditor, "record", pk)
    for role in (Role.ADMIN, Role.AUDITOR):
        with pytest.raises(PermissionDenied):
            release_hold(by=cast.actors[role], hold=hold, reason="x")
    with pytest.raises(ValidationError):
        release_hold(by=cast.owner, hold=hold, reason=" ")
    release_hold(by=cast.owner, hold=hold, reason="Settled.")
    with pytest.raises(NotAllowed):
        release_hold(by=cast.owner, hold=hold, reason="Again.")
    with pytest.raises(IntegrityError, match="hold_released_by_another"), tenant_atomic(cast.tenant.pk, using="owner"):
        Hold.objects.using("owner").filter(pk=mine.pk).update(
            released_by=mine.placed_by, released_at=mine.placed_at, release_reason="x"
        )


def test_placing_and_releasing_are_leaves_without_a_name(cast: Cast) -> None:
    submit(cast)
    hold = held(cast.auditor, "subject", SUBJECT)
    release_hold(by=cast.owner, hold=hold, reason="Settled.")
    with tenant_atomic(cast.tenant.pk):
        events = list(LedgerEvent.objects.filter(tag__startswith="hold.").order_by("id"))
        assert bytes(Hold.objects.get(pk=hold.pk).sealed_subject) == b""
    assert [event.tag for event in events] == ["hold.placed", "hold.released"]
    assert not any(SUBJECT.encode() in bytes(event.body) for event in events)


@pytest.mark.parametrize(
    ("scope", "about"), [("query", ""), ("query", "?"), ("case", "x"), ("record", ""), ("everything", "x")]
)
def test_what_a_hold_must_say(cast: Cast, scope: str, about: str) -> None:
    with pytest.raises(ValidationError):
        held(cast.auditor, scope, about)


def test_a_foreign_record_and_a_foreign_hold_are_missing(cast: Cast, stranger: Cast) -> None:
    (pk,) = submit(cast)
    hold = held(cast.auditor, "record", pk)
    for unknown in (pk, uuid.uuid4()):
        with pytest.raises(Http404, match="No such decision"):
            held(stranger.auditor, "record", unknown)
    with tenant_atomic(stranger.tenant.pk), pytest.raises(Http404):
        get_hold(stranger.auditor, hold.pk)


def test_the_page_places_and_releases(cast: Cast) -> None:
    (pk,) = submit(cast)
    url = reverse("hold-list", args=[cast.tenant.slug])
    browsers = {}
    for role in (Role.AUDITOR, Role.OWNER):
        browsers[role] = Client()
        browsers[role].force_login(cast.people[role], backend="django.contrib.auth.backends.ModelBackend")
    form = {"scope": "record", "about": str(pk), "reason": WHY}
    assert browsers[Role.AUDITOR].post(url, form | {"about": str(uuid.uuid4())}).status_code == 422
    assert browsers[Role.AUDITOR].post(url, form).status_code == 302
    with tenant_atomic(cast.tenant.pk):
        hold = Hold.objects.get()
    release = reverse("hold-release", args=[cast.tenant.slug, hold.pk])
    assert release not in browsers[Role.AUDITOR].get(url).content.decode()
    assert release in browsers[Role.OWNER].get(url).content.decode()
    assert browsers[Role.OWNER].post(release, {"reason": "Settled."}).status_code == 302
    assert "Settled." in browsers[Role.AUDITOR].get(url).content.decode()


def test_a_matters_system_places_holds_and_sees_them(cast: Cast) -> None:
    submit(cast)
    client = Client(headers={"Authorization": f"Bearer {cast.keys['manage'].secret}"})
    given = {"scope": "subject", "about": SUBJECT, "reason": WHY, "review_on": "2027-01-31"}
    made = client.post("/api/v1/holds", given, content_type="application/json")
    assert (made.status_code, made.json()["reference"]) == (201, "H-1")
    assert (
        client.post("/api/v1/holds", given | {"reason": f"x {SUBJECT}"}, content_type="application/json").status_code
        == 400
    )
    told = client.get(f"/api/v1/holds/{made.json()['id']}").content.decode()
    assert SUBJECT not in told
    assert '"review_on":"2027-01-31"' in told
    assert len(client.get("/api/v1/holds").json()["items"]) == 1


def test_the_list_costs_the_same_however_long(cast: Cast) -> None:
    ids, counts = submit(cast, 5), []
    client = Client()
    client.force_login(cast.people[Role.AUDITOR], backend="django.contrib.auth.backends.ModelBackend")
    url = reverse("hold-list", args=[cast.tenant.slug])
    client.get(url)
    for some in (ids[:1], ids[1:]):
        for pk in some:
            held(cast.auditor, "record", pk)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1]
