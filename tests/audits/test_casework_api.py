"""Transitions over REST: the version that was seen, and what is allowed instead."""

from typing import Any

import pytest
from django.test import Client

from audits.models import Case
from audits.requests import RequestText, request_evidence
from audits.services import FindingText, write_finding
from audits.workflow import State
from tests.audits.test_api import LIST, program
from tests.factories.audits import Team, case_in_fieldwork, case_in_review, fresh, make_team, planned_case
from tests.factories.tenants import Cast
from tests.factories.traces import submit


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 2)
    return make_team(cast)


@pytest.fixture
def client(team: Team) -> Client:
    return program(team.cast, "manage")


def step(client: Client, case: Case, where: str = "", headers: dict[str, str] | None = None, **said: Any) -> Any:
    address = f"{LIST}/{case.pk}{where}/transitions"
    return client.post(address, said, content_type="application/json", headers=headers or {})


def test_a_program_holds_and_resumes_at_the_version_it_saw(team: Team, client: Client) -> None:
    case = planned_case(team)
    held = step(client, case, headers={"If-Match": f'"{case.version}"'}, action="hold", reason="Deployment freeze.")
    assert (held.status_code, held.json()["state"], held.json()["allowed"]) == (200, "on_hold", ["resume"])
    assert held["ETag"] == f'"{case.version + 1}"'
    again = step(client, case, action="resume", version=case.version + 1)
    assert again.json()["state"] == "planned"


def test_a_stale_version_and_an_illegal_step_are_409_with_what_is_allowed(team: Team, client: Client) -> None:
    case = planned_case(team)
    stale = step(client, case, action="hold", reason="x", version=case.version - 1)
    assert (stale.status_code, stale["Content-Type"]) == (409, "application/problem+json")
    assert stale.json()["allowed"] == ["freeze", "hold", "cancel"]
    assert step(client, case, action="close", version=case.version).json()["allowed"] == ["freeze", "hold", "cancel"]
    assert fresh(case).version == case.version


def test_a_step_without_a_version_is_428_and_an_unknown_one_400(team: Team, client: Client) -> None:
    case = planned_case(team)
    assert step(client, case, action="hold", reason="x").status_code == 428
    assert step(client, case, headers={"If-Match": '"x"'}, action="hold").status_code == 400
    assert step(client, case, action="explode", version=1).status_code == 400
    assert fresh(case).state == State.PLANNED


@pytest.mark.parametrize("action", ["submit", "request_changes", "accept", "sign", "report", "reopen"])
def test_a_program_never_does_a_persons_work(team: Team, client: Client, action: str) -> None:
    case = case_in_review(team)
    answer = step(client, case, action=action, reason="x", version=case.version)
    assert answer.status_code in {403, 409}
    assert fresh(case).state == State.IN_REVIEW


def test_a_finding_and_a_request_move_by_their_numbers(team: Team, client: Client) -> None:
    case = case_in_fieldwork(team)
    write_finding(by=team.lead, case=case, text=FindingText("In time.", "Late."))
    request_evidence(by=team.lead, case=case, text=RequestText("The log"))
    issued = step(client, case, "/findings/1", action="issue", version=1)
    assert issued.json() == {"number": 1, "state": "open", "version": 2}
    refused = step(client, case, "/findings/1", action="close", reason="Fine.", version=2)
    assert (refused.status_code, refused.json()["allowed"]) == (409, ["assign", "transfer"])
    withdrawn = step(client, case, "/requests/1", action="withdraw", reason="Found it.", version=1)
    assert withdrawn.json()["state"] == "withdrawn"
    assert step(client, case, "/findings/9", action="issue", version=1).status_code == 404


def test_another_tenant_and_a_read_key_move_nothing(team: Team, stranger: Cast) -> None:
    case = planned_case(team)
    assert step(program(stranger, "manage"), case, action="hold", reason="x", version=3).status_code == 404
    assert step(program(team.cast, "read"), case, action="hold", reason="x", version=3).status_code == 403
    assert fresh(case).state == State.PLANNED
