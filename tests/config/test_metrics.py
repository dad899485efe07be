"""`/metrics` over real rows: what waits shows, who may look, and what dashboards and alerts name exists."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from config import metrics
from config.supervisor import ROOT
from config.tasks import measure, measure_heads
from tenants.context import tenant_atomic
from tenants.ledger.signer import sign_log
from tenants.models import WebhookDelivery
from tenants.webhooks.services import EndpointTerms, create_endpoint
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.tenants.ledger.test_sequencer import drain, grown, tamper

MONITORING = ROOT / "docs" / "monitoring"
SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")


@pytest.fixture(autouse=True)
def _signer_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(settings, "AFFIDAVIT_SIGNER_STATE", str(tmp_path / "signer"))
    monkeypatch.setattr(settings, "AFFIDAVIT_ANCHOR_DIR", str(tmp_path / "anchors"))
    yield
    cache.delete_many((metrics.MEASURED, metrics.HEADS))


def scrape(**headers: Any) -> dict[str, float]:
    """Each sample of the page by its name and labels."""
    answer = Client().get("/metrics", **headers)
    assert answer.status_code == 200
    lines = [line for line in answer.content.decode().splitlines() if not line.startswith("#")]
    found = [match for line in lines if (match := SAMPLE.match(line))]
    assert len(found) == len(lines)
    return {f"{match[1]}{{{match[2]}}}" if match[2] else match[1]: float(match[3]) for match in found}


def of(cast: Cast, later: timedelta = timedelta()) -> dict[str, float]:
    """One tenant's figures, `later` from now."""
    measured = metrics.measure_tenant(cast.tenant.pk, datetime.now(UTC) + later)
    return {name + "".join(f" {value}" for _, value in labels): value for name, labels, value in measured.samples}


