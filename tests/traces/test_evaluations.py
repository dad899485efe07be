"""Asking before acting: answered like a decision would be judged, on record, and quick."""

import time
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from policies.document import MAX_RULES
from policies.models import Mode, PolicySet
from tenants.context import tenant_atomic
from tenants.ledger.canonical import dumps
from tenants.ledger.commitments import commit, parse_leaf
from tenants.ledger.merkle import leaf_hash
from tenants.models import LedgerQueue
from tests.factories.costs import spend, terms
from tests.factories.policies import a_document, put_in_force
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, ingestor
from traces.costs import budgeting
from traces.costs.budgeting import create_budget
from traces.evaluating import answer_question
from traces.models import Decision, Evaluation
from traces.submissions import read_question

URL = "/api/v1/evaluations"
LONG = "x" * 101


def ask(cast: Cast, question: Any, scope: str = "ingest") -> Any:
    headers = {"Authorization": f"Bearer {cast.keys[scope].secret}"}
    body = question if isinstance(question, bytes) else orjson.dumps(question)
    return Client(headers=headers).post(URL, body, content_type="application/json")


def test_what_may_not_be_answered_is_said_before_it_is(cast: Cast) -> None:
    put_in_force(cast, a_document())
    answer = ask(cast, {"system": "loan-assistant", "output": LONG})
    assert answer.status_code == 201
    told = answer.json()
    assert (told["verdict"], told["action"], told["denied"]) == ("triggered", "block", True)
    (finding,) = told["findings"]
    assert (finding["policy"], finding["rule"], finding["severity"]) == ("short-answers", "too-long", "high")
    assert finding["message"] == "The answer is too long."
    assert told["shadow"] is None
    passed = ask(cast, {"system": "loan-assistant"}).json()
    assert (passed["action"], passed["denied"]) == ("allow", False)
    assert passed["receipt"]


def traces_of(cast: Cast) -> list[str]:
    with tenant_atomic(cast.tenant.pk):
        found = Evaluation.objects.order_by("id").values_list("trace_id", flat=True)
        return [one.hex if one else "" for one in found]


@pytest.mark.parametrize(
    ("name", "header", "said", "expected"),
    [
        ("traceparent", f"00-{'4b' * 16}-{'01' * 8}-01", "", "4b" * 16),
        ("TraceParent", f"cc-{'4b' * 16}-{'01' * 8}-01-more", "", "4b" * 16),
        ("traceparent", f"00-{'4b' * 16}-{'01' * 8}-01", "5c" * 16, "5c" * 16),
        ("traceparent", f"00-{'4B' * 16}-{'01' * 8}-01", "", ""),
        ("traceparent", f"00-{'4b' * 16}-{'01' * 8}-01,00-{'5c' * 16}-{'01' * 8}-01", "", ""),
        ("tracestate", "congo=t61rcWkgMzE", "", ""),
    ],
    ids=["the header", "any case, a higher version", "the question's own", "capital letters", "twice", "state alone"],
)
def test_a_question_belongs_to_the_callers_trace(cast: Cast, name: str, header: str, said: str, expected: str) -> None:
    headers = {"Authorization": f"Bearer {cast.keys['ingest'].secret}", name: header, "tracestate": "a bad one"}
    question = {"system": "loans"} | ({"trace_id": said} if said else {})
    sent = Client(headers=headers | {name: header}).post(URL, orjson.dumps(question), content_type="application/json")
    assert sent.status_code == 201
    assert traces_of(cast) == [expected]


def test_the_answer_is_on_record_and_the_question_is_not(cast: Cast) -> None:
    put_in_force(cast, a_document())
    question = {"system": "loans", "subject": "customer-5521", "output": LONG, "trace_id": "4b" * 16}
    told = ask(cast, question).json()
    with tenant_atomic(cast.tenant.pk):
        row = Evaluation.objects.get(pk=told["id"])
        leaf = bytes(LedgerQueue.objects.get(rid=row.pk).leaf)
        assert PolicySet.objects.filter(sha256=row.policy_set).exists()
        assert not Decision.objects.exists()
    body = orjson.loads(bytes(row.body))
    assert (row.action, row.verdict, row.trace_id and row.trace_id.hex) == ("block", "triggered", "4b" * 16)
    assert [finding["rule"] for finding in body["findings"]] == ["too-long"]
    assert leaf_hash(leaf) == bytes(row.leaf_hash) == bytes.fromhex(told["leaf_hash"])
    for personal in (b"customer-5521", LONG.encode()):
        assert personal not in leaf + bytes(row.body)
    parsed = parse_leaf(leaf)
    assert parsed.type == "evaluation.answered"
    assert parsed.commitments["event"] == commit("event", bytes(row.salt), bytes(row.body))
    salt = urlsafe_b64decode(told["question_salt"] + "=")
    assert parsed.commitments["question"] == commit("question", salt, dumps(question))


def test_shadow_is_told_beside_and_enforces_nothing(cast: Cast) -> None:
    put_in_force(cast, a_document(limit=1000))
    put_in_force(cast, a_document(limit=100), mode=Mode.SHADOW)
    told = ask(cast, {"system": "loans", "output": LONG}).json()
    assert (told["action"], told["shadow"]["action"]) == ("allow", "block")
    with tenant_atomic(cast.tenant.pk):
        assert Evaluation.objects.get().shadow_action == "block"


