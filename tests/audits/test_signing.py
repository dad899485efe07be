"""Signatures: who, when, what it means, proven how, over which content; whole, or none."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from audits import signing
from audits.models import Signature
from audits.services import accept_review
from audits.signing import Factor, Manifest, sign_case
from audits.workflow import NotAllowed
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tests.factories.audits import Team, case_in_review, make_team
from tests.factories.tenants import PASSWORD, Cast
from tests.factories.traces import submit

WHOLE = Manifest("u", "Ida", "lead", "responsibility", "2026-11-25T10:00:00+00:00", ["password"], "00")


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 1)
    return make_team(cast)


@pytest.mark.parametrize("member", list(asdict(WHOLE)))
def test_a_manifest_is_whole_or_there_is_none(member: str) -> None:
    nothing: object = [] if member == "auth_methods" else ""
    with pytest.raises(ValidationError, match=member):
        replace(WHOLE, **{member: nothing})  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="name"):
        replace(WHOLE, name="  ")


def test_the_manifest_is_the_event_and_the_row(team: Team) -> None:
    case = case_in_review(team)
    revision = accept_review(by=team.reviewer, case=case)
    signature = sign_case(by=team.lead, case=case, password=PASSWORD)
    with tenant_atomic(case.tenant_id):
        body = json.loads(bytes(LedgerEvent.objects.get(pk=signature.pk).body))
    assert set(asdict(WHOLE)) <= set(body)
    assert body["payload_sha256"] == bytes(revision.content_sha256).hex() == bytes(signature.payload_sha256).hex()
    assert (body["name"], body["meaning"]) == (signature.name_printed, signature.meaning)
    assert body["auth_methods"] == signature.auth_methods == ["password"]
    assert body["signed_at"] == signature.signed_at.isoformat()


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch, team: Team) -> None:
    """The lead has a second factor, whose code is 123456."""
    lead = team.people["lead"].pk
    second = Factor("totp", lambda user: user.pk == lead, lambda _, given: given == "123456", "This is not the code.")
    monkeypatch.setattr(signing, "FACTORS", (*signing.FACTORS, second))


@pytest.mark.usefixtures("token")
def test_a_second_factor_is_asked_of_who_has_one(team: Team) -> None:
    case = case_in_review(team)
    accept_review(by=team.reviewer, case=case)
    for given in ({}, {"totp": "000000"}, {"password": PASSWORD}):
        with pytest.raises(ValidationError) as refused:
            sign_case(by=team.lead, case=case, password=PASSWORD, second=given)
        assert list(refused.value.message_dict) == ["totp"]
    with pytest.raises(ValidationError) as refused:
        sign_case(by=team.lead, case=case, password="wrong", second={"totp": "123456", "password": PASSWORD})
    assert list(refused.value.message_dict) == ["password"]
    assert sign_case(by=team.lead, case=case, password=PASSWORD, second={"totp": "123456"}).auth_methods == [
        "password",
        "totp",
    ]
    assert sign_case(by=team.reviewer, case=case, password=PASSWORD).auth_methods == ["password"]


def test_two_people_sign_each_once(team: Team) -> None:
    case = case_in_review(team)
    accept_review(by=team.reviewer, case=case)
    sign_case(by=team.lead, case=case, password=PASSWORD)
    with pytest.raises(NotAllowed, match="signed this revision already"):
        sign_case(by=team.lead, case=case, password=PASSWORD)
    assert sign_case(by=team.reviewer, case=case, password=PASSWORD).meaning == "approval"


def at_once(count: int, sign: Callable[[int], Signature]) -> list[Signature | NotAllowed]:
    """What came of each of so many tries that began together."""
    start = threading.Barrier(count)

    def run(n: int) -> Signature | NotAllowed:
        start.wait()
        try:
            return sign(n)
        except NotAllowed as refused:
            return refused
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_fifty_signatures_at_once_count_once_each(team: Team) -> None:
    case = case_in_review(team)
    accept_review(by=team.reviewer, case=case)
    two = (team.lead, team.reviewer)
    results = at_once(50, lambda n: sign_case(by=two[n % 2], case=case, password=PASSWORD))
    assert sum(isinstance(result, Signature) for result in results) == 2
    with tenant_atomic(case.tenant_id):
        given = Signature.objects.filter(case=case).values_list("meaning", flat=True)
        assert sorted(given) == ["approval", "responsibility"]
        assert case.events.filter(to_state="signed").count() == 1


@pytest.mark.parametrize("gap", [{"name_printed": ""}, {"role": ""}, {"auth_methods": []}])
def test_the_database_refuses_a_signature_with_a_gap(team: Team, gap: dict[str, object]) -> None:
    case = case_in_review(team)
    accept_review(by=team.reviewer, case=case)
    with tenant_atomic(case.tenant_id), pytest.raises(IntegrityError, match="signature_whole"), transaction.atomic():
        Signature.objects.create(
            case=case,
            revision=1,
            signer=team.people["lead"],
            meaning="responsibility",
            signed_at=case.opened_at,
            payload_sha256=b"x" * 32,
            **{"name_printed": "Ida", "role": "lead", "auth_methods": ["password"], **gap},
        )
