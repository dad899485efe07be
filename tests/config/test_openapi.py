"""The OpenAPI document: anybody may read it, every operation tells how it refuses, and refusals are as it says."""

import re
from functools import cache
from typing import Any

import pytest
from django.test import Client

from config.openapi import METHODS


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = Client().get("/api/v1/openapi.json").json()
    return found


def test_anybody_reads_the_document_and_its_page() -> None:
    assert document()["openapi"].startswith("3.1")
    page = Client().get("/api/docs/")
    assert page.status_code == 200
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.content.decode()), "nothing is fetched from elsewhere"


def test_every_operation_tells_how_it_refuses() -> None:
    lacking = []
    for path, operations in document()["paths"].items():
        for method in operations.keys() & set(METHODS):
            responses = operations[method]["responses"]
            refusals = {status: told for status, told in responses.items() if status == "default" or status >= "400"}
            if not {"401", "403", "default"} <= refusals.keys():
                lacking.append(f"{method} {path}: {sorted(responses)}")
            lacking += [
                f"{method} {path}: {status}"
                for status, told in refusals.items()
                if list(told["content"]) != ["application/problem+json"]
            ]
    assert lacking == []
    assert "Problem" in document()["components"]["schemas"]


@pytest.mark.parametrize("path", ["/api/v1/budgets/null", "/api/v1/nothing", "/v1/nothing"])
def test_a_program_is_told_in_its_own_form_that_nothing_is_there(path: str) -> None:
    answer = Client().get(path)
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json() == {"type": "about:blank", "title": "Not found", "status": 404}


def test_a_person_is_told_by_a_page() -> None:
    answer = Client().get("/nothing/")
    assert answer.status_code in {302, 404}
    assert not answer["Content-Type"].startswith("application/")
