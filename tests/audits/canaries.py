"""Canaries: strings that occur nowhere else, planted wherever a person's data can go, and a search that opens what can
be opened. What it finds before an erasure proves that it would find it after."""

import contextlib
import json
import os
import uuid
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from psycopg import sql

from audits.evidence import Place, Upload, add_evidence, open_evidence
from audits.models import Erasure, EvidenceFile
from audits.publishing import build_report
from audits.selectors import items_of
from audits.subjects import subject_of
from config.servers import default_home
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.audits import case_in_fieldwork, make_team
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, ingestor, submit_each
from tests.invariants.worlds import superuser, tenant_models
from tests.traces.meaning.words import Words
from tests.traces.otlp.wire import logs_request
from traces.contents import read_contents
from traces.costs.budgeting import BudgetTerms, create_budget
from traces.costs.rollups import roll_up
from traces.drift import worker
from traces.meaning.embedding import embed
from traces.meaning.feedback import Judgement, give_feedback
from traces.meaning.remarks import read_remarks
from traces.models import Decision, DecisionPayload, Remark
from traces.otlp.decode import Form, read_logs
from traces.otlp.recording import record_logs
from traces.search.exporting import export_decisions
from traces.search.indexing import index_words
from traces.search.saved import save_view
from traces.selectors import DecisionFilter

PLACES = (
    "subject", "session", "external", "input", "context", "output", "outcome", "metadata", "late", "comment", "file",
)  # fmt: skip


class Canaries:
    """One a place; `subject` is the person's name itself."""

    def __init__(self) -> None:
        self.of = {place: f"zqx{place}{uuid.uuid4().hex}" for place in PLACES}

    def __getitem__(self, place: str) -> str:
        return self.of[place]


def plant(cast: Cast, n: int = 3) -> Canaries:
    """Decisions of one subject and everything that is made of them, by every door that takes a person's data."""
    bird = Canaries()
    ids = submit_each(cast, [_decision(bird, number) for number in range(n)])
    with tenant_atomic(cast.tenant.pk):
        decision = Decision.objects.get(pk=ids[0])
    assert decision.trace_id is not None
    event = ("gen_ai.user.message", {"content": f"Late: {bird['late']}"})
    body = logs_request(decision.trace_id.bytes, bytes.fromhex("00f067aa0ba902b7"), event)
    record_logs(by=ingestor(cast), logs=read_logs(body, Form.PROTOBUF))
    give_feedback(
        by=cast.auditor,
        decision_id=ids[0],
        judgement=Judgement(label="bad", comment=f"Rude: {bird['comment']}", given_by=bird["subject"]),
    )
    create_budget(by=cast.owner, terms=BudgetTerms("Theirs", 10**9, scope="user", subject=bird["subject"]))
    save_view(by=cast.auditor, name="Them", query={"user": bird["subject"]}, is_shared=True)
    roll_up(cast.tenant.pk)
    index_words(cast.tenant.pk)
    worker.look(cast.tenant.pk)
    embed(cast.tenant.pk, encoder=Words())
    _export(cast.actors[Role.AUDITOR], bird)
    _examine(cast, bird)
    return bird


def _decision(bird: Canaries, number: int) -> dict[str, Any]:
    return a_decision(
        external_id=f"{bird['external']}-{number}",
        subject=None,
        user=bird["subject"],
        session=bird["session"],
        input=[{"role": "user", "content": f"I am {bird['input']}"}],
        context=[{"id": "doc", "text": bird["context"]}],
        output=[{"role": "assistant", "content": f"Hello {bird['output']}"}],
        outcome={"decision": "refer", "reasons": [{"code": "x", "text": bird["outcome"]}]},
        metadata={"note": bird["metadata"]},
        occurred_at=None,
    )


def _export(by: Actor, bird: Canaries) -> None:
    wanted = DecisionFilter.from_query({"user": bird["subject"]})
    list(export_decisions(by=by, wanted=wanted, form="jsonl", now=datetime.now(UTC)))


def _examine(cast: Cast, bird: Canaries) -> None:
    team = make_team(cast)
    case = case_in_fieldwork(team, task="pre-screening")
    with tenant_atomic(cast.tenant.pk):
        item = items_of(case)[0]
    upload = Upload("letter.txt", f"Dear {bird['file']}".encode())
    add_evidence(by=team.lead, case=case, upload=upload, place=Place(item=item))
    build_report(case=case, requested_by=team.lead)


def sightings(cast: Cast, bird: Canaries) -> dict[str, set[str]]:
    """Canary → where it is: in every column of every table, opened as far as this instance has keys; in Valkey; in
    the files beside the database."""
    found: dict[str, set[str]] = {}
    for where, text in (*_tables(cast), *_opened(cast), *_valkey(), *_files()):
        for place, name in bird.of.items():
            if name.encode() in text:
                found.setdefault(place, set()).add(where)
    return found


def _tables(cast: Cast) -> Iterator[tuple[str, bytes]]:
    with superuser() as connection:
        for model in tenant_models():
            table = model._meta.db_table
            query = sql.SQL("SELECT * FROM {} WHERE tenant_id = %s").format(sql.Identifier(table))
            cursor = connection.execute(query, [cast.tenant.pk])
            names = [column.name for column in cursor.description or ()]
            for row in cursor:
                for name, value in zip(names, row, strict=True):
                    yield from ((f"{table}.{name}", text) for text in _texts(value))


def _texts(value: Any) -> Iterator[bytes]:
    """A value as it is, and as what it becomes when it is unpacked."""
    if isinstance(value, bytes | memoryview):
        data = bytes(value)
        yield data
        with contextlib.suppress(zlib.error):
            yield zlib.decompress(data)
    elif value is not None:
        yield (value if isinstance(value, str) else json.dumps(value, default=str)).encode()


def _opened(cast: Cast) -> Iterator[tuple[str, bytes]]:
    """What is sealed, opened as its readers open it."""
    with tenant_atomic(cast.tenant.pk):
        for content in read_contents(list(DecisionPayload.objects.values_list("pk", flat=True))).values():
            yield "content", b"".join(content.canonical.values())
        for text in read_remarks(list(Remark.objects.values_list("pk", flat=True))).values():
            yield "remark", text.encode()
        for data in open_evidence(list(EvidenceFile.objects.all())).values():
            yield "evidence", data
        for row in Erasure.objects.all():
            yield "erasure request", subject_of(row).encode()


def _valkey() -> Iterator[tuple[str, bytes]]:
    client = redis.Redis.from_url(settings.REDIS_URL)
    for key in client.scan_iter():
        yield f"valkey {key!r}", key + (client.dump(key) or b"")


def _files() -> Iterator[tuple[str, bytes]]:
    """Everything beside the servers' own files, whose dead rows and write-ahead log expire by themselves."""
    home = default_home(os.environ) / "test"
    for path in sorted(Path(home).rglob("*")):
        if path.is_file() and "postgres" not in path.parts:
            yield str(path), path.read_bytes()