def test_it_answers_as_the_decision_will_be_judged(cast: Cast) -> None:
    put_in_force(cast, a_document())
    decision = a_decision(output=LONG, occurred_at=datetime.now(UTC).isoformat())
    told = ask(cast, decision).json()
    again = Client(headers={"Authorization": f"Bearer {cast.keys['ingest'].secret}"}).post(
        "/api/v1/decisions", orjson.dumps(decision | {"policy_claim": told["policy_set"]}), "application/json"
    )
    assert again.json()["policy_match"] == "match"
    assert (again.json()["action"], again.json()["policy_set"]) == (told["action"], told["policy_set"])


def test_the_time_is_now_unless_the_question_says(cast: Cast) -> None:
    source = a_document().replace("output.length > 100", "time.hour >= 0 && time.hour < 24")
    put_in_force(cast, source)
    assert ask(cast, {"system": "loans"}).json()["verdict"] == "triggered"
    before = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    assert ask(cast, {"system": "loans", "occurred_at": before}).json()["verdict"] == "triggered"


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 422), (b"[]", 422), (b'{"input": "x"}', 422), (b'{"system": "s", "sytem": 1}', 422)],
)
def test_what_is_no_question_is_refused_and_not_recorded(cast: Cast, body: bytes, status: int) -> None:
    answer = ask(cast, body)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    with tenant_atomic(cast.tenant.pk):
        assert not Evaluation.objects.exists()


def test_only_a_key_that_may_ask_is_answered(cast: Cast) -> None:
    assert ask(cast, {"system": "s"}, "read").status_code == 403
    assert Client().post(URL, b"{}", content_type="application/json").status_code == 401
    assert Client(headers={"Authorization": f"Bearer {cast.keys['read'].secret}"}).get(URL).status_code == 405


def test_another_tenants_policies_judge_nothing_here(cast: Cast, stranger: Cast) -> None:
    put_in_force(stranger, a_document())
    assert ask(cast, {"system": "s", "output": LONG}).json()["verdict"] == "no_policy"


def rules(count: int) -> str:
    first, _, rule = a_document("many").partition("rules:\n")
    return first + "rules:\n" + "".join(rule.replace("too-long", f"too-long-{n}") for n in range(count))


def test_fifty_rules_are_answered_in_time_and_in_few_queries(cast: Cast) -> None:
    put_in_force(cast, rules(50))
    by, question = ingestor(cast), read_question(orjson.dumps(a_decision(output=LONG)))
    answer_question(by=by, item=question)
    took = []
    for _ in range(100):
        started = time.perf_counter()
        told = answer_question(by=by, item=question)
        took.append(time.perf_counter() - started)
    assert len(told["findings"]) == 50 < MAX_RULES
    assert sorted(took)[49] < 0.015
    with CaptureQueriesContext(connections["ingest"]) as queries:
        answer_question(by=by, item=question)
    assert len(queries) <= 4  # BEGIN, the tenant, the epoch, COMMIT; the two inserts go past the ORM


def over_budget(cast: Cast, **changes: Any) -> None:
    """A budget that is used up."""
    create_budget(by=cast.owner, terms=terms(limit_micros=1, **changes))
    spend(cast, 1, at=datetime.now(UTC), now=datetime.now(UTC), system="loans", user="u-1")
    budgeting._rules.clear()  # as after five seconds


def test_a_budget_that_is_used_up_blocks_and_that_is_on_record(cast: Cast) -> None:
    assert ask(cast, {"system": "loans", "user": "u-1"}).json()["budget"] == {"action": "allow"}
    over_budget(cast, name="b", scope="user", subject="u-1", on_exceed="block")
    told = ask(cast, {"system": "loans", "user": "u-1"}).json()
    assert (told["action"], told["denied"]) == ("allow", True)  # no rule objects; the budget does
    assert (told["budget"]["action"], told["budget"]["budget"]) == ("block", "b")
    other = ask(cast, {"system": "loans", "user": "u-2"}).json()
    assert (other["denied"], other["budget"]["action"]) == (False, "allow")
    with tenant_atomic(cast.tenant.pk):
        bodies = [orjson.loads(bytes(Evaluation.objects.get(pk=one["id"]).body)) for one in (told, other)]
    assert bodies[0]["budget"] == told["budget"]
    assert "budget" not in bodies[1]


def test_a_budget_routes_to_another_model(cast: Cast) -> None:
    over_budget(cast, name="r", scope="system", subject="loans", on_exceed="route", route_to="small")
    told = ask(cast, {"system": "loans"}).json()
    assert (told["denied"], told["budget"]["action"], told["budget"]["route_to"]) == (False, "route", "small")


def test_a_budget_of_a_source_concerns_what_comes_by_its_key(cast: Cast) -> None:
    over_budget(cast, name="k", scope="key", subject=cast.source.name, on_exceed="block")
    assert ask(cast, {"system": "anything"}).json()["denied"] is True


def test_another_tenants_budget_says_nothing_here(cast: Cast, stranger: Cast) -> None:
    over_budget(stranger, name="b", scope="system", subject="loans", on_exceed="block")
    assert ask(cast, {"system": "loans"}).json()["budget"] == {"action": "allow"}
