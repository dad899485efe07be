"""Evidence over REST: the page's rules, and what only a program can get wrong."""

import hashlib
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audits.evidence import Upload, add_evidence
from audits.filetypes import MAX_BYTES, TEST_VIRUS
from audits.models import Case
from audits.requests import RequestText, request_evidence
from tests.audits.test_api import LIST, program
from tests.factories.audits import Team, case_in_fieldwork, make_team
from tests.factories.tenants import Cast
from tests.factories.traces import submit

TABLE = b"month,refused\n3,41\n"


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 1)
    return make_team(cast)


@pytest.fixture
def case(team: Team) -> Case:
    return case_in_fieldwork(team)


@pytest.fixture
def client(team: Team) -> Client:
    return program(team.cast, "manage")


def send(client: Client, case: Case, data: bytes = TABLE, name: str = "refusals.csv", **said: Any) -> Any:
    return client.post(f"{LIST}/{case.pk}/files", {"file": SimpleUploadedFile(name, data), **said})


def test_a_file_is_kept_with_its_place_and_comes_back_as_it_went(team: Team, client: Client, case: Case) -> None:
    request_evidence(by=team.lead, case=case, text=RequestText("Refusals"))
    digest = hashlib.sha256(TABLE).hexdigest()
    kept = send(client, case, sha256=digest, source="The warehouse", request=1, item=1, expires="2027-12-31")
    assert kept.status_code == 201
    told = kept.json()
    assert (told["sha256"], told["media_type"]) == (digest, "text/plain; charset=utf-8")
    assert (told["request"], told["item"], told["expires"], told["supersedes"]) == (1, 1, "2027-12-31", None)
    assert [line["action"] for line in told["custody"]] == ["collected"]
    back = client.get(kept["Location"])
    assert back.content == TABLE
    assert (back["X-Content-Type-Options"], back["Content-Disposition"]) == (
        "nosniff",
        'attachment; filename="refusals.csv"',
    )
    (listed,) = client.get(f"{LIST}/{case.pk}/files").json()["items"]
    assert [line["action"] for line in listed["custody"]] == ["collected", "read"]


def test_a_better_file_supersedes_once(client: Client, case: Case) -> None:
    send(client, case)
    assert send(client, case, TABLE + b"4,2\n", supersedes=1).status_code == 201
    again = send(client, case, b"other", supersedes=1)
    assert (again.status_code, again["Content-Type"]) == (409, "application/problem+json")
    files = client.get(f"{LIST}/{case.pk}/files").json()["items"]
    assert [(row["number"], row["supersedes"], row["superseded_by"]) for row in files] == [(1, None, 2), (2, 1, None)]


REFUSED: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "virus": (TEST_VIRUS, {}, "file"),
    "program": (b"MZ", {}, "file"),
    "nothing in it": (b"", {}, "file"),
    "other bytes": (TABLE, {"sha256": "0" * 64}, "sha256"),
    "no hash": (TABLE, {"sha256": "x"}, "sha256"),
    "no such request": (TABLE, {"request": 9}, "request"),
    "no such item": (TABLE, {"item": 9}, "item"),
    "no such file": (TABLE, {"supersedes": 9}, "supersedes"),
    "no date": (TABLE, {"expires": "soon"}, "expires"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_says_why_and_leaves_nothing(client: Client, case: Case, kind: str) -> None:
    data, said, member = REFUSED[kind]
    refused = send(client, case, data, **said)
    assert (refused.status_code, list(refused.json()["errors"])) == (400, [member])
    assert client.get(f"{LIST}/{case.pk}/files").json()["items"] == []


def test_a_body_without_a_length_or_too_long_is_not_read(client: Client, case: Case) -> None:
    address = f"{LIST}/{case.pk}/files"
    assert send(client, case, b"a" * (MAX_BYTES + 1)).status_code == 413
    for length, status in (("", 411), (str(2**40), 413)):
        asked = client.generic("POST", address, b"", "multipart/form-data; boundary=x", CONTENT_LENGTH=length)
        assert asked.status_code == status
    assert client.post(address, {"file": "x"}, content_type="application/json").status_code == 415
    assert client.get(address).json()["items"] == []


def test_a_read_key_and_a_stranger_hand_nothing_in(team: Team, stranger: Cast, case: Case) -> None:
    file = add_evidence(by=team.lead, case=case, upload=Upload("a.txt", b"a"))
    reading, outside = program(team.cast, "read"), program(stranger, "manage")
    assert send(reading, case).status_code == 403
    assert reading.get(f"{LIST}/{case.pk}/files/{file.number}").content == b"a"
    assert send(outside, case).status_code == 404
    assert outside.get(f"{LIST}/{case.pk}/files/{file.number}").status_code == 404
    assert reading.get(f"{LIST}/{case.pk}/files/9").status_code == 404


def test_the_list_costs_the_same_for_any_number_of_files(team: Team, client: Client, case: Case) -> None:
    costs = []
    for n in (2, 12):
        while add_evidence(by=team.lead, case=case, upload=Upload("x.txt", b"x")).number < n:
            pass
        client.get(f"{LIST}/{case.pk}/files")  # the key is remembered
        with CaptureQueriesContext(connection) as queries:
            assert len(client.get(f"{LIST}/{case.pk}/files").json()["items"]) == n
        costs.append(len(queries))
    assert costs[0] == costs[1] <= 9
