"""The site's own Celery worker, killed with SIGKILL while it counts: afterwards the rollups are a recount."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connections, transaction

from config.celery import app
from config.processes import wait_until
from tenants.context import tenant_atomic
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.site import RunningSite, running_site
from tests.traces.costs.test_rollups import NOW, assert_counted
from traces.costs.rollups import roll_up
from traces.models import RollupQueue

PATIENCE = 90.0


@contextmanager
def in_the_middle(cast: Cast) -> Iterator[Callable[[], bool]]:
    """Hold a row that the count must add to. Yields a question: does a worker wait for it, its queue rows taken out?"""
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant_id', %s, true)", [str(cast.tenant.pk)])
        cursor.execute("SELECT 1 FROM traces_subjectrollup WHERE tenant_id = %s FOR UPDATE", [cast.tenant.pk])
        assert cursor.rowcount > 0

        def is_waiting() -> bool:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid"
            )
            return bool(cursor.fetchone()[0])

        yield is_waiting


def processes_of(worker: int) -> list[int]:
    """Those that run the tasks of a Celery worker: its children."""
    return [int(pid) for pid in Path(f"/proc/{worker}/task/{worker}/children").read_text().split()]


def kill(site: RunningSite, *, whole: bool) -> None:
    """The processes that run tasks; with `whole` their parent too, and then another worker is started."""
    parent = site.processes["worker"].pid
    for pid in [*([parent] if whole else []), *processes_of(parent)]:
        os.kill(pid, signal.SIGKILL)
    if whole:
        site.processes.pop("worker").wait()
        site.start(next(child for child in site.site.children() if child.name == "worker"))


def is_counted(cast: Cast) -> bool:
    """Ask again, as the schedule does every 15 seconds, and look whether everything is counted."""
    app.send_task("traces.tasks.roll_up_costs")
    with tenant_atomic(cast.tenant.pk):
        return not RollupQueue.objects.exists()


@pytest.mark.parametrize("whole", [False, True])
def test_a_worker_killed_while_it_counts_changes_nothing(cast: Cast, tmp_path: Path, whole: bool) -> None:
    at = {"occurred_at": NOW.isoformat()}
    submit(cast, 3, **at)
    roll_up(cast.tenant.pk, now=NOW)
    with running_site(tmp_path, ["worker"], needs_pages=False) as site:
        submit(cast, 500, **at)
        submit(cast, 40, occurred_at=(NOW - timedelta(days=3)).isoformat())
        with in_the_middle(cast) as is_waiting:
            app.send_task("traces.tasks.roll_up_costs")
            assert wait_until(is_waiting, PATIENCE, interval=0.1), site.tail()
            kill(site, whole=whole)
            with tenant_atomic(cast.tenant.pk):
                assert RollupQueue.objects.count() == 540, "nothing of the killed count is there"
        assert wait_until(lambda: is_counted(cast), PATIENCE, interval=1.0), site.tail()
    assert_counted(cast.tenant.pk)
