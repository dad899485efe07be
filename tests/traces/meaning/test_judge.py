"""A model as judge, against a fake endpoint: verdicts, retries, cost, and silence unless it is switched on."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.test import Client

from tenants.context import tenant_atomic
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.traces.meaning.words import Words
from traces.costs.services import record_price
from traces.meaning import embedding, judge
from traces.meaning.exchange import Exchange
from traces.models import Assessment, MeaningQueue, MeaningWork, Remark

VERDICT = {"score": 0.8, "label": "good", "reason": "It asks for the payslip."}


class Endpoint:
    """Speaks chat completions; `answers` are (status, text of the message), the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, str]] = [(200, json.dumps(VERDICT))]
        self.asked: list[tuple[dict[str, Any], dict[str, str]]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.asked.append((body, dict(self.headers)))
                status, text = endpoint.answers.pop(0) if len(endpoint.answers) > 1 else endpoint.answers[0]
                usage = {"prompt_tokens": 1000, "completion_tokens": 50}
                data = json.dumps({"choices": [{"message": {"content": text}}], "usage": usage}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(autouse=True)
def switched_on(endpoint: Endpoint, cast: Cast, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.AFFIDAVIT_JUDGE_URL, settings.AFFIDAVIT_JUDGE_MODEL = endpoint.url, "judge-1"
    settings.AFFIDAVIT_JUDGE_KEY, settings.AFFIDAVIT_JUDGE_TIMEOUT = "secret", 2
    settings.AFFIDAVIT_JUDGE_TENANTS, settings.AFFIDAVIT_JUDGE_SHARE = [cast.tenant.slug], "1"
    monkeypatch.setattr(judge, "_BACKOFF", 0.01)


def judged(cast: Cast) -> Assessment | None:
    embedding.embed(cast.tenant.pk, encoder=Words())
    judge.judge_waiting(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk):
        return Assessment.objects.filter(evaluator="judge").first()


def test_a_verdict_is_kept_with_version_cost_and_a_sealed_reason(cast: Cast, endpoint: Endpoint) -> None:
    rates = {"input": "2", "output": "10"}
    record_price(by=cast.owner, document={"provider": "", "model": "judge-1", "currency": "EUR", "rates": rates})
    (pk,) = submit(cast)
    row = judged(cast)
    assert row is not None
    assert (row.score, row.label, row.cost_micros, row.currency) == (0.8, "good", 2500, "EUR")
    assert row.version == judge.version()
    body, headers = endpoint.asked[0]
    assert headers["Authorization"] == "Bearer secret"
    assert "May I borrow 5,000?" in body["messages"][1]["content"]
    with tenant_atomic(cast.tenant.pk):
        assert b"payslip" not in bytes(Remark.objects.get(pk=row.pk).sealed)
    url, told = f"/api/v1/decisions/{pk}/assessments", {}
    for scope in ("read", "manage"):
        items = Client(headers={"Authorization": f"Bearer {cast.keys[scope].secret}"}).get(url).json()["items"]
        told[scope] = next(item for item in items if item["evaluator"] == "judge").get("reason")
    assert told == {"read": VERDICT["reason"], "manage": None}


def test_nobody_is_asked_unless_both_switches_are_on(cast: Cast, endpoint: Endpoint, settings: Any) -> None:
    submit(cast)
    settings.AFFIDAVIT_JUDGE_TENANTS = []
    assert judged(cast) is None
    settings.AFFIDAVIT_JUDGE_TENANTS, settings.AFFIDAVIT_JUDGE_SHARE = [cast.tenant.slug], "0"
    submit(cast)
    assert judged(cast) is None
    settings.AFFIDAVIT_JUDGE_URL, settings.AFFIDAVIT_JUDGE_SHARE = "", "1"
    submit(cast)
    assert judged(cast) is None
    assert endpoint.asked == []


def test_what_passes_is_tried_again(endpoint: Endpoint) -> None:
    endpoint.answers = [(500, ""), (429, ""), (200, f"```json\n{json.dumps(VERDICT)}\n```")]
    waited: list[float] = []
    assert judge.ask(Exchange("q", "a"), sleep=waited.append).score == 0.8
    assert waited == [0.01, 0.02]


@pytest.mark.parametrize("status", [302, 401, 404])
def test_what_does_not_pass_is_not(endpoint: Endpoint, status: int) -> None:
    endpoint.answers = [(status, "")]
    with pytest.raises(judge.JudgeError, match=str(status)):
        judge.ask(Exchange("q", "a"))
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    "text", ["", "no object", "[]", '{"score": 2, "label": "good"}', '{"score": 0.5, "label": "odd"}']
)
def test_a_reply_of_another_form_is_no_verdict(endpoint: Endpoint, text: str) -> None:
    endpoint.answers = [(200, text)]
    with pytest.raises(judge.JudgeError):
        judge.ask(Exchange("q", "a"))


def test_a_judge_that_stays_away_is_recorded_after_five_runs(cast: Cast, endpoint: Endpoint) -> None:
    endpoint.answers = [(404, "")]
    submit(cast)
    assert judged(cast) is None
    for _ in range(4):
        judge.judge_waiting(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk):
        row = Assessment.objects.get(evaluator="judge")
        assert (row.label, row.score, row.cost_micros) == ("failed", None, None)
        assert not MeaningQueue.objects.filter(work=MeaningWork.JUDGE).exists()
