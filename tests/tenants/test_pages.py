"""Sign-in, the choice of an organisation, members, keys and the ledger page, through the browser's door."""

import html
import re
import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tenants.authentication import authenticate
from tenants.context import tenant_atomic
from tenants.models import ApiKey, LedgerEvent, Membership, SourceSystem, User
from tenants.roles import Role
from tenants.services import add_member, create_key
from tests.audits.log import publish
from tests.factories.tenants import PASSWORD, Cast, UserFactory
from tests.factories.traces import submit


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def url(cast: Cast, name: str, *rest: object) -> str:
    return reverse(name, args=[cast.tenant.slug, *rest])


def text_of(response: object) -> str:
    return html.unescape(response.content.decode())  # type: ignore[attr-defined]


def test_the_door_leads_to_the_only_organisation(cast: Cast) -> None:
    client = Client()
    assert client.get("/").headers["Location"] == "/accounts/login/?next=/"
    email = cast.people[Role.VIEWER].email.upper()
    signed_in = client.post(reverse("account_login"), {"login": email, "password": PASSWORD}, follow=True)
    assert signed_in.redirect_chain[-1][0] == url(cast, "tenant-home")
    assert cast.tenant.name in text_of(signed_in)
    assert client.post(reverse("account_logout")).headers["Location"] == reverse("account_login")
    assert client.get(url(cast, "tenant-home")).status_code == 302


def test_whoever_has_two_organisations_is_asked_and_remembered(cast: Cast, stranger: Cast) -> None:
    person = cast.people[Role.VIEWER]
    add_member(by=stranger.owner, user=person, roles=[Role.AUDITOR])
    client = browser(person)
    assert client.get("/").headers["Location"] == reverse("tenant-choose")
    page = text_of(client.get(reverse("tenant-choose")))
    assert url(cast, "tenant-home") in page
    assert url(stranger, "tenant-home") in page
    client.get(url(stranger, "tenant-home"))
    assert client.get("/").headers["Location"] == url(stranger, "tenant-home")


def test_a_person_without_a_seat_is_told_so() -> None:
    assert "no seat yet" in text_of(browser(UserFactory.create()).get(reverse("tenant-choose")))


def test_a_foreign_organisation_is_not_there(cast: Cast, stranger: Cast) -> None:
    client = browser(stranger.people[Role.OWNER])
    for name in ("tenant-home", "ledger-health", "member-list", "api-key-list"):
        assert client.get(url(cast, name)).status_code == 404


def test_ten_wrong_passwords_close_the_door_for_that_address_only(cast: Cast) -> None:
    client, right = Client(), {"login": cast.people[Role.VIEWER].email, "password": PASSWORD}
    for _ in range(10):
        assert "correct" in text_of(client.post(reverse("account_login"), right | {"password": "wrong"}))
    assert "Too many attempts" in text_of(client.post(reverse("account_login"), right))
    other = {"login": cast.people[Role.AUDITOR].email, "password": PASSWORD}
    assert Client().post(reverse("account_login"), other).status_code == 302


def test_a_new_member_is_invited_and_chooses_a_password(cast: Cast) -> None:
    owner, email = browser(cast.people[Role.OWNER]), f"new-{uuid.uuid4().hex[:8]}@example.org"
    page = text_of(owner.post(url(cast, "member-list"), {"email": email, "name": "New", "roles": [Role.VIEWER]}))
    link = re.search(r"http://testserver(/accounts/password/[^\s<]+)", page)
    assert link is not None
    new = Client()
    form = new.get(link[1], follow=True)
    chosen = {"new_password1": PASSWORD, "new_password2": PASSWORD}
    assert new.post(form.redirect_chain[-1][0], chosen).headers["Location"] == reverse("account_login")
    assert new.login(username=email, password=PASSWORD)
    assert new.get(url(cast, "tenant-home")).status_code == 200
    assert "no longer works" in text_of(Client().get(link[1], follow=True))


