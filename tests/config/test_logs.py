"""Logs: one line a line, and the request's id from the page to the task that it set off."""

import json
import logging
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery.signals import setup_logging
from django.conf import settings
from django.test import Client

import config.celery
from config import logs
from tenants.context import tenant_atomic
from tests.factories.tenants import Cast

assert config.celery.app is not None  # its hooks are connected
NASTY = "one\r\n2026-11-25 FORGED \x1b[2J\x85\u2028end é"


def record(message: str, *args: Any) -> logging.LogRecord:
    return logging.LogRecord("affidavit.test", logging.WARNING, __file__, 1, message, args, None)


def test_a_json_line_is_one_line_whatever_is_in_it() -> None:
    line = logs.JsonFormatter().format(record("%s", NASTY))
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["message"] == NASTY


def test_a_plain_line_is_one_line_and_a_traceback_keeps_its_margin() -> None:
    formatter = logs.PlainFormatter("%(levelname)s %(name)s: %(message)s")
    assert formatter.format(record("%s", NASTY)) == (
        r"WARNING affidavit.test: one\r\n2026-11-25 FORGED \x1b[2J\x85\u2028end é"
    )
    try:
        raise ValueError("x\nWARNING affidavit: FORGED")
    except ValueError:
        failed = record("failed")
        failed.exc_info = sys.exc_info()
    first, *rest = formatter.format(failed).splitlines()
    assert first == "WARNING affidavit.test: failed"
    assert all(line.startswith("    | ") for line in rest)


def test_a_line_names_its_tenant(cast: Cast) -> None:
    with tenant_atomic(cast.tenant.pk):
        entry = json.loads(logs.JsonFormatter().format(record("here")))
    assert entry["tenant"] == str(cast.tenant.pk)
    assert "tenant" not in json.loads(logs.JsonFormatter().format(record("outside")))


def test_every_answer_has_an_id_of_its_own() -> None:
    ids = {Client().get("/livez").headers["X-Request-Id"] for _ in range(3)}
    assert len(ids) == 3


class Lines(logging.Handler):
    """What was logged, formatted where it was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logs.JsonFormatter())
        self.entries: list[dict[str, Any]] = []
        self.failed = threading.Event()

    def emit(self, entry: logging.LogRecord) -> None:
        self.entries.append(json.loads(self.format(entry)))
        if entry.exc_info:
            self.failed.set()


@contextmanager
def listening() -> Iterator[Lines]:
    """What tasks and Celery log from here on; a worker that starts would take the listener off."""
    handler = Lines()
    loggers = [logging.getLogger(name) for name in ("affidavit.test", "celery.app.trace")]
    for logger in loggers:
        logger.addHandler(handler)
    yield handler
    for logger in loggers:
        logger.removeHandler(handler)


def test_a_task_logs_under_the_request_that_sent_it() -> None:
    app = Celery("logs", broker="memory://", set_as_current=False)

    @app.task
    def fails(tenant_id: str) -> None:
        logging.getLogger("affidavit.test").warning("working")
        raise ValueError("no")

    tenant = str(uuid.uuid4())
    with start_worker(app, pool="solo", perform_ping_check=False, loglevel="WARNING"), listening() as lines:
        token = logs.request_id.set("of-the-request")
        fails.delay(tenant)
        logs.request_id.reset(token)
        assert lines.failed.wait(10)
    assert [entry["message"].split()[0] for entry in lines.entries] == ["working", "Task"]
    assert {(entry["request_id"], entry["tenant"]) for entry in lines.entries} == {("of-the-request", tenant)}
    assert "ValueError: no" in lines.entries[1]["exception"]


def test_a_scheduled_task_logs_under_its_own_id() -> None:
    app = Celery("logs", set_as_current=False)

    @app.task
    def scheduled() -> None:
        logging.getLogger("affidavit.test").warning("working")

    with listening() as lines:
        result = scheduled.apply()
    assert lines.entries[0]["request_id"] == result.id
    assert logs.request_id.get() == ""


def test_a_worker_is_set_up_as_the_web_is(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Any] = []
    monkeypatch.setattr(config.celery, "dictConfig", taken.append)
    assert setup_logging.send(sender=None), "Celery sets logging up itself where nobody listens"
    assert taken == [settings.LOGGING]
