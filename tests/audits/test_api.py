"""Cases over REST."""

import json
import zipfile
from io import BytesIO
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audits.services import Brief, open_case
from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.audits.log import publish
from tests.factories.audits import Team, case_in_fieldwork, make_team, planned_case, signed_case
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from traces.selectors import DecisionFilter

LIST = "/api/v1/cases"


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 3)
    return make_team(cast)


def program(cast: Cast, scope: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {cast.keys[scope].secret}"})


def opening(team: Team, **changes: Any) -> dict[str, Any]:
    return {
        "title": "From a monitor",
        "lead": team.people["lead"].email,
        "filter": {"system": "loan-assistant"},
    } | changes


def test_a_program_opens_a_case_for_a_person(team: Team) -> None:
    client = program(team.cast, "manage")
    answer = client.post(LIST, opening(team), content_type="application/json")
    assert answer.status_code == 201
    told = answer.json()
    assert (told["number"], told["state"], told["filter"]) == (1, "draft", {"system": "loan-assistant"})
    assert client.get(f"{LIST}/{told['id']}").json()["content"]["title"] == "From a monitor"
    assert [case["id"] for case in client.get(LIST).json()["items"]] == [told["id"]]


@pytest.mark.parametrize(
    ("changes", "member"),
    [({"lead": "nobody@example.org"}, "lead"), ({"filter": {"since": "soon"}}, "filter"), ({"title": ""}, "title")],
)
def test_a_bad_opening_is_refused_by_member(team: Team, changes: dict[str, Any], member: str) -> None:
    answer = program(team.cast, "manage").post(LIST, opening(team, **changes), content_type="application/json")
    assert answer.status_code == 400
    assert member in answer.json()["errors"]


def test_a_viewer_cannot_be_made_to_lead(team: Team) -> None:
    body = opening(team, lead=team.cast.people[Role.VIEWER].email)
    assert program(team.cast, "manage").post(LIST, body, content_type="application/json").status_code == 400


def test_a_read_key_opens_nothing_and_an_ingest_key_sees_nothing(team: Team) -> None:
    body = opening(team)
    assert program(team.cast, "read").post(LIST, body, content_type="application/json").status_code == 403
    assert program(team.cast, "ingest").get(LIST).status_code == 403
    assert Client().get(LIST).status_code == 401


def test_the_files_of_a_signed_case_download(team: Team) -> None:
    case = signed_case(team)
    publish(team.cast)
    client = program(team.cast, "read")
    pdf = client.get(f"{LIST}/{case.pk}/report.pdf")
    assert (pdf.status_code, pdf["Content-Type"]) == (200, "application/pdf")
    assert client.get(f"{LIST}/{case.pk}/report.pdf").content == pdf.content
    told = client.get(f"{LIST}/{case.pk}").json()
    assert told["state"] == "reported"
    assert [signature["meaning"] for signature in told["signatures"]] == ["responsibility", "approval"]
    bundle = client.get(f"{LIST}/{case.pk}/bundle.zip")
    with zipfile.ZipFile(BytesIO(b"".join(bundle.streaming_content))) as files:  # type: ignore[attr-defined]
        assert json.loads(files.read("manifest.json"))["case"] == str(case.pk)
        assert files.read("report.pdf") == pdf.content


def test_nothing_to_report_yet_is_409(team: Team) -> None:
    case = planned_case(team)
    for name in ("report.pdf", "bundle.zip"):
        answer = program(team.cast, "read").get(f"{LIST}/{case.pk}/{name}")
        assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
        assert answer.json()["allowed"] == []


def test_another_tenant_gets_404(team: Team, stranger: Cast) -> None:
    case = case_in_fieldwork(team)
    for name in ("", "/report.pdf", "/bundle.zip"):
        assert program(stranger, "read").get(f"{LIST}/{case.pk}{name}").status_code == 404
    assert program(stranger, "read").get(LIST).json()["items"] == []


def test_the_list_pages_and_costs_the_same_at_two_sizes(team: Team) -> None:
    client = program(team.cast, "read")
    counts = []
    for n in (2, 60):
        for _ in range(n):
            open_case(by=team.lead, scope=DecisionFilter(), brief=Brief("One of many"))
        client.get(LIST)  # warm: the key
        with CaptureQueriesContext(connection) as captured:
            page = client.get(LIST).json()
        counts.append(len(captured))
    assert counts[1] == counts[0] <= 7
    rest = client.get(LIST, {"before": page["before"]}).json()
    numbers = [case["number"] for case in page["items"] + rest["items"]]
    assert numbers == list(range(62, 0, -1))
    assert rest["before"] is None


def test_the_detail_costs_the_same_at_two_sizes(team: Team) -> None:
    client, counts = program(team.cast, "read"), []
    for n in (1, 30):
        submit(team.cast, n)
        case = case_in_fieldwork(team)
        client.get(LIST)
        with CaptureQueriesContext(connection) as captured, tenant_atomic(case.tenant_id):
            assert client.get(f"{LIST}/{case.pk}").status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 21