@pytest.fixture
def _everybody(cast: Cast, stranger: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Going through all tenants is the worker's privilege; tests have the web's login."""
    monkeypatch.setattr(metrics, "tenant_ids", lambda: [cast.tenant.pk, stranger.tenant.pk])


def test_what_waits_goes_through_its_stages(cast: Cast) -> None:
    submit(cast, 3)
    queued = of(cast, timedelta(seconds=40))
    assert queued["affidavit_ledger_queue_leaves"] >= 3
    assert 40 <= queued["affidavit_ledger_queue_oldest_seconds"] < 100
    assert queued["affidavit_backlog_rows rollup"] == 3
    assert 40 <= queued["affidavit_backlog_oldest_seconds rollup"] < 100
    drain(cast)
    integrated = of(cast, timedelta(seconds=40))
    assert integrated["affidavit_ledger_queue_leaves"] == integrated["affidavit_ledger_queue_oldest_seconds"] == 0
    assert integrated["affidavit_ledger_unsigned_leaves"] == integrated["affidavit_ledger_leaves_total"] >= 3
    assert 40 <= integrated["affidavit_ledger_unsigned_seconds"] < 100
    assert integrated["affidavit_anchor_lag_seconds file"] == 0
    sign_log(grown(cast))
    signed = of(cast, timedelta(seconds=40))
    assert signed["affidavit_ledger_unsigned_leaves"] == signed["affidavit_ledger_unsigned_seconds"] == 0
    assert 40 <= signed["affidavit_anchor_lag_seconds file"] < 100


def test_the_lag_is_of_the_first_head_that_a_sink_lacks(cast: Cast) -> None:
    submit(cast, 2)
    drain(cast)
    sign_log(grown(cast))
    tamper(
        "INSERT INTO tenants_ledgeranchor (tenant_id, id, shard, size, sink, state, proof, detail)"
        " SELECT tenant_id, gen_random_uuid(), shard, size, 'file', 'anchored', '', '' FROM tenants_ledgercheckpoint"
        f" WHERE tenant_id = '{cast.tenant.pk}'"
    )
    assert of(cast, timedelta(seconds=40))["affidavit_anchor_lag_seconds file"] == 0
    submit(cast, 1)
    drain(cast)
    sign_log(grown(cast))
    assert of(cast, timedelta(seconds=40))["affidavit_anchor_lag_seconds file"] >= 40


def test_it_costs_by_what_waits(cast: Cast) -> None:
    counts = []
    for n in (2, 40):
        submit(cast, n)
        drain(cast)
        sign_log(grown(cast))
        with CaptureQueriesContext(connection) as queries:
            of(cast)
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.usefixtures("_everybody")
def test_the_instance_names_nobody_unless_told_to(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    measure()
    assert cast.tenant.slug not in Client().get("/metrics").content.decode()
    monkeypatch.setattr(settings, "AFFIDAVIT_METRICS_TENANTS", True)
    measure()
    assert f'affidavit_ledger_leaves_total{{tenant="{cast.tenant.slug}"}}' in scrape()


def test_tenants_are_summed_and_ages_are_the_worst() -> None:
    each = [
        metrics.TenantSamples(slug, [("affidavit_ledger_queue_leaves", (), n), ("affidavit_anchor_lag_seconds", (), n)])
        for slug, n in (("a", 2), ("b", 5))
    ]
    folded = {name: value for name, _, value in metrics.merged(each, by_tenant=False)}
    assert folded == {"affidavit_ledger_queue_leaves": 7, "affidavit_anchor_lag_seconds": 5}


@pytest.mark.usefixtures("_everybody")
def test_a_head_that_the_tree_does_not_give_is_counted(cast: Cast) -> None:
    submit(cast, 3)
    drain(cast)
    sign_log(grown(cast))
    before = measure_heads()
    create_endpoint(by=cast.owner, terms=EndpointTerms("Us", "https://hooks.example.com/"))
    tamper(
        "UPDATE tenants_ledgertile SET data = set_byte(data, 3, get_byte(data, 3) # 1)"
        f" WHERE tenant_id = '{cast.tenant.pk}' AND level = 0"
    )
    assert measure_heads() == before + 1
    assert scrape()["affidavit_ledger_heads_broken"] == before + 1
    assert measure_heads() == before + 1
    with tenant_atomic(cast.tenant.pk):
        told = [row.event_type for row in WebhookDelivery.objects.all()]
    assert told == ["ledger.broken"]  # once a day


@pytest.mark.usefixtures("_everybody")
def test_a_worker_that_stopped_measuring_shows() -> None:
    assert "affidavit_measured_age_seconds" not in scrape()
    metrics.measure(datetime.now(UTC) - timedelta(seconds=90))
    figures = scrape()
    assert 90 <= figures["affidavit_measured_age_seconds"] < 150
    assert abs(figures["affidavit_clock_skew_seconds"]) < 5
    assert figures["affidavit_database_up"] == figures["affidavit_redis_up"] == 1


@pytest.mark.parametrize(
    ("token", "headers", "status"),
    [
        (None, {}, 200),
        (None, {"REMOTE_ADDR": "::1"}, 200),
        (None, {"REMOTE_ADDR": "192.0.2.1"}, 403),
        (None, {"HTTP_X_FORWARDED_FOR": "192.0.2.1"}, 403),
        ("opens", {"HTTP_AUTHORIZATION": "Bearer opens", "REMOTE_ADDR": "192.0.2.1"}, 200),
        ("opens", {"HTTP_AUTHORIZATION": "Bearer open"}, 403),
        ("opens", {"HTTP_AUTHORIZATION": "Bearer öffnet"}, 403),
        ("opens", {}, 403),
    ],
)
def test_who_may_look(token: str | None, headers: Any, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "AFFIDAVIT_METRICS_TOKEN", token)
    assert Client().get("/metrics", **headers).status_code == status


def expressions() -> list[str]:
    dashboard = json.loads((MONITORING / "grafana.json").read_text(encoding="utf-8"))
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text(encoding="utf-8"))
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    return shown + [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


@pytest.mark.usefixtures("_everybody")
def test_every_metric_that_monitoring_names_is_there(cast: Cast) -> None:
    measure()
    measure_heads()
    there = {name.partition("{")[0] for name in scrape()}
    named = {name for expression in expressions() for name in re.findall(r"affidavit_[a-z_]+", expression)}
    assert named - there == set()
    declared = {one.name for one in (*metrics.OF_THE_INSTANCE, *metrics.PER_TENANT, *metrics.OF_HEADS)}
    assert declared == there
    assert declared - named <= {"affidavit_info", "affidavit_tenants"}, "watch it, or do not measure it"


def test_a_label_with_quotes_stays_in_its_line() -> None:
    text = metrics.exposition([metrics.Metric("m", "gauge", "Help.")], [("m", (("l", 'a"\\\nb'),), 1)])
    assert text == '# HELP m Help.\n# TYPE m gauge\nm{l="a\\"\\\\\\nb"} 1\n'