def links_in(page: str) -> list[str]:
    return re.findall(r"http://testserver(/accounts/password/[^\s<]+)", page)


def test_a_lost_link_is_replaced_until_its_owner_has_come_in(cast: Cast) -> None:
    owner, email = browser(cast.people[Role.OWNER]), f"new-{uuid.uuid4().hex[:8]}@example.org"
    (first,) = links_in(text_of(owner.post(url(cast, "member-list"), {"email": email, "roles": [Role.VIEWER]})))
    with tenant_atomic(cast.tenant.pk):
        member = Membership.objects.get(user__email=email)
    again = url(cast, "member-invite", member.pk)
    assert "invited, not here yet" in text_of(owner.get(url(cast, "member-list")))
    (second,) = links_in(text_of(owner.post(again)))
    assert "no longer works" in text_of(Client().get(first, follow=True))
    new = Client()
    form = new.get(second, follow=True)
    new.post(form.redirect_chain[-1][0], {"new_password1": PASSWORD, "new_password2": PASSWORD})
    refused = owner.post(again, follow=True)
    assert "Only its owner" in text_of(refused)
    assert links_in(text_of(refused)) == []
    assert again not in text_of(refused)
    with tenant_atomic(cast.tenant.pk):
        assert LedgerEvent.objects.filter(tag="member.invited_again").count() == 1


def test_nobody_takes_an_account_that_others_expect_too(cast: Cast, stranger: Cast) -> None:
    email = f"new-{uuid.uuid4().hex[:8]}@example.org"
    browser(stranger.people[Role.OWNER]).post(url(stranger, "member-list"), {"email": email, "roles": [Role.VIEWER]})
    owner = browser(cast.people[Role.OWNER])
    assert links_in(text_of(owner.post(url(cast, "member-list"), {"email": email, "roles": [Role.VIEWER]}))) == []
    with tenant_atomic(cast.tenant.pk):
        member = Membership.objects.get(user__email=email)
    refused = owner.post(url(cast, "member-invite", member.pk), follow=True)
    assert "Only its owner" in text_of(refused)
    assert links_in(text_of(refused)) == []


def test_somebody_who_has_an_account_gets_a_seat_and_no_link(cast: Cast, stranger: Cast) -> None:
    person = stranger.people[Role.VIEWER]
    page = text_of(
        browser(cast.people[Role.OWNER]).post(url(cast, "member-list"), {"email": person.email, "roles": [Role.VIEWER]})
    )
    assert "is a member now" in page
    assert "/accounts/password/" not in page


def test_what_the_services_refuse_is_said_in_the_form(cast: Cast) -> None:
    owner = browser(cast.people[Role.OWNER])
    both = [Role.POLICY_AUTHOR, Role.POLICY_APPROVER]
    page = text_of(owner.post(url(cast, "member-list"), {"email": "x@example.org", "roles": both}))
    assert "approve their own work" in page
    with tenant_atomic(cast.tenant.pk):
        myself = Membership.objects.get(user=cast.people[Role.OWNER])
    assert "last owner" in text_of(owner.post(url(cast, "member-edit", myself.pk), {"roles": [Role.VIEWER]}))
    assert "last owner" in text_of(owner.post(url(cast, "member-remove", myself.pk), follow=True))


def test_roles_change_and_seats_go(cast: Cast) -> None:
    owner, person = browser(cast.people[Role.OWNER]), cast.people[Role.VIEWER]
    with tenant_atomic(cast.tenant.pk):
        member = Membership.objects.get(user=person)
    assert "Viewer" in text_of(owner.get(url(cast, "member-edit", member.pk)))
    owner.post(url(cast, "member-edit", member.pk), {"roles": [Role.AUDITOR]})
    with tenant_atomic(cast.tenant.pk):
        assert Membership.objects.get(pk=member.pk).roles == [Role.AUDITOR]
    owner.post(url(cast, "member-remove", member.pk))
    assert browser(person).get(url(cast, "tenant-home")).status_code == 404


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.VIEWER, Role.POLICY_AUTHOR, Role.EXTERNAL_AUDITOR])
def test_others_neither_manage_members_nor_see_keys(cast: Cast, role: str) -> None:
    client = browser(cast.people[role])
    assert client.post(url(cast, "member-list"), {"email": "x@example.org", "roles": [role]}).status_code == 403
    assert client.get(url(cast, "api-key-list")).status_code == 403
    with tenant_atomic(cast.tenant.pk):
        key, member = ApiKey.objects.first(), Membership.objects.first()
    assert key is not None
    assert member is not None
    for name, row in (
        ("api-key-rotate", key),
        ("api-key-revoke", key),
        ("member-edit", member),
        ("member-remove", member),
    ):
        assert client.post(url(cast, name, row.pk)).status_code == 403


def test_a_key_is_shown_once_and_opens_the_door(cast: Cast) -> None:
    admin = browser(cast.people[Role.ADMIN])
    fields = {"name": "support", "scopes": ["ingest"], "source": "support-app"}
    made = admin.post(url(cast, "api-key-list"), fields)
    secret = re.search(r"aff_[a-z2-7]+_[a-z2-7]{40}", text_of(made))
    assert secret is not None
    assert "no-store" in made.headers["Cache-Control"]
    assert secret[0] not in text_of(admin.get(url(cast, "api-key-list")))
    actor = authenticate({"Authorization": f"Bearer {secret[0]}"})
    with tenant_atomic(cast.tenant.pk):
        assert list(SourceSystem.objects.filter(name="support-app").values_list("pk", flat=True)) == [actor.source_id]


def test_an_ingest_key_needs_a_source(cast: Cast) -> None:
    page = browser(cast.people[Role.ADMIN]).post(url(cast, "api-key-list"), {"name": "x", "scopes": ["ingest"]})
    assert "for one source" in text_of(page)


def test_keys_are_rotated_and_revoked(cast: Cast) -> None:
    admin, key = browser(cast.people[Role.ADMIN]), cast.keys["read"].row
    assert "is ready" in text_of(admin.post(url(cast, "api-key-rotate", key.pk)))
    admin.post(url(cast, "api-key-revoke", key.pk))
    with tenant_atomic(cast.tenant.pk):
        assert ApiKey.objects.get(pk=key.pk).revoked_at is not None
        assert LedgerEvent.objects.filter(tag="key.rotated").exists()
    assert "revoked" in text_of(admin.post(url(cast, "api-key-rotate", key.pk), follow=True))


def test_the_ledger_page_tells_how_the_log_stands(cast: Cast) -> None:
    viewer = browser(cast.people[Role.VIEWER])
    assert "Nothing signed yet" in text_of(viewer.get(url(cast, "ledger-health")))
    submit(cast, 3)
    publish(cast)
    page = text_of(viewer.get(url(cast, "ledger-health")))
    assert f"/t/{cast.tenant.slug}-1" in page
    assert "Current" in page
    assert "newest checkpoint holds" in text_of(viewer.post(url(cast, "ledger-verify"), follow=True))
    assert "Everything is signed" in text_of(viewer.get(url(cast, "tenant-home")))


def queries(client: Client, address: str) -> int:
    client.get(address)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


@pytest.mark.parametrize("name", ["member-list", "api-key-list", "ledger-health"])
def test_a_page_asks_as_many_questions_of_many_rows_as_of_few(cast: Cast, name: str) -> None:
    client = browser(cast.people[Role.OWNER])
    publish(cast)
    before = queries(client, url(cast, name))
    for number in range(5):
        add_member(by=cast.owner, user=UserFactory.create(), roles=[Role.VIEWER])
        create_key(by=cast.owner, name=f"k{number}", scopes=["ingest"], source=cast.source)
        publish(cast)
    assert queries(client, url(cast, name)) == before
